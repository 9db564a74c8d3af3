"""docs/slurm.md, run line by line on a real Slurm, from an empty host to a removed hpcobs."""

from __future__ import annotations

import os
import re
import shutil
import sysconfig
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.local.services import Service
from tests.slurm.guide import PAGE, Block, Result, Shell, blocks
from tests.slurm.lab import CLUSTER, Slurm, until
from tests.slurm.releases import HOST, Release
from tests.slurm.systemctl import Units

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERVAL_SECONDS = "2"
"""Of both forwarders. The guide's reader has the usual 30 s, and waits as long for some output."""
FORWARDER = Path(__file__).parents[2] / "forwarder"
PATHS = (
    "/etc/hpcobs",
    "/etc/systemd/system",
    "/usr/bin/hpcobs",
    "/usr/bin/.hpcobs",
    "/usr/libexec/hpcobs",
    "/var/lib/hpcobs",
    "/run/hpcobs",
)
"""Places on a host. In the test they are below its own folder."""

NOT_RUN = {
    "ProctrackType=proctrack/cgroup": "Slurm must not use this machine's own cgroups",
    "ConstrainRAMSpace=yes": "the same",
    "ConstrainDevices=yes": "the same",
    "GresTypes=gpu": "the test's Slurm has GPUs of its own making",
    "AutoDetect=nvml": "this machine has no GPU",
    "/usr/libexec/hpcobs/prolog_slurmctld": "an example of a line in a site's own hook",
}
"""Blocks by their first lines. tests/forwarder shows the doctor what those for Slurm contain."""

EXPECTED = {
    "hpcobs-forwarder --version": [r"^hpcobs|^\d+\.\d+"] * 2,
    "systemctl is-active hpcobs-forwarder": ["^active$"],
    "systemctl is-active hpcobs-forwarder-controller": ["^active$"],
    "hpcobs-forwarder doctor": ["^0 failures, "],
    "runuser -u slurm -- hpcobs-forwarder --role controller doctor": ["^0 failures, "],
    "hpcobs job $JOB": ["^Job [0-9]+ +running", "^Job [0-9]+ +cancelled"],
}
"""What the guide's reader sees after a command, each time that it stands there."""


class Host:
    """One host that is a node and slurmctld's host, with what the guide has put there."""

    def __init__(self, slurm: Slurm, service: Service) -> None:
        self.slurm = slurm
        self.results: list[Result] = []
        self.top = slurm.folder
        self._service = service
        self._work = self.top / "work"
        self._expected = {command: deque(texts) for command, texts in EXPECTED.items()}

    def prepare(self) -> None:
        """Make what the guide takes for granted: the repository, hpcobs, and systemd."""
        for name in ("usr/bin", "bin", "etc/systemd/system", "work"):
            (self.top / name).mkdir(parents=True)
        for name in ("slurm", "src", "systemd", "build_zipapp.py", "pyproject.toml"):
            self._copy(FORWARDER / name)
        (self._work / ".hpcobs").symlink_to(self._service.folder)
        shutil.copy(Path(__file__).with_name("systemctl.py"), self.top / "bin")
        self._script("systemctl", f'python3 {self.top}/bin/systemctl.py {self.top} "$@"')
        if self.slurm.programs.installation.root != HOST:
            # An unpacked release has no PAM, which runuser asks.
            self._script("runuser", 'setpriv --reuid="$2" --regid="$2" --clear-groups "${@:4}"')
        environ = {"HOME": str(self.top), "HPCOBS_INTERVAL_SECONDS": INTERVAL_SECONDS}
        self._shell = Shell(self._work, {**self.slurm.programs.environ, **environ})

    def shell(self, command: str) -> Result:
        """Run a command beside Slurm, or beside the service if it is one of the service."""
        if re.search(r"(^|\()hpcobs ", command):
            scripts = sysconfig.get_path("scripts")
            return self._shell.run(command, path=f"{scripts}:{os.environ['PATH']}")
        prefix = self.slurm.programs.installation.command(user="root")
        path = f"{self.top}/usr/bin:{self.top}/bin:{self.slurm.programs.environ['PATH']}"
        return self._shell.run(command, *prefix, path=path)

    def _script(self, name: str, command: str) -> None:
        path = self.top / "bin" / name
        path.write_text(f"#!/bin/bash\nexec {command}\n")
        path.chmod(0o755)

    def _copy(self, source: Path) -> None:
        """Copy a part of the repository, with this test's folders in it."""
        for file in source.rglob("*") if source.is_dir() else [source]:
            if file.is_file() and file.suffix != ".pyc":
                copy = self._work / "forwarder" / file.relative_to(FORWARDER)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(self.here(file.read_text()))

    def here(self, text: str) -> str:
        """Return the text with this test's folders, names and addresses in it."""
        replaced = {
            **{path: f"{self.top}{path}" for path in PATHS},
            "/etc/slurm/": f"{self.top}/etc/",
            "https://hpcobs.example.org": self._service.url,
            "http://127.0.0.1:6820": self.slurm.rest_url,
            "n001": "n1",
        }
        for old, new in replaced.items():
            text = text.replace(old, new)
        return text

    def follow(self, block: Block) -> None:
        """Do what a block of the guide asks for."""
        if block.language == "ini":
            with Path(self.here(block.file)).open("a") as file:
                file.write(self.here(block.text))
            return
        for command in block.commands:
            self._run(command)

    def _run(self, command: str) -> None:
        expected = self._expected.get(command, deque([""])) or deque([""])
        wanted = re.compile(expected.popleft(), re.MULTILINE)
        # A reader waits some seconds and looks again.
        attempts = 60 if command.startswith(("hpcobs job", "hpcobs-forwarder doctor")) else 1
        for _ in range(attempts):
            result = self.shell(self.here(command))
            if result.status == 0 and wanted.search(result.output):
                break
            self.shell("sleep 2")
        self.results.append(result._replace(command=command))
        assert result.status == 0, f"{result}\n{self.slurm.logs()}"
        assert wanted.search(result.output), f"{result}\n{self.slurm.logs()}"

    def output(self, command: str) -> list[str]:
        """Return what a command of the guide printed, each time."""
        return [result.output for result in self.results if result.command == command]


@pytest.fixture(scope="module")
def host(folder: Path, release: Release) -> Iterator[Host]:
    """Follow the guide to its end."""
    service = Service(folder, "--no-simulate", environ={"CLUSTER_NAME": CLUSTER})
    slurm = Slurm(release)
    host = Host(slurm, service)
    try:
        with service:
            slurm.configure({})
            slurm.start()
            # One host is one node for the guide.
            slurm.control("update", "nodename=n2", "state=drain", "reason=guide")
            host.prepare()
            for block in blocks(PAGE.read_text()):
                if block.text.splitlines()[0] not in NOT_RUN:
                    host.follow(block)
            yield host
    finally:
        # In case a command has failed. The guide ends both.
        for unit in ("hpcobs-forwarder", "hpcobs-forwarder-controller"):
            Units(slurm.folder).call("disable", unit)
        slurm.programs.attempt("scancel", "--user=root")
        slurm.stop()


def test_every_block_is_run_or_has_reason() -> None:
    found = list(blocks(PAGE.read_text()))
    first_lines = [block.text.splitlines()[0] for block in found]

    assert {block.language for block in found if block.text.splitlines()[0] not in NOT_RUN} == {
        "sh",
        "ini",
    }
    assert NOT_RUN.keys() <= set(first_lines)
    commands = [command for block in found for command in block.commands]
    for command, texts in EXPECTED.items():
        assert commands.count(command) == len(texts)


def test_guide_leads_to_stored_job(host: Host) -> None:
    running, cancelled = host.output("hpcobs job $JOB")

    assert "n1" in running
    assert "CANCELLED" in cancelled


def test_doctors_find_no_failure_after_guide(host: Host) -> None:
    (node,) = host.output("hpcobs-forwarder doctor")
    (controller,) = host.output("runuser -u slurm -- hpcobs-forwarder --role controller doctor")

    assert "a forwarder is running" in node
    assert "slurm.conf calls this node n1" in node or "Slurm's Prolog calls this node n1" in node
    assert "queried by slurmrestd, has " in controller
    assert "cluster lab is the site's own" in controller
    for report, hook in ((node, "Prolog"), (controller, "PrologSlurmctld")):
        assert f"  ok  {hook}={host.top}/usr/libexec/hpcobs/" in report


def test_tokens_are_never_readable_for_others(host: Host) -> None:
    assert host.shell("umask").output.strip() == "0022"
    node = host.output("hpcobs-forwarder doctor")[0]
    assert f"the token file {host.top}/etc/hpcobs/node.token has mode 600" in node


def test_removal_leaves_nothing_and_harms_no_job(host: Host) -> None:
    assert host.output(r"scontrol show config | sed -n '/libexec\/hpcobs/p'") == [""]
    left = [path for path in host.top.rglob("*hpcobs*") if "work" not in path.parts]
    assert [path for path in left if path.parent.name not in {"bin", "log"}] == []

    job_id = host.slurm.submit("true")

    host.slurm.wait_for(job_id, "COMPLETED")
    until(lambda: host.slurm.idle_nodes() == 1)
