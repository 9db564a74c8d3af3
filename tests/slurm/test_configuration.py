"""The forwarder reads slurm.conf as Slurm does, and its doctor knows which hooks Slurm runs."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.daemon.config import Config
from hpcobs_forwarder.doctor import hooks
from hpcobs_forwarder.doctor import slurm as doctor
from hpcobs_forwarder.slurm_conf import read_conf
from tests.slurm.lab import NODES, Slurm, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.slurm.releases import Release

DISGUISED = r"""
prologflags = "Alloc,Contain"
MinJobAge=100
MINJOBAGE =77
# a comment \
KillWait=6
Include more.conf
MailDomain=a\#b # c
KillOnBad\
Exit = 1
  ReturnToService=1
UnkillableStepTimeout=\
  99
InClude more2.conf
Epilog=HOOK
"""
SHOWN = {
    "PrologFlags": "Alloc,Contain",
    "MinJobAge": "77",
    "KillWait": "7",
    "MailDomain": "a#b",
    "KillOnBadExit": "1",
    "ReturnToService": "1",
    "UnkillableStepTimeout": "99",
    "CompleteWait": "4",
}
HOOK = """\
#!/bin/sh
: hpcobs prolog_slurmctld epilog_slurmctld
echo $SLURM_SCRIPT_CONTEXT >>{calls}
"""


class Lab:
    """A Slurm whose slurm.conf changes, and hooks that write down their calls."""

    def __init__(self, slurm: Slurm) -> None:
        self.slurm = slurm
        self._calls = slurm.folder / "calls"
        self._calls.touch()
        self._calls.chmod(0o666)
        self.hook = slurm.folder / "hooks/hook"
        self.hook.write_text(HOOK.format(calls=self._calls))
        self.hook.chmod(0o755)
        self._before = slurm.conf.read_text()

    def write(self, text: str) -> None:
        """Add lines to the first slurm.conf."""
        self.slurm.conf.write_text(f"{self._before}\n{text}\n")

    def hooks_of_slurmctld(self, value: Path | str) -> None:
        """Set both hooks of slurmctld."""
        self.write(f"PrologSlurmctld={value}\nEpilogSlurmctld={value}\n")

    def restart(self) -> bool:
        """Restart slurmctld. Return whether it runs."""
        self.slurm.stop_controller()
        self.slurm.programs.attempt("slurmctld")
        until(lambda: self._has_refused() or self.all_idle())
        return not self._has_refused()

    def _has_refused(self) -> bool:
        return "failed to initialize prep plugin" in self.log()

    def all_idle(self) -> bool:
        """Return whether slurmctld responds, and no node has a job."""
        shown = self.slurm.programs.attempt("scontrol", "--oneliner", "show", "nodes").stdout
        return shown.count("State=IDLE ") == len(NODES)

    def log(self) -> str:
        """Return slurmctld's log."""
        return (self.slurm.folder / "ctld/slurmctld.log").read_text()

    def called(self) -> bool:
        """Run a job. Return whether slurmctld called both its hooks."""
        self._calls.write_text("")
        self.slurm.wait_for(self.slurm.submit("true"), "COMPLETED")
        until(self.all_idle)
        both = {"prolog_slurmctld", "epilog_slurmctld"}
        return both <= set(self._calls.read_text().split())

    def problems(self) -> str:
        """Return what the doctor finds about hooks and slurmctld's start."""
        config = Config("controller", "", "/absent", "/absent", "n1", interval_seconds=30.0)
        found = [*hooks.examine(config), *doctor.examine(config)]
        return "\n".join(one.text for one in found if one.level != "ok")


@pytest.fixture(scope="module")
def slurm(release: Release) -> Iterator[Slurm]:
    """Start Slurm alone. Commands wait for a slurmctld that does not run for two seconds."""
    slurm = Slurm(release)
    try:
        slurm.configure({}, MessageTimeout=2)
        yield slurm.start()
    finally:
        slurm.stop()


@pytest.fixture
def lab(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Yield the lab. Give Slurm its first configuration back."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    monkeypatch.setenv("PATH", f"{slurm.folder}/hooks/bin:{os.environ['PATH']}")
    _command(slurm, "scontrol")
    before = slurm.conf.read_text()
    yield Lab(slurm)
    slurm.conf.write_text(before)
    slurm.stop_controller()
    slurm.start_controller()
    until(lambda: slurm.idle_nodes() == len(NODES))


def _command(slurm: Slurm, name: str) -> None:
    """Make a command of this release available to the doctor, which looks in PATH."""
    path = slurm.folder / "hooks/bin" / name
    path.parent.mkdir(exist_ok=True)
    words = [f"'{word}'" for word in slurm.programs.installation.command(name, user="root")]
    environ = " ".join(f"{key}={value}" for key, value in slurm.programs.environ.items())
    path.write_text(f'#!/bin/sh\n{environ} exec {" ".join(words)} "$@"\n')
    path.chmod(0o755)


def test_settings_are_those_that_slurm_shows(lab: Lab) -> None:
    (lab.slurm.conf.parent / "more.conf").write_text("KillWait=7\n")
    (lab.slurm.conf.parent / "more2.conf").write_text("CompleteWait=4")
    lab.write(DISGUISED.replace("HOOK", str(lab.hook)))
    lab.slurm.control("reconfigure")
    until(lambda: "= 77 sec" in lab.slurm.control("show", "config"))

    conf = read_conf(str(lab.slurm.conf))

    assert conf is not None
    assert conf.unread == []
    shown = lab.slurm.control("show", "config")
    for name, value in SHOWN.items():
        assert conf.last(name) == value
        assert re.search(rf"(?m)^{name}\s+= {re.escape(value)}( sec)?$", shown)
    assert re.search(rf"(?m)^Epilog(\[0\])?\s+= {lab.hook}$", shown)


def test_reconfigure_starts_slurmctld_hooks_from_23_11(lab: Lab, release: Release) -> None:
    newer = release.version >= "23.11"
    lab.hooks_of_slurmctld(lab.hook)
    lab.slurm.control("reconfigure")
    until(lambda: str(lab.hook) in lab.slurm.control("show", "config"))

    assert lab.called() == newer
    assert ("changed after slurmctld had started" in lab.problems()) == (not newer)

    assert lab.restart()
    assert lab.called()
    assert "slurmctld had started" not in lab.problems()


def test_pattern_is_refused_by_slurmctld(lab: Lab, release: Release) -> None:
    lab.hooks_of_slurmctld(f"{lab.hook.parent}/ho*")

    started = lab.restart()

    assert started == (release.version < "23.11")
    assert not started or not lab.called()
    assert "Invalid PrologSlurmctld" in lab.log()
    assert "is a pattern: slurmctld refuses it" in lab.problems()
