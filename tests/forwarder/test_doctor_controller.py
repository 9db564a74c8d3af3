"""The doctor beside slurmctld: its commands, its memory of jobs, slurmrestd's token."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from hpcobs_forwarder.daemon.config import Config
from hpcobs_forwarder.doctor.slurm import least_min_job_age
from tests.forwarder.doctors import (
    COMMANDS,
    SLURM_CONF,
    commands,
    config,
    controller,
    problems,
    slurm_file,
    token,
)

__all__ = ["config", "controller"]

NO_HISTORY = "the accounting database cannot be queried"


def others(config: Config) -> list[tuple[str, str, str]]:
    """Return the findings beside that of the missing accounting database."""
    found = [one for one in problems(config) if NO_HISTORY not in one.text]
    return [(one.level, one.text, one.fix) for one in found]


def test_controller_without_accounting_has_one_warning(controller: Config) -> None:
    (finding,) = problems(controller)

    assert finding.level == "warn"
    assert NO_HISTORY in finding.text


def test_unreachable_slurmctld_is_reported(controller: Config) -> None:
    commands(controller, scontrol="echo 'Unable to contact slurm controller' >&2; exit 1\n")

    ((level, text, _),) = others(controller)

    assert (level, "Unable to contact" in text) == ("FAIL", True)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("", None),
        ("MinJobAge=300", None),
        ("MinJobAge=0", None),
        ("minjobage = 86400", None),
        ("MinJobAge=299", "warn"),
        ("MinJobAge=10", "warn"),
        ("MinJobAge=x", "warn"),
        ("MinJobAge=-1", "warn"),
        ("MinJobAge=999\nMinJobAge=2", "warn"),
    ],
)
def test_min_job_age_is_demanded_without_accounting(
    controller: Config, line: str, level: str | None
) -> None:
    path = slurm_file(controller, SLURM_CONF.replace("MinJobAge=300", line))

    found = others(controller)

    assert [one[0] for one in found] == ([level] if level else [])
    if level:
        assert found[0][2].startswith(f"write MinJobAge=300 or more in {path}")


def test_min_job_age_follows_interval(controller: Config) -> None:
    assert least_min_job_age(controller.interval_seconds) == 300
    assert "MinJobAge=1200 or more" in others(controller._replace(interval_seconds=120.0))[0][2]


def test_min_job_age_is_free_with_accounting(controller: Config) -> None:
    commands(controller, sacct="echo '{\"jobs\": []}'\n")
    slurm_file(controller, SLURM_CONF.replace("MinJobAge=300", "MinJobAge=2"))

    assert problems(controller) == []


@pytest.mark.parametrize(
    ("version", "started", "included", "reported"),
    [
        ("22.05.8", -60, False, True),
        ("23.02.7", -60, False, True),
        ("22.05.8", -60, True, True),
        ("22.05.8", 60, False, False),
        ("23.11.1", -60, False, False),
        ("26.05.0", -60, False, False),
    ],
)
def test_slurmctld_older_than_its_hooks_is_reported(
    controller: Config, version: str, started: int, included: bool, reported: bool
) -> None:
    now = time.time()
    boot = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now + started))
    commands(
        controller, version, scontrol=COMMANDS["scontrol"].replace("2099-01-01T00:00:00", boot)
    )
    slurm_file(controller, "# hooks\n", "more.conf")
    path = slurm_file(controller, SLURM_CONF + "Include more.conf\n")
    if included:
        os.utime(path, (now - 3600, now - 3600))

    found = others(controller)

    assert len(found) == reported
    if reported:
        assert "changed after slurmctld had started" in found[0][1]
        assert "restart slurmctld" in found[0][2]


@pytest.mark.parametrize("answer", ["", "BOOT_TIME = ?\n", "SLURM_VERSION = x\nBOOT_TIME = 2 days"])
def test_unknown_start_of_slurmctld_is_no_finding(controller: Config, answer: str) -> None:
    script = COMMANDS["scontrol"].replace(
        "'show config')", f"'show config') printf '{answer}'; exit;;\n*x)"
    )
    commands(controller, scontrol=script)

    assert others(controller) == []


def slurmrestd(config: Config, **settings: Any) -> Config:
    return config._replace(slurmrestd_url="http://127.0.0.1:9", **settings)


def of_token(config: Config) -> list[tuple[str, str, str]]:
    return [one for one in others(config) if "cannot be queried by slurmrestd" not in one[1]]


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"sun": "slurm"}, None),
        ({"sun": "root"}, None),
        ({"sun": "ada"}, "of user ada, SLURM_AUTH_USER is slurm"),
        ({"sun": "slurm", "lifetime_seconds": -1}, "has expired"),
        ({"sun": "slurm", "lifetime_seconds": 100}, "expires in"),
        ({"sun": 1, "exp": "never"}, None),
        (None, "is no JWT"),
    ],
)
def test_token_for_slurmrestd_is_checked(
    controller: Config, tmp_path: Path, claims: dict[str, Any] | None, text: str | None
) -> None:
    file = tmp_path / "slurm.jwt"
    file.write_text("opaque" if claims is None else token(**claims))
    file.chmod(0o600)

    found = of_token(slurmrestd(controller, slurm_token_file=str(file)))

    assert [text in one[1] for one in found if text] == [True] * (text is not None)
    assert len(found) == (text is not None)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "without a token"),
        ({"slurm_token_file": "/absent"}, "there is no token"),
        ({"slurm_token_command": "/bin/false"}, "there is no token"),
        ({"slurm_token_command": "/bin/echo SLURM_JWT=x"}, "is no JWT"),
    ],
)
def test_missing_token_for_slurmrestd_is_reported(
    controller: Config, settings: dict[str, str], text: str
) -> None:
    assert any(text in one[1] for one in of_token(slurmrestd(controller, **settings)))


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("AuthAltTypes=auth/jwt", None),
        ("AuthType=auth/jwt", None),
        ("", "write AuthAltTypes=auth/jwt and AuthAltParameters=jwt_key=…"),
        ("AuthAltTypes=auth/x", "write AuthAltTypes=auth/x,auth/jwt and"),
    ],
)
def test_slurm_conf_allows_tokens_for_slurmrestd(
    controller: Config, line: str, fix: str | None
) -> None:
    slurm_file(controller, re.sub(r"(?m)^AuthAltTypes=.*$", line, SLURM_CONF))
    command = f"/bin/echo {token(sun='slurm')}"

    found = of_token(slurmrestd(controller, slurm_token_command=command))

    assert [one[2].startswith(fix) for one in found if fix] == [True] * (fix is not None)
    assert len(found) == (fix is not None)
