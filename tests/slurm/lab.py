"""A real Slurm on this host: one controller, two nodes, slurmrestd, all in one folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.ports import free_ports
from tests.slurm.accounting import Accounting
from tests.slurm.daemons import STOP_SECONDS, Programs, end, end_process, until
from tests.slurm.releases import Release, installation
from tests.slurm.settings import CGROUP_CONF, CLUSTER, GRES_CONF, NODES, controller, slurm_conf
from tests.waiting import WAIT_SECONDS

__all__ = ["CLUSTER", "NODES", "Slurm", "seconds_of", "until"]

FOLDERS = ("etc", "hooks", "munge", "run", "log", "spool", "ctld", "spool/ctld", "jobs")


def seconds_of(text: str) -> int:
    """Return the seconds of Slurm's ``[D-]HH:MM:SS``."""
    days, _, clock = text.rpartition("-")
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


class Slurm:
    """The daemons, their folder, and commands that use them.

    Each daemon is stopped by its pid file. MinJobAge is ``forgets_after_seconds``. With
    ``accounting``, a slurmdbd keeps the jobs for ``sacct``.
    """

    def __init__(
        self, release: Release, *, forgets_after_seconds: int = 300, accounting: bool = False
    ) -> None:
        self.release = release
        self.folder = Path(tempfile.mkdtemp(prefix="hpcobs-slurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.conf = self.folder / "etc/slurm.conf"
        self.programs = Programs(installation(release), self.conf)
        self._forgets_after_seconds = forgets_after_seconds
        self._accounting = Accounting(self.folder, self.programs) if accounting else None
        controller, *nodes, self._rest_port = free_ports(2 + len(NODES))
        self._controller_port, self._node_ports = controller, dict(zip(NODES, nodes, strict=True))
        self._rest: subprocess.Popen[bytes] | None = None
        self._make_folders()

    @property
    def rest_url(self) -> str:
        """slurmrestd's URL."""
        return f"http://127.0.0.1:{self._rest_port}"

    def _make_folders(self) -> None:
        for name in FOLDERS:
            (self.folder / name).mkdir(mode=0o755)
        for name in ("ctld", "spool/ctld"):
            shutil.chown(self.folder / name, "slurm")
        (self.folder / "jobs").chmod(0o1777)
        for name, size, owner in (("munge.key", 1024, "root"), ("jwt.key", 32, "slurm")):
            key = self.folder / "etc" / name
            key.write_bytes(os.urandom(size))
            key.chmod(0o400)
            shutil.chown(key, owner)

    def configure(self, hooks: dict[str, Path], **settings: object) -> None:
        """Write the configuration, with ``hooks`` and ``settings`` by their names in slurm.conf."""
        ours = controller(self.folder, self._controller_port)
        if self._accounting:
            ours |= self._accounting.settings()
        self._settings = {**ours, "MinJobAge": self._forgets_after_seconds, **settings, **hooks}
        self._write()
        (self.folder / "etc/gres.conf").write_text(GRES_CONF)
        (self.folder / "etc/cgroup.conf").write_text(CGROUP_CONF[self.release.version])

    def _write(self) -> None:
        self.conf.write_text(slurm_conf(self._settings, self._node_ports))

    def start(self) -> Self:
        """Start all daemons and wait until both nodes are idle."""
        munge = self.folder / "munge"
        self.programs.run(
            "munged",
            f"--socket={munge}/socket",
            f"--key-file={self.folder}/etc/munge.key",
            f"--pid-file={munge}/munged.pid",
            f"--log-file={munge}/munged.log",
            f"--seed-file={munge}/munged.seed",
        )
        if self._accounting:
            self._accounting.start()
        self.start_controller()
        for node in NODES:
            self.programs.run("slurmd", "-N", node)
        self.start_rest()
        until(lambda: self.idle_nodes() == len(NODES))
        return self

    def start_controller(self, *options: str) -> None:
        """Start slurmctld."""
        self.programs.run("slurmctld", *options)

    def stop_controller(self) -> None:
        """End slurmctld. Jobs go on."""
        end(self.folder / "ctld/slurmctld.pid")

    def start_rest(self) -> None:
        """Start slurmrestd, which does not run as root or slurm."""
        self._rest = self.programs.start(
            self.folder / "log/slurmrestd.log",
            "slurmrestd",
            *("-a", "rest_auth/jwt", "-s", self.release.rest_plugins),
            f"127.0.0.1:{self._rest_port}",
            user="nobody",
            group="nogroup",
            SLURM_JWT="daemon",
        )

    def stop_rest(self) -> None:
        """End slurmrestd."""
        end_process(self._rest)
        self._rest = None

    def stop(self) -> None:
        """End all jobs and daemons that were started, and remove the folder."""
        self._end_jobs()
        self.stop_rest()
        for node in NODES:
            end(self.folder / f"run/slurmd.{node}.pid")
        self.stop_controller()
        if self._accounting:
            self._accounting.stop()
        end(self.folder / "munge/munged.pid")
        shutil.rmtree(self.folder)

    def lose_all_jobs(self) -> None:
        """Restart the controller without its stored jobs. New jobs get new ids."""
        self.stop_controller()
        self.start_controller("-c")

    def lose_all_state(self) -> None:
        """Restart the controller with an empty StateSaveLocation. Its job ids begin again."""
        self.stop_controller()
        state = self.folder / "spool/ctld"
        shutil.rmtree(state)
        state.mkdir()
        shutil.chown(state, "slurm")
        self.start_controller()
        until(lambda: self.idle_nodes() == len(NODES))

    def reconfigure(self, **settings: object) -> None:
        """Run ``scontrol reconfigure`` with further settings of slurm.conf."""
        self._settings |= settings
        self._write()
        self.control("reconfigure")

    def restart_controller(self, **settings: object) -> None:
        """Restart the controller with further settings of slurm.conf."""
        self.stop_controller()
        self._settings |= settings
        self._write()
        self.start_controller()
        until(lambda: self.idle_nodes() == len(NODES))

    def _end_jobs(self) -> None:
        # Jobs would outlive slurmd.
        try:
            self.programs.run("scancel", "--user=www-data")
            until(lambda: not self.programs.run("squeue", "--noheader"), STOP_SECONDS)
        except AssertionError:
            return  # slurmctld is not running

    def submit(self, script: str, *options: str | bytes) -> str:
        """Submit a job of www-data that runs ``script``. Return its id."""
        place = ("-D", str(self.folder / "jobs"), "-o", "%j.out", "--mem=64M")
        shown = self.programs.run(
            "sbatch", "--parsable", *place, *options, f"--wrap={script}", user="www-data"
        )
        return shown.strip().partition(";")[0]

    def cancel(self, job_id: str) -> None:
        """Run ``scancel``."""
        self.programs.run("scancel", job_id)

    def control(self, *words: str) -> str:
        """Run ``scontrol`` and return its output."""
        return self.programs.run("scontrol", *words)

    def idle_nodes(self) -> int:
        """Return the number of idle nodes that can get jobs."""
        return self.control("--oneliner", "show", "nodes").count("State=IDLE ")

    def token(self, user: str = "slurm") -> str:
        """Return a JWT of ``user`` for slurmrestd."""
        return self.control("token", f"username={user}").strip().partition("=")[2]

    def job(self, job_id: str) -> dict[str, str]:
        """Return ``scontrol``'s fields of a job, or nothing if slurmctld no longer has it."""
        done = self.programs.attempt("scontrol", "--oneliner", "show", "job", job_id)
        if "Invalid job id" in done.stderr:
            return {}
        assert done.returncode == 0, done.stderr
        return dict(re.findall(r"(\S+?)=(\S*)", done.stdout.splitlines()[0]))

    def state(self, job_id: str) -> str:
        """Return Slurm's state of a job, or an empty text if slurmctld no longer has it."""
        return self.job(job_id).get("JobState", "")

    def wait_for(self, job_id: str, *states: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait until the job is in one of ``states``."""
        until(lambda: self.state(job_id) in states, seconds)

    def logs(self) -> str:
        """Return the ends of the daemons' logs."""
        files = [*self.folder.glob("ctld/*.log"), *self.folder.glob("log/*.log")]
        return "\n".join(f"== {file.name}\n{file.read_text()[-4000:]}" for file in files)
