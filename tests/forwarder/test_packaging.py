"""What is shipped besides the code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpcobs_forwarder import __version__
from hpcobs_forwarder.config import _SETTINGS, load

FORWARDER = Path(__file__).parents[2] / "forwarder"


def build(output: Path, *options: str) -> Path:
    command = [sys.executable, str(FORWARDER / "build_zipapp.py"), "--output", str(output)]
    subprocess.run([*command, *options], check=True, cwd="/")
    return output


def test_the_single_file_runs_anywhere_and_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = build(tmp_path / "a.pyz"), build(tmp_path / "b.pyz")

    told = subprocess.run(
        [sys.executable, str(first), "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
    )

    assert told.stdout.strip() == __version__
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size < 100_000


def test_the_single_file_can_carry_a_gpu_library(tmp_path: Path) -> None:
    library = tmp_path / "pynvml.py"
    library.write_text("raise ImportError('found me')\n")
    app = build(tmp_path / "app.pyz", "--with", str(library))
    config = {"HPCOBS_URL": "http://127.0.0.1:9", "HPCOBS_SPOOL_DIR": str(tmp_path)}

    told = subprocess.run(
        [sys.executable, str(app), "doctor"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HPCOBS_GPUS": "nvidia", **config},
    )

    assert "found me" in told.stdout


@pytest.mark.parametrize("role", ["node", "controller"])
def test_the_example_configuration_works_and_knows_only_real_settings(role: str) -> None:
    file = FORWARDER / f"examples/{role}.conf"
    config = load(role, str(file), {})
    assert config.url == "https://hpcobs.example.org"

    names = {
        line.lstrip("#").partition("=")[0]
        for line in file.read_text().splitlines()
        if line.lstrip("#").startswith(("HPCOBS_", "SLURM_"))
    }
    assert names <= {*_SETTINGS, "HPCOBS_HOOK_POST"}


@pytest.mark.parametrize("role", ["node", "controller"])
def test_the_units_keep_their_state_where_hooks_and_configuration_expect_it(role: str) -> None:
    suffix = "" if role == "node" else "-controller"
    unit = (FORWARDER / f"systemd/hpcobs-forwarder{suffix}.service").read_text()

    assert f"StateDirectory=hpcobs/{role}" in unit
    assert f"--role {role}" in unit
    assert load(role, "/none", {"HPCOBS_URL": "http://a"}).spool_dir == f"/var/lib/hpcobs/{role}"
    assert "CapabilityBoundingSet=\n" in unit


def test_the_hooks_are_executable() -> None:
    names = ("prolog", "epilog", "prolog_slurmctld", "epilog_slurmctld", "post")

    assert all(os.access(FORWARDER / "slurm" / name, os.X_OK) for name in names)
