"""``hpcobs site`` writes and checks a site's file, ``hpcobs cost`` estimates a site's cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.site.config import load_site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

GIVEN = ("--account=123456789012", "--region=eu-west-1", "--cluster-name=deep thought")


def test_init_writes_valid_file_with_options(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "sites"
    given = (*GIVEN, "--email=a@example.org", "--email=b@example.org", f"--folder={folder}")
    assert run("site", "init", "lab", *given).status == 0
    site = load_site("lab", folder=folder)
    assert (site.account, site.region, site.cluster_name) == (
        "123456789012",
        "eu-west-1",
        "deep thought",
    )
    assert site.alarms.emails == ["a@example.org", "b@example.org"]
    assert "# gp3, encrypted" in (folder / "lab.toml").read_text()
    checked = run("site", "check", "lab", f"--folder={folder}").output
    assert checked == (
        "valid: stack hpcobs-lab in account 123456789012, eu-west-1, for cluster deep thought\n"
    )


def test_existing_file_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text("mine")
    result = run("site", "init", "lab", *GIVEN, f"--folder={tmp_path}")
    assert (result.status, "exists already" in result.errors) == (1, True)
    assert (tmp_path / "lab.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "option", "complaint"),
    [
        ("lab", "--account=1", "account"),
        ("lab", "--region=moon-1", "region"),
        ("Lab", "--region=eu-west-1", "name"),
    ],
)
def test_invalid_option_writes_no_file(
    run: Run, tmp_path: Path, name: str, option: str, complaint: str
) -> None:
    result = run("site", "init", name, *GIVEN, option, f"--folder={tmp_path}")
    assert result.status == 1
    assert complaint in result.errors
    assert not list(tmp_path.iterdir())


def test_quotes_and_control_characters_are_escaped(run: Run, tmp_path: Path) -> None:
    name = '--cluster-name=a"b\\c\n[database]'
    assert run("site", "init", "lab", *GIVEN[:2], name, f"--folder={tmp_path}").status == 0
    assert load_site("lab", folder=tmp_path).cluster_name == 'a"b\\c[database]'


def test_missing_site_prints_one_line(run: Run, tmp_path: Path) -> None:
    result = run("site", "check", "nowhere", f"--folder={tmp_path}")
    assert (result.status, result.errors.count("\n")) == (1, 1)


def test_cost_is_listed_by_service(run: Run) -> None:
    shown = run("cost", "--nodes=400", "--jobs=2000").output
    assert "RDS: instance" in shown
    assert "List prices of us-east-1" in shown
    estimate = json.loads(run("cost", "--nodes=400", "--jobs=2000", "--json").output)
    assert estimate["total"] == pytest.approx(sum(estimate["usd_a_month"].values()))


def test_too_large_site_fails_with_advice(run: Run) -> None:
    result = run("cost", "--nodes=100000", "--jobs=9000000")
    assert (result.status, "several sites" in result.errors) == (1, True)
