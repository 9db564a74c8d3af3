"""A real Slurm on this host: one controller, two nodes, slurmrestd, all in one folder."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.local.processes import alive
from tests.ports import free_ports
from tests.waiting import WAIT_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmrestd", "sbatch", "scancel", "scontrol")
USERS = ("slurm", "www-data", "nobody")
JWT_PLUGIN = "/usr/lib/*/slurm-wlm/auth_jwt.so"
NODES = ("n1", "n2")
CLUSTER = "lab"
STOP_SECONDS = 30.0
CREDENTIAL_SECONDS = 5
"""The least time that a requeued job waits. Slurm's default is 120."""


def missing() -> str | None:
    """Return why Slurm cannot be started here, or None if it can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)} here (.ci/apt-packages names Debian's packages)"
    if getpass.getuser() != "root":
        return "slurmd starts jobs as their users, which only root may"
    if not list(Path("/").glob(JWT_PLUGIN[1:])):
        return "no auth_jwt.so here (slurm-wlm-jwt-plugin)"
    return None


def until(what: Callable[[], object], seconds: float = WAIT_SECONDS) -> None:
    """Wait until a condition is met. Check it a few times a second."""
    eventually(what, seconds, every=0.2)


class Slurm:
    """The daemons, their folder, and commands that use them.

    Each daemon is stopped by its pid file. ``hooks`` holds the four hooks by the names of their
    settings; MinJobAge is ``forgets_after_seconds``.
    """

    def __init__(self, *, forgets_after_seconds: int = 300) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hpcobs-slurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.conf = self.folder / "etc/slurm.conf"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
            "SLURM_CONF": str(self.conf),
        }
        self._forgets_after_seconds = forgets_after_seconds
        controller, *nodes, self._rest_port = free_ports(2 + len(NODES))
        self._controller_port, self._node_ports = controller, dict(zip(NODES, nodes, strict=True))
        self._rest: subprocess.Popen[bytes] | None = None
        self._make_folders()

    @property
    def rest_url(self) -> str:
        """slurmrestd's URL."""
        return f"http://127.0.0.1:{self._rest_port}"

    def _make_folders(self) -> None:
        for name in ("etc", "hooks", "munge", "run", "log", "spool", "ctld", "spool/ctld", "jobs"):
            (self.folder / name).mkdir(mode=0o755)
        for name in ("ctld", "spool/ctld"):
            shutil.chown(self.folder / name, "slurm")
        (self.folder / "jobs").chmod(0o1777)
        for name, size, owner in (("munge.key", 1024, "root"), ("jwt.key", 32, "slurm")):
            key = self.folder / "etc" / name
            key.write_bytes(os.urandom(size))
            key.chmod(0o400)
            shutil.chown(key, owner)

    def configure(self, hooks: dict[str, Path]) -> None:
        """Write ``slurm.conf``, with ``hooks`` by the names of their settings."""
        host = socket.gethostname().partition(".")[0]
        settings = {
            "ClusterName": CLUSTER,
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmctldPort": self._controller_port,
            "SlurmUser": "slurm",
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={self.folder}/munge/socket,cred_expire={CREDENTIAL_SECONDS}",
            "CredType": "cred/munge",
            "AuthAltTypes": "auth/jwt",
            "AuthAltParameters": f"jwt_key={self.folder}/etc/jwt.key",
            "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
            "StateSaveLocation": f"{self.folder}/spool/ctld",
            "SlurmdSpoolDir": f"{self.folder}/spool/%n",
            "SlurmctldPidFile": f"{self.folder}/ctld/slurmctld.pid",
            "SlurmctldLogFile": f"{self.folder}/ctld/slurmctld.log",
            "SlurmdPidFile": f"{self.folder}/run/slurmd.%n.pid",
            "SlurmdLogFile": f"{self.folder}/log/slurmd.%n.log",
            # Slurm must not touch this machine's own cgroups.
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/linux",
            "AccountingStorageType": "accounting_storage/none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "SchedulerParameters": "sched_interval=2,bf_interval=2",
            "MpiDefault": "none",
            "ReturnToService": 2,
            "KillWait": 2,
            "MinJobAge": self._forgets_after_seconds,
            "PrologFlags": "Alloc",
            # The nodes may have more CPUs than this machine.
            "SlurmdParameters": "config_overrides",
            "GresTypes": "gpu",
            **hooks,
        }
        lines = [f"{name}={value}" for name, value in settings.items()]
        for node, port in self._node_ports.items():
            lines.append(
                f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
                "CPUs=4 RealMemory=2000 Gres=gpu:2"
            )
        lines.append("PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP")
        self.conf.write_text("\n".join(lines) + "\n")
        (self.folder / "etc/gres.conf").write_text(
            "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"
        )

    def start(self) -> Self:
        """Start all daemons and wait until both nodes are idle."""
        munge = self.folder / "munge"
        self._run(
            "munged",
            f"--socket={munge}/socket",
            f"--key-file={self.folder}/etc/munge.key",
            f"--pid-file={munge}/munged.pid",
            f"--log-file={munge}/munged.log",
            f"--seed-file={munge}/munged.seed",
        )
        self._run("slurmctld")
        for node in NODES:
            self._run("slurmd", "-N", node)
        self._start_rest()
        until(lambda: self.idle_nodes() == len(NODES))
        return self

    def _start_rest(self) -> None:
        with (self.folder / "log/slurmrestd.log").open("wb") as log:
            self._rest = subprocess.Popen(
                [
                    "slurmrestd",
                    "-a",
                    "rest_auth/jwt",
                    "-s",
                    "openapi/v0.0.38",
                    f"127.0.0.1:{self._rest_port}",
                ],
                env={**self.environ, "SLURM_JWT": "daemon"},
                user="nobody",
                group="nogroup",
                extra_groups=[],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
            )

    def stop(self) -> None:
        """End all jobs and daemons that were started, and remove the folder."""
        self._end_jobs()
        if self._rest is not None:
            self._rest.terminate()
            self._rest.wait(STOP_SECONDS)
        pid_files = [
            *(self.folder / f"run/slurmd.{node}.pid" for node in NODES),
            self.folder / "ctld/slurmctld.pid",
            self.folder / "munge/munged.pid",
        ]
        for pid_file in pid_files:
            _end(pid_file)
        shutil.rmtree(self.folder)

    def lose_all_jobs(self) -> None:
        """Restart the controller without its stored jobs."""
        _end(self.folder / "ctld/slurmctld.pid")
        self._run("slurmctld", "-c")

    def _end_jobs(self) -> None:
        # Jobs would outlive slurmd.
        try:
            self._run("scancel", "--user=www-data")
            until(lambda: not self._run("squeue", "--noheader"), STOP_SECONDS)
        except AssertionError:
            return  # slurmctld is not running

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}{done.stdout}"
        return done.stdout

    def submit(self, script: str, *options: str) -> str:
        """Submit a job of www-data that runs ``script``. Return its id."""
        command = ["sbatch", "--parsable", "-D", str(self.folder / "jobs"), "-o", "%j.out"]
        done = subprocess.run(
            [*command, "--mem=64M", *options, f"--wrap={script}"],
            env=self.environ,
            user="www-data",
            group="www-data",
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd="/",
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().partition(";")[0]

    def cancel(self, job_id: str) -> None:
        """Run ``scancel``."""
        self._run("scancel", job_id)

    def control(self, *words: str) -> str:
        """Run ``scontrol`` and return its output."""
        return self._run("scontrol", *words)

    def idle_nodes(self) -> int:
        """Return the number of idle nodes that can get jobs."""
        return self.control("--oneliner", "show", "nodes").count("State=IDLE ")

    def token(self, user: str = "slurm") -> str:
        """Return a JWT of ``user`` for slurmrestd."""
        return self.control("token", f"username={user}").strip().partition("=")[2]

    def job(self, job_id: str) -> dict[str, str]:
        """Return ``scontrol``'s fields of a job, or nothing if slurmctld no longer has it."""
        done = subprocess.run(
            ["scontrol", "--oneliner", "show", "job", job_id],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
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


def _end(pid_file: Path) -> None:
    """Send the daemon SIGTERM, and SIGKILL if it has not ended after ``STOP_SECONDS``."""
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
            eventually(lambda: not alive(pid), STOP_SECONDS)
        except ProcessLookupError:
            return
        except AssertionError:
            continue
        return
