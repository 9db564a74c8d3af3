"""Check that slurm.conf names hooks of hpcobs, and that Slurm can run them."""

from __future__ import annotations

import glob
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.daemon.config import CONTROLLER, NODE
from hpcobs_forwarder.doctor.access import may_run
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.doctor.settings import place
from hpcobs_forwarder.doctor.version import slurm_version
from hpcobs_forwarder.slurm_conf import read_slurm_conf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config
    from hpcobs_forwarder.slurm_conf import SlurmConf

FOLDER = "/usr/libexec/hpcobs"
_SEVERAL_LINES = (24, 5)
"""The first version that runs all of several lines of one hook. Older ones run the last."""
_LONGEST_SCRIPT = 1 << 20


class _Hook(NamedTuple):
    """A setting of slurm.conf, our file for it, and what Slurm accepts and needs for a change."""

    setting: str
    file: str
    patterns: bool
    then: str

    @property
    def line(self) -> str:
        """The line to write in slurm.conf."""
        return f"{self.setting}={FOLDER}/{self.file}"


_REFUSED = "It runs no such hook, and does not start from 23.11 on"
_RECONFIGURE = "run scontrol reconfigure"
_RESTART = "restart slurmctld (scontrol reconfigure does not start its hooks before 23.11)"
_HOOKS = {
    NODE: (
        _Hook("Prolog", "prolog", patterns=True, then=_RECONFIGURE),
        _Hook("Epilog", "epilog", patterns=True, then=_RECONFIGURE),
    ),
    CONTROLLER: (
        _Hook("PrologSlurmctld", "prolog_slurmctld", patterns=False, then=_RESTART),
        _Hook("EpilogSlurmctld", "epilog_slurmctld", patterns=False, then=_RESTART),
    ),
}


def examine(config: Config) -> Iterator[Finding]:
    """Check the hooks of this role. Yield nothing where slurm.conf cannot be read."""
    conf = read_slurm_conf(config.root)
    if conf is None:
        return
    for hook in _HOOKS[config.role]:
        lines = conf.all(hook.setting)
        if not lines:
            yield warning(
                f"{conf.path} sets no {hook.setting}, so hpcobs gets no events from it",
                f"write {hook.line} in {place(conf)}, then {hook.then}",
            )
            continue
        run = _run_by_slurm(lines)
        if len(run) < len(lines):
            yield _only_last(conf, hook, lines)
        user = conf.last("SlurmUser") if config.role == CONTROLLER else None
        yield from _lines(conf, hook, run, user)


def _run_by_slurm(lines: list[str]) -> list[str]:
    if len(lines) == 1:
        return lines
    version = slurm_version()
    return lines if version is not None and version >= _SEVERAL_LINES else lines[-1:]


def _only_last(conf: SlurmConf, hook: _Hook, lines: list[str]) -> Finding:
    return warning(
        f"{conf.path} sets {hook.setting} {len(lines)} times: Slurm before 24.05 runs only the "
        f"last, {lines[-1]}",
        f"keep one line {hook.setting}=…, whose script calls the others and {FOLDER}/{hook.file}",
    )


def _lines(conf: SlurmConf, hook: _Hook, lines: list[str], user: str | None) -> Iterator[Finding]:
    ours = False
    for value in lines:
        files = _files(conf, hook, value)
        problem = _problem(hook, value, files, user)
        if problem is not None:
            yield problem
            ours = True  # one finding is enough
            continue
        calls = any(_is_ours(file, hook.file) for file in files)
        ours = ours or calls
        if calls:
            yield ok(f"{hook.setting}={value}")
    if not ours:
        yield warning(
            f"{hook.setting}={', '.join(lines)} in slurm.conf is no hook of hpcobs, and names none",
            f"call {FOLDER}/{hook.file} from it, or write {hook.line}, then {hook.then}; ignore "
            "this if it calls ours in another way",
        )


def _files(conf: SlurmConf, hook: _Hook, value: str) -> list[str]:
    # slurmd allows a pattern such as prolog.d/*, and a path relative to slurm.conf.
    if not hook.patterns:
        return [value] if os.path.exists(value) else []
    return sorted(glob.glob(os.path.join(os.path.dirname(conf.path), value)))


def _problem(hook: _Hook, value: str, files: list[str], user: str | None) -> Finding | None:
    if not hook.patterns and not os.path.isabs(value):
        return failure(
            f"{hook.setting}={value} in slurm.conf is not an absolute path, as slurmctld needs",
            f"write {hook.line}, then {hook.then}",
        )
    if not hook.patterns and not files and glob.has_magic(value):
        return failure(
            f"{hook.setting}={value} in slurm.conf is a pattern: slurmctld refuses it. {_REFUSED}",
            f"write {hook.line}, then {hook.then}",
        )
    if not files:
        effect = "Jobs fail on this host" if hook.patterns else _REFUSED
        return failure(
            f"{hook.setting}={value} in slurm.conf: there is no such file. {effect}",
            f"install the file, or write {hook.line}, then {hook.then}",
        )
    closed = [file for file in files if not os.path.isfile(file) or not may_run(file, user)]
    if closed:
        by = f"by {user}" if user else "by root"
        return failure(
            f"{hook.setting} in slurm.conf: {closed[0]} is not executable {by}, so the hook fails",
            f"chmod 755 {closed[0]}",
        )
    return None


def _is_ours(path: str, name: str) -> bool:
    """Return whether a file is our hook ``name``, or a script that calls it."""
    real = os.path.realpath(path)
    if os.path.exists(os.path.join(os.path.dirname(real), "hook.sh")):
        return os.path.basename(real) == name
    try:
        with open(real, "rb") as script:
            lines = script.read(_LONGEST_SCRIPT).splitlines()
    except OSError:
        return False
    code = b"\n".join(line for line in lines if not line.lstrip().startswith(b"#"))
    # The folder may be in a variable, so the two need not be beside each other.
    return b"hpcobs" in code.lower() and re.search(rb"\b%b\b" % name.encode(), code) is not None
