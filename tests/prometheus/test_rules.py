"""Rules, alerts and scrape configs are valid, and each alert has a runbook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.prometheus.server import promtool

ROOT = Path(__file__).parents[2]
DASHBOARDS = ROOT / "dashboards"
RULES = sorted((DASHBOARDS / "rules").glob("*.yml"))
SCRAPES = sorted((DASHBOARDS / "scrape").glob("*prometheus*.yml"))


def test_promtool_accepts_the_rules() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, RULES))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_rules_pass_their_own_tests() -> None:
    tests = sorted((DASHBOARDS / "rules" / "tests").glob("*.yml"))
    tested = promtool("test", "rules", *map(str, tests))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_tested_both_ways() -> None:
    text = "".join(path.read_text() for path in (DASHBOARDS / "rules" / "tests").glob("*.yml"))
    names = {alert["alert"] for alert in alerts()}
    assert set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n", text)) == names
    assert set(re.findall(r"alertname: (\w+)\n\s+exp_alerts: \[\]\n", text)) == names


def test_every_record_is_tested() -> None:
    text = (DASHBOARDS / "rules" / "tests" / "jobs.yml").read_text()
    groups = yaml.safe_load((DASHBOARDS / "rules" / "recording.yml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert f"expr: {rule['record']}\n" in text


def test_alert_for_jobs_owner_names_owner() -> None:
    for alert in alerts():
        if alert["labels"]["severity"] == "user":
            assert "$labels.user" in alert["annotations"]["summary"]


@pytest.mark.parametrize("path", SCRAPES, ids=lambda path: path.stem)
def test_promtool_accepts_the_scrape_configs(path: Path, tmp_path: Path) -> None:
    # A site has tokens and rules in /etc/prometheus. Here they are beside the config.
    text = path.read_text().replace("/etc/prometheus/", f"{tmp_path}/")
    for name in ("hpcobs.token", "remote-write.token"):
        (tmp_path / name).touch()
    (tmp_path / "hpcobs").symlink_to(DASHBOARDS / "rules")
    config = tmp_path / "prometheus.yml"
    config.write_text(text)
    agent = ["--agent"] if path.stem == "prometheus-agent" else []
    checked = promtool("check", "config", *agent, str(config))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def alerts() -> list[dict[str, dict[str, str]]]:
    text = (DASHBOARDS / "rules" / "alerts.yml").read_text()
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_every_alert_has_a_runbook() -> None:
    page = (ROOT / "docs" / "prometheus.md").read_text()
    headings = {line[4:].lower() for line in page.splitlines() if line.startswith("### ")}
    runbooks = {
        alert["annotations"]["runbook"].removeprefix("docs/prometheus.md#") for alert in alerts()
    }
    assert runbooks == headings
