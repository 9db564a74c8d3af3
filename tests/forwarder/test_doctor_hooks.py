"""The doctor's findings about hooks in slurm.conf."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hpcobs_forwarder.daemon.config import Config
from tests.forwarder.doctors import (
    HOOKS,
    SLURM_CONF,
    commands,
    config,
    controller,
    node,
    problems,
    slurm_file,
)

__all__ = ["config", "controller", "node"]

SETTINGS = ("Prolog", "Epilog", "PrologSlurmctld", "EpilogSlurmctld")
FILES = dict(zip(SETTINGS, ("prolog", "epilog", "prolog_slurmctld", "epilog_slurmctld")))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    """Make hooks of a site: one calls ours, one does not, and one cannot be run."""
    made = tmp_path / "hooks"
    made.mkdir()
    for name, mode, text in (
        ("calls", 0o755, f"H=/usr/libexec/hpcobs\n$H/{'; $H/'.join(FILES.values())}"),
        ("comment", 0o755, f"# /usr/libexec/hpcobs/{' '.join(FILES.values())}"),
        ("wrong", 0o755, "/usr/libexec/hpcobs/post"),
        ("foreign", 0o755, "true"),
        ("closed", 0o644, "hpcobs"),
    ):
        (made / name).write_text(f"#!/bin/sh\n{text}\n")
        (made / name).chmod(mode)
    (made / "d").mkdir()
    (made / "d/a").symlink_to(made / "calls")
    (made / "d/b").symlink_to(made / "foreign")
    return made


def found_for(
    request: pytest.FixtureRequest, setting: str, lines: list[str]
) -> list[tuple[str, str, str]]:
    role = "controller" if setting.endswith("Slurmctld") else "node"
    config: Config = request.getfixturevalue(role)
    text = re.sub(rf"(?m)^{setting}=.*\n", "", SLURM_CONF)
    lines = [line.format(hooks=Path(config.root, "hooks"), ours=HOOKS) for line in lines]
    slurm_file(config, text + "".join(f"{setting}={line}\n" for line in lines))
    found = [one for one in problems(config) if setting in one.text + one.fix]
    return [(one.level, one.text, one.fix) for one in found]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    ("lines", "level", "text"),
    [
        (["{ours}/FILE"], None, ""),
        (["{hooks}/calls"], None, ""),
        (['"{hooks}/calls"'], None, ""),
        ([], "warn", "sets no SETTING, so hpcobs gets no events from it"),
        (["{hooks}/foreign"], "warn", "is no hook of hpcobs"),
        (["{hooks}/comment"], "warn", "is no hook of hpcobs"),
        (["{hooks}/wrong"], "warn", "is no hook of hpcobs"),
        (["{ours}/post"], "warn", "is no hook of hpcobs"),
        (["{hooks}/away"], "FAIL", "there is no such file"),
        (["{hooks}/closed"], "FAIL", "closed is not executable by root"),
        (["{hooks}/d"], "FAIL", "is not executable by root"),
        (["{hooks}/calls", "{hooks}/foreign"], "warn", "SETTING 2 times"),
    ],
)
def test_hook_is_ours_and_can_run(
    request: pytest.FixtureRequest, setting: str, lines: list[str], level: str | None, text: str
) -> None:
    lines = [line.replace("FILE", FILES[setting]) for line in lines]

    found = found_for(request, setting, lines)

    assert bool(found) == (level is not None)
    if level is not None:
        assert found[0][0] == level
        assert text.replace("SETTING", setting) in found[0][1]


@pytest.mark.parametrize("setting", SETTINGS)
def test_another_hook_of_ours_is_no_match(request: pytest.FixtureRequest, setting: str) -> None:
    other = "epilog" if FILES[setting] == "prolog" else "prolog"

    ((level, text, _),) = found_for(request, setting, [f"{{ours}}/{other}"])

    assert (level, "is no hook of hpcobs" in text) == ("warn", True)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("pattern", ["{hooks}/d/*", "{hooks}/d/[a-b]", "{hooks}/cal?s"])
def test_pattern_is_for_slurmd_only(
    request: pytest.FixtureRequest, setting: str, pattern: str
) -> None:
    found = found_for(request, setting, [pattern])

    if setting in {"Prolog", "Epilog"}:
        assert found == []
        return
    ((level, text, fix),) = found
    assert level == "FAIL"
    assert "is a pattern: slurmctld refuses it" in text
    assert fix.startswith(f"write {setting}=/usr/libexec/hpcobs/{FILES[setting]}, then restart")


@pytest.mark.parametrize("setting", ["PrologSlurmctld", "EpilogSlurmctld"])
def test_fix_of_slurmctld_hook_is_restart(request: pytest.FixtureRequest, setting: str) -> None:
    ((_, _, fix),) = found_for(request, setting, [])

    assert "restart slurmctld" in fix


@pytest.mark.parametrize("setting", ["PrologSlurmctld", "EpilogSlurmctld"])
def test_relative_path_is_no_slurmctld_hook(request: pytest.FixtureRequest, setting: str) -> None:
    ((level, text, _),) = found_for(request, setting, ["hooks/calls"])

    assert (level, "absolute path" in text) == ("FAIL", True)


def test_relative_path_of_prolog_is_beside_slurm_conf(node: Config) -> None:
    text = re.sub(r"(?m)^Prolog=.*$", "Prolog=../../hooks/calls", SLURM_CONF)
    slurm_file(node, text)

    assert problems(node) == []


@pytest.mark.parametrize(
    ("version", "ours_first", "count"),
    [("22.05.8", True, 2), ("23.11.1", False, 1), ("24.05.0", True, 0), ("26.05.1", False, 0)],
)
def test_several_lines_count_from_24_05(
    node: Config, folder: Path, version: str, ours_first: bool, count: int
) -> None:
    commands(node, version)
    lines = [f"Prolog={HOOKS}/prolog\n", f"Prolog={folder}/foreign\n"]
    text = re.sub(r"(?m)^Prolog=.*\n", "", SLURM_CONF)
    slurm_file(node, text + "".join(lines if ours_first else lines[::-1]))

    assert len(problems(node)) == count


def test_hook_must_be_executable_for_slurm_user(controller: Config, folder: Path) -> None:
    (folder / "calls").chmod(0o700)
    text = re.sub(r"(?m)^(PrologSlurmctld)=.*$", rf"\1={folder}/calls", SLURM_CONF)
    slurm_file(controller, text.replace("SlurmUser=root", "SlurmUser=nobody"))

    texts = [finding.text for finding in problems(controller)]

    assert any("calls is not executable by nobody" in text for text in texts)
