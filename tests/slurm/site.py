"""hpcobs as installed on a cluster: the hooks, a forwarder on each node and beside slurmctld."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.site import token_of
from tests.forwarder.trees import V2Job, host
from tests.local.services import Service
from tests.ports import free_port
from tests.slurm.lab import CLUSTER, NODES, Slurm, until
from tests.slurm.releases import HOST
from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.slurm.releases import Release

ENVIRON = {"CLUSTER_NAME": CLUSTER, "COLLECT_INTERVAL_SECONDS": "1"}
SLOW_SECONDS = 4
"""Some passes of the controller role."""
FORWARDER = Path(__file__).parents[2] / "forwarder"
HOOKS = {
    "Prolog": ("prolog", "node-$SLURMD_NODENAME"),
    "Epilog": ("epilog", "node-$SLURMD_NODENAME"),
    "PrologSlurmctld": ("prolog_slurmctld", "controller"),
    "EpilogSlurmctld": ("epilog_slurmctld", "controller"),
}
WRAPPER = """\
#!/bin/sh
# Slurm passes its hooks no other variables, and both nodes are on one host.
HPCOBS_CONFIG={etc}/{config}.conf
export HPCOBS_CONFIG
began=$(/bin/date +%s%N)
{libexec}/{hook}
status=$?
echo "{hook} $SLURM_JOB_ID $status $(($(/bin/date +%s%N) - began))" >>{log}
# A site's own work in this hook, for a test.
[ -e {etc}/slow-{hook} ] && sleep {slow_seconds}
exit $status
"""


def public_python(root: Path) -> str:
    """Return an interpreter for all users. The test's own may be in a private folder."""
    if root != HOST:
        return "/usr/bin/python3"
    for path in (getattr(sys, "_base_executable", sys.executable), "/usr/bin/python3"):
        try:
            subprocess.run([path, "-c", ""], user="slurm", check=True, cwd="/")
        except OSError:
            continue
        return str(path)
    raise AssertionError("no Python that slurm may run")


class Site:
    """The parts of hpcobs on a cluster. All use the same address of the service."""

    def __init__(self, slurm: Slurm, service: Service, *, url: str) -> None:
        self.slurm = slurm
        self.service = service
        self.forwarders: dict[str, subprocess.Popen[bytes]] = {}
        self._etc = slurm.folder / "etc"
        self._url = url

    def install(self) -> dict[str, Path]:
        """Install hooks, forwarder and spools. Return the hooks by their settings in Slurm."""
        libexec = self.slurm.folder / "libexec"
        shutil.copytree(FORWARDER / "slurm", libexec)
        self._python = public_python(self.slurm.programs.installation.root)
        self._program = libexec / "hpcobs-forwarder"
        builder = [sys.executable, str(FORWARDER / "build_zipapp.py")]
        subprocess.run(
            [*builder, "--output", str(self._program)], check=True, stdout=subprocess.DEVNULL
        )
        self.calls = self.slurm.folder / "log/hooks"
        self.calls.touch(0o666)
        self.calls.chmod(0o666)
        for node in NODES:
            self.spool(f"node-{node}").mkdir()
            host(self.root(node))
        self.spool("controller").mkdir()
        shutil.chown(self.spool("controller"), "slurm")
        return {name: self._hook(hook, config) for name, (hook, config) in HOOKS.items()}

    def _hook(self, hook: str, config: str) -> Path:
        path = self.slurm.folder / "hooks" / hook
        libexec = self.slurm.folder / "libexec"
        path.write_text(
            WRAPPER.format(
                etc=self._etc,
                config=config,
                libexec=libexec,
                hook=hook,
                log=self.calls,
                slow_seconds=SLOW_SECONDS,
            )
        )
        path.chmod(0o755)
        return path

    def slow_down(self, hook: str) -> None:
        """Let a hook take ``SLOW_SECONDS`` longer from now on."""
        (self._etc / f"slow-{hook}").touch()

    def spool(self, name: str) -> Path:
        """Return the folder of queued entries of a hook and forwarder."""
        return self.slurm.folder / "spool" / name

    def root(self, node: str) -> Path:
        """Return the forwarder's substitute for /, as Slurm makes no cgroups on this machine."""
        return self.slurm.folder / "roots" / node

    def cgroup(self, node: str, job_id: str) -> V2Job:
        """Make a cgroup as Slurm would for the job on this node."""
        return V2Job(self.root(node), f"job_{job_id}", f"{node}_slurmstepd.scope")

    def configure(self) -> None:
        """Write all tokens and configurations. n2's hooks leave all sending to the forwarder."""
        for node in NODES:
            post = "yes" if node == NODES[0] else "no"
            self._configure(f"node-{node}", node, HPCOBS_NODE=node, HPCOBS_HOOK_POST=post)
        self.configure_controller()

    def configure_controller(self, *, by_commands: bool = False, **settings: str) -> None:
        """Configure the controller role, to read slurmctld by slurmrestd or by commands."""
        rest = {
            "SLURM_BASE_URL": self.slurm.rest_url,
            "SLURM_AUTH_TOKEN_COMMAND": "/usr/bin/scontrol token lifespan=60",
        }
        self._configure(
            "controller", None, owner="slurm", **({} if by_commands else rest), **settings
        )

    def _configure(
        self, name: str, node: str | None, *, owner: str = "root", **settings: str
    ) -> None:
        token = self._etc / f"{name}.token"
        token.write_text(token_of(self.service, node) + "\n")
        token.chmod(0o600)
        shutil.chown(token, owner)
        common = {
            "HPCOBS_URL": self._url,
            "HPCOBS_TOKEN_FILE": str(token),
            "HPCOBS_SPOOL_DIR": str(self.spool(name)),
            "HPCOBS_FALLBACK_DIR": f"{self.spool(name)}.fallback",
            "HPCOBS_INTERVAL_SECONDS": "1",
            "HPCOBS_PUSH_SECONDS": "1",
        }
        lines = [f"{key}={value}\n" for key, value in {**common, **settings}.items()]
        (self._etc / f"{name}.conf").write_text("".join(lines))

    def start_node_forwarders(self) -> None:
        """Start one forwarder for each node, as root."""
        for node in NODES:
            self.start(f"node-{node}", "--sysfs-root", str(self.root(node)))

    def start_controller(self) -> None:
        """Start the controller role, as slurm."""
        self.start("controller", "--role", "controller", user="slurm")

    def command(self, name: str, *arguments: str) -> list[str]:
        """Return the forwarder's command line with a configuration."""
        config = str(self._etc / f"{name}.conf")
        return [self._python, str(self._program), *arguments, "--config", config]

    def start(self, name: str, *arguments: str, user: str = "root") -> None:
        """Start a forwarder."""
        log = self.slurm.folder / f"log/{name}.log"
        command = self.command(name, *arguments)
        self.forwarders[name] = self.slurm.programs.start(log, *command, user=user)

    def stop(self, name: str) -> None:
        """End a forwarder with SIGTERM, as a service manager does."""
        process = self.forwarders.pop(name)
        process.terminate()
        assert process.wait(WAIT_SECONDS) == 0

    def stop_all(self) -> None:
        """End all forwarders, whatever state they are in."""
        for process in self.forwarders.values():
            process.kill()
            process.wait(WAIT_SECONDS)
        self.forwarders.clear()

    def doctor(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the doctor."""
        return self.slurm.programs.attempt(*self.command(name, "doctor", *arguments))

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the job as stored by hpcobs, or nothing if there is none."""
        with self.service.client() as client:
            response = client.get(f"/v1/jobs/{job_id}")
        body: dict[str, Any] = response.json()
        return body if response.is_success else {}

    def state(self, job_id: str) -> str | None:
        """Return the job's state in hpcobs."""
        return self.job(job_id).get("state")

    def wait_for(self, job_id: str, state: str, seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """Wait until hpcobs has the job in ``state``. Return the job."""
        until(lambda: self.state(job_id) == state, seconds)
        return self.job(job_id)

    def audit(self, job_id: str) -> list[dict[str, Any]]:
        """Return the job's changes, oldest first."""
        events: list[dict[str, Any]] = self.service.get(f"/v1/jobs/{job_id}/audit")["events"]
        return sorted(events, key=lambda event: event["id"])

    def waiting_events(self, spools: str = "*") -> int:
        """Count the queued events in the spools, including those that a hook still writes."""
        return len(list(self.slurm.folder.glob(f"spool/{spools}/events/*")))

    def hook_calls(self) -> list[tuple[str, str, int, float]]:
        """Return each call of a hook: its name, the job, its exit status, its milliseconds."""
        rows = [line.split() for line in self.calls.read_text().splitlines()]
        return [(hook, job, int(status), int(ns) / 1e6) for hook, job, status, ns in rows]


@contextmanager
def installed(
    folder: Path,
    release: Release,
    *,
    forgets_after_seconds: int = 300,
    accounting: bool = False,
    **settings: object,
) -> Iterator[Site]:
    """Start Slurm, service, hooks and nodes' forwarders, without the controller role.

    ``settings`` are further ones of slurm.conf.
    """
    port = free_port()
    service = Service(folder, "--no-simulate", "--port", str(port), environ=ENVIRON)
    slurm = Slurm(release, forgets_after_seconds=forgets_after_seconds, accounting=accounting)
    site = Site(slurm, service, url=f"http://127.0.0.1:{port}")
    try:
        with service:
            slurm.configure(site.install(), **settings)
            site.configure()
            slurm.start()
            site.start_node_forwarders()
            yield site
    finally:
        site.stop_all()
        slurm.stop()
