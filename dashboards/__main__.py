"""``python -m dashboards``: write the dashboards' JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from dashboards import gpus, job, jobs, nodes, service
from dashboards.as_json import to_json

if TYPE_CHECKING:
    from dashboards.model import Dashboard

DASHBOARDS = (jobs.DASHBOARD, job.DASHBOARD, nodes.DASHBOARD, gpus.DASHBOARD, service.DASHBOARD)
FOLDER = Path(__file__).parent / "grafana"


def text_of(dashboard: Dashboard) -> str:
    """Return the content of the dashboard's file."""
    return json.dumps(to_json(dashboard), indent=1, ensure_ascii=False) + "\n"


def path_of(dashboard: Dashboard) -> Path:
    """Return the path of the dashboard's file."""
    return FOLDER / f"{dashboard.uid}.json"


if __name__ == "__main__":
    for each in DASHBOARDS:
        path_of(each).write_text(text_of(each))
