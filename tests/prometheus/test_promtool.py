"""promtool finds nothing wrong with our text, but for names that are older than this service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.prometheus.server import promtool

if TYPE_CHECKING:
    from tests.local.services import Service

OLDER_THAN_US = {
    'hpc_job_state_total non-counter metrics should not have "_total" suffix',
    'hpc_node_job_count non-histogram and non-summary metrics should not have "_count" suffix',
}
"""The names that sites' dashboards know from the service before."""


def test_promtool_minds_only_the_names_that_were_there_before(still: Service) -> None:
    with still.client() as client:
        text = client.get("/metrics").text
    checked = promtool("check", "metrics", text=text)
    assert set(checked.stderr.splitlines()) == OLDER_THAN_US, checked.stdout
