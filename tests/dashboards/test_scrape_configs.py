"""Scrape configs that promtool cannot check: their parts refer to each other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "dashboards" / "scrape"
PARTS: dict[str, Any] = {
    part["kind"]: part for part in yaml.safe_load_all((FOLDER / "servicemonitor.yml").read_text())
}
(MONITORED,) = PARTS["ServiceMonitor"]["spec"]["endpoints"]


def test_service_monitor_selects_service_and_endpoints() -> None:
    service, endpoints = PARTS["Service"], PARTS["Endpoints"]
    labels = service["metadata"]["labels"]
    assert PARTS["ServiceMonitor"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels[PARTS["ServiceMonitor"]["spec"]["jobLabel"]] == "hpcobs"
    assert endpoints["metadata"]["name"] == service["metadata"]["name"]
    (subset,) = endpoints["subsets"]
    assert subset["ports"] == service["spec"]["ports"]
    assert MONITORED["port"] in {port["name"] for port in subset["ports"]}


def test_service_monitor_replaces_address() -> None:
    replaced = {rule["targetLabel"]: rule["replacement"] for rule in MONITORED["relabelings"]}
    (target,) = PARTS["ScrapeConfig"]["spec"]["staticConfigs"][0]["targets"]
    assert replaced == {"__address__": target, "instance": target}


def test_both_kubernetes_configs_use_secret_token() -> None:
    secret = PARTS["Secret"]
    for config in (MONITORED, PARTS["ScrapeConfig"]["spec"]):
        credentials = config["authorization"]["credentials"]
        assert credentials["name"] == secret["metadata"]["name"]
        assert credentials["key"] in secret["stringData"]


def test_page_lists_every_config() -> None:
    page = (FOLDER.parents[1] / "docs" / "prometheus.md").read_text()
    assert set(re.findall(r"^\| `([\w.-]+)` \|", page, re.MULTILINE)) == {
        path.name for path in FOLDER.iterdir()
    }


def test_every_config_scrapes_securely_with_token() -> None:
    for path in FOLDER.iterdir():
        text = path.read_text()
        assert re.search(r"scheme\s*[:=]\s*\"?https", text, re.IGNORECASE), path
        assert re.search(r"(scrape_?)?interval\s*[:=]\s*\"?30s", text, re.IGNORECASE), path
        assert re.search(r"credentials", text), path
        assert re.search(r"(scrape_|scrape|: )timeout\s*[:=]\s*\"?20s", text, re.IGNORECASE), path
