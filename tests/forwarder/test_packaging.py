"""The shipped files: zipapp, wheel, units, examples, hooks. And the Python that they run on."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder import __version__
from hpcobs_forwarder.daemon.config import _SETTINGS, load
from infra.build.bytecode import compiler
from tests.forwarder.daemon import Node

if TYPE_CHECKING:
    from tests.forwarder.fake_site import Site

FORWARDER = Path(__file__).parents[2] / "forwarder"
SOURCE = FORWARDER / "src"
OLDEST_PYTHON = (3, 9)
MOST_EXPOSED = 25
"""Limit for the exposure by systemd-analyze, 0 to 100. Most services have more than 90."""


def build(output: Path, *options: str) -> Path:
    command = [sys.executable, str(FORWARDER / "build_zipapp.py"), "--output", str(output)]
    subprocess.run([*command, *options], check=True, cwd="/")
    return output


def test_zipapp_runs_anywhere_and_is_reproducible(tmp_path: Path) -> None:
    first, second = build(tmp_path / "a.pyz"), build(tmp_path / "b.pyz")

    ended = subprocess.run(
        [sys.executable, str(first), "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
    )

    assert ended.stdout.strip() == __version__
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size < 180_000


def test_single_file_has_same_code_and_line_numbers(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path / "a.pyz")) as archive:
        modules = {name: archive.read(name).decode() for name in archive.namelist()}
    del modules["__main__.py"]

    for name, packed in modules.items():
        source = (SOURCE / name).read_text()
        assert ast.dump(ast.parse(packed)) == ast.dump(ast.parse(source))
        assert packed.count("\n") == source.count("\n")


def test_zipapp_can_contain_gpu_library(tmp_path: Path) -> None:
    library = tmp_path / "pynvml.py"
    library.write_text("raise ImportError('found me')\n")
    app = build(tmp_path / "app.pyz", "--with", str(library))
    config = {"HPCOBS_URL": "http://127.0.0.1:9", "HPCOBS_SPOOL_DIR": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, str(app), "doctor"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HPCOBS_GPUS": "nvidia", **config},
    )

    assert "found me" in ended.stdout


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: file.stem)
def test_source_is_python_3_9(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=OLDEST_PYTHON)


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13"])
def test_zipapp_works_on_every_python(tmp_path: Path, site: Site, version: str) -> None:
    python = compiler(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    app = build(tmp_path / "app.pyz")
    node = Node(tmp_path, site)

    def run(*arguments: str) -> str:
        options = ["--config", str(node.config), "--sysfs-root", str(tmp_path)]
        command = [python, "-I", "-W", "error", str(app), *arguments, *options]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert "Error" not in ended.stderr, ended.stderr
        return ended.stdout

    assert json.loads(run("--dry-run"))["samples"][0]["job_id"] == "7"
    assert "CPU%" in run("jobs")
    assert "cgroup_v2: 1 jobs are running" in run("doctor")
    run("--once")
    assert [len(body["samples"]) for body in site.accepted()] == [1]


def test_wheel_contains_hooks_units_and_examples(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, check=True, cwd=FORWARDER, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        modes = {entry.filename: entry.external_attr >> 16 for entry in packed.infolist()}
        (metadata,) = (name for name in modes if name.endswith("/METADATA"))
        metadata_text = packed.read(metadata).decode()
    data = f"hpcobs_forwarder-{__version__}.data/data"

    assert wheel.name == f"hpcobs_forwarder-{__version__}-py3-none-any.whl"
    assert "Requires-Python: >=3.9" in metadata_text
    assert [line for line in metadata_text.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: nvidia-ml-py; extra == 'nvidia'"
    ]
    assert modes[f"{data}/libexec/hpcobs/prolog"] & 0o111
    assert f"{data}/share/hpcobs/systemd/hpcobs-forwarder.service" in modes
    assert f"{data}/share/hpcobs/examples/node.conf" in modes


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
@pytest.mark.parametrize("unit", ["hpcobs-forwarder", "hpcobs-forwarder-controller"])
def test_systemd_accepts_units_as_sandboxed(tmp_path: Path, unit: str) -> None:
    text = (FORWARDER / f"systemd/{unit}.service").read_text()
    file = tmp_path / f"{unit}.service"
    file.write_text(text.replace("/usr/bin/hpcobs-forwarder", shutil.which("true") or ""))
    least_exposed = ["security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(file)]

    for arguments in (["verify", "--man=no", str(file)], least_exposed):
        ended = subprocess.run(
            ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert ended.stderr == ""


@pytest.mark.parametrize("role", ["node", "controller"])
def test_example_configuration_has_only_real_settings(role: str) -> None:
    file = FORWARDER / f"examples/{role}.conf"
    config = load(role, str(file), {})
    assert config.url == "https://hpcobs.example.org"
    assert in_example(role) <= {*_SETTINGS, "HPCOBS_HOOK_POST"}


def test_examples_together_contain_every_setting() -> None:
    of_tests = {"HPCOBS_ROOT"}
    assert in_example("node") | in_example("controller") >= set(_SETTINGS) - of_tests


def in_example(role: str) -> set[str]:
    """Return the settings in an example file, also those in comments."""
    lines = (FORWARDER / f"examples/{role}.conf").read_text().splitlines()
    names = [line.lstrip("#").partition("=")[0] for line in lines]
    return {name for name in names if name.startswith(("HPCOBS_", "SLURM_"))}


@pytest.mark.parametrize("role", ["node", "controller"])
def test_unit_state_folder_matches_configuration(role: str) -> None:
    suffix = "" if role == "node" else "-controller"
    unit = (FORWARDER / f"systemd/hpcobs-forwarder{suffix}.service").read_text()

    assert f"StateDirectory=hpcobs/{role}\n" in unit
    assert f"RuntimeDirectory=hpcobs/{role}\n" in unit
    # A stop must not remove what hooks keep there.
    assert "RuntimeDirectoryPreserve=yes\n" in unit
    assert f"--role {role}" in unit
    config = load(role, "/none", {"HPCOBS_URL": "http://a"})
    assert config.spool_dir == f"/var/lib/hpcobs/{role}"
    assert config.fallback_dir == f"/run/hpcobs/{role}"
    # Without it, slurmd does not print its list of GPUs.
    capabilities = "CAP_SETGID" if role == "node" else ""
    assert f"CapabilityBoundingSet={capabilities}\n" in unit


def test_hooks_are_executable() -> None:
    names = ("prolog", "epilog", "prolog_slurmctld", "epilog_slurmctld", "post")

    assert all(os.access(FORWARDER / "slurm" / name, os.X_OK) for name in names)
