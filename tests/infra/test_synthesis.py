"""Synthesis: offline, reproducible, and without findings that are not accepted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.paths import ROOT
from infra.synth import AS_THE_COMMAND_LINE_DOES, WITHOUT_BUILDING, synthesize

if TYPE_CHECKING:
    from constructs import IConstruct

    from infra.site.config import Site
    from tests.infra.template import Template

# The CDK always names a role's policy beside the role, though the one implies the other.
IGNORED = "W3005"


def _run(
    program: str, *arguments: str, folder: Path = ROOT, umask: int = 0o022, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program beside this Python, without an AWS account or configuration."""
    kept = {
        name: os.environ[name]
        for name in ("HOME", "LAYER_PYTHON", "PYENV_ROOT")
        if name in os.environ
    }
    return subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=folder,
        umask=umask,
        env={**kept, "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_template_is_independent_of_machine(template: Template, tmp_path: Path) -> None:
    copy = tmp_path / "another place"
    for part in ("infra", "functions", "layers", "lock", "sites"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "cdk.json", copy)
    command = ("-m", "infra.synth", "--site", "example", "--template-only", "--out", str(tmp_path))
    done = _run("python", *command, folder=copy, umask=0o077, PYTHONHASHSEED="4711")
    assert done.returncode == 0, done.stderr
    path = tmp_path / template.path.name
    assert done.stdout.startswith(f"{path} (")
    assert path.read_text() == template.text


def test_missing_site_is_reported_in_one_line() -> None:
    done = _run("python", "-m", "infra.synth", "--site", "nowhere")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["no nowhere.toml in sites/ (found: example)"]


def test_app_requires_site() -> None:
    done = _run("python", "app.py")
    assert done.returncode == 1
    assert done.stderr.startswith("which site? run: cdk deploy -c site=NAME")


def test_app_writes_same_template(template: Template, tmp_path: Path) -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    context |= AS_THE_COMMAND_LINE_DOES | WITHOUT_BUILDING | {"site": "example"}
    done = _run("python", "app.py", CDK_CONTEXT_JSON=json.dumps(context), CDK_OUTDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / template.path.name).read_text() == template.text


def test_synthesis_needs_no_account_lookup(template: Template) -> None:
    manifest = json.loads((template.path.parent / "manifest.json").read_text())
    assert "missing" not in manifest


def test_cfn_lint_reports_nothing(
    template: Template, other_template: Template, restored_template: Template
) -> None:
    templates = [str(one.path) for one in (template, other_template, restored_template)]
    regions = ("--regions", "eu-central-1", "us-west-2")
    done = _run("cfn-lint", *regions, "--ignore-checks", IGNORED, "--template", *templates)
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr


def test_accepted_findings_exist_on_their_constructs(
    example: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = _accepted_while(monkeypatch, example, tmp_path)
    found = _found(tmp_path)
    assert {rule for _, rule, _ in accepted} == {rule for _, rule in found}
    for path, rule, because in accepted:
        assert path.count("/") >= 2, "accepted on its construct, not on the stack"
        assert [where for where, what in found if what == rule and where.startswith(path)], (
            f"nothing to accept: {rule} at {path}"
        )
        assert len(because.split()) > 4


def _accepted_while(
    monkeypatch: pytest.MonkeyPatch, site: Site, out: Path
) -> list[tuple[str, str, str]]:
    """Synthesize, and return the acknowledgements, which are recorded instead of made."""
    recorded: list[tuple[str, str, str]] = []

    def record(construct: IConstruct, rule: str, *, because: str) -> None:
        recorded.append((construct.node.path, rule, because))

    for name, module in list(sys.modules.items()):
        if name.startswith("infra.") and hasattr(module, "accept"):
            monkeypatch.setattr(module, "accept", record)
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        synthesize(site, out=out, build=False)
    return recorded


def _found(out: Path) -> set[tuple[str, str]]:
    """Return the path and the rule of every finding in the CDK's report."""
    (report,) = json.loads((out / "validation-report.json").read_text())["pluginReports"]
    return {
        (construct["constructPath"], violation["ruleName"].removeprefix("AwsSolutions-"))
        for violation in report["violations"]
        for construct in violation["violatingConstructs"]
    }
