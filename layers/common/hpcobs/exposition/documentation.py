"""Generate ``docs/metrics.md`` from the table of families.

Run ``python -m hpcobs.exposition.documentation`` to write it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hpcobs.exposition.families import FAMILIES

if TYPE_CHECKING:
    from hpcobs.exposition.families import Family

PAGE = Path(__file__).parents[4] / "docs" / "metrics.md"

_OPENING = """\
# Metrics

<!-- Made by `python -m hpcobs.exposition.documentation`; change exposition/families.py instead. -->

Prometheus scrapes `GET /metrics` with a token of scope `metrics:read`. All values of a scrape come
from the database, from one moment. Every replica returns the same values, and counters never
decrease.

```yaml
scrape_configs:
  - job_name: hpcobs
    scrape_interval: 30s
    static_configs: [{targets: ["hpcobs.example.org"]}]
    scheme: https
    authorization: {credentials_file: /etc/prometheus/hpcobs.token}
```

If a site is too large for one response, scrape it in parts: use several scrape jobs that differ in
their `params`, such as `{"collect[]": [jobs]}`, or `{shard: ["0/4"]}` to `{shard: ["3/4"]}`. The
parts together hold every series once. See [Prometheus and Grafana](prometheus.md).

- The format is Prometheus text 0.0.4, or OpenMetrics 1.0 if the client accepts it. The response is
  compressed with gzip if the client accepts that.
- Without its database the service returns 503, never a part of the metrics. If the queue does not
  respond, only `hpc_collector_queue_depth` and `hpc_collector_dead_letters` are missing.
- Only running jobs have series of their own, so that finished jobs cost no series. A job on two
  nodes has two series, until it has ended on one of them.
- A value that was not read has no series. A missing reading is never shown as zero.
- A series shows the last reading. `hpc_node_last_seen_timestamp_seconds` shows its time, and the
  recording rules leave out nodes without recent readings. If a node reports, but no longer one of
  its GPUs, the GPU's series end after ten minutes.
- Usage that a client sets for a whole job (`PATCH`) appears on each of its nodes, with equal shares
  of the memory, until the node reports its own usage.
- Several clusters can share a site, and each may have a node `n1`. Series of nodes of the site's
  own cluster have no label `cluster`. Series of another cluster's nodes have it. To join by node,
  use `on (instance, cluster, node)`. The label is on each `hpc_job_info`.
- Each job that shares a GPU has a series of it, and each series has the reading of the whole GPU.
  For a sum over jobs, count each GPU once: `max by (instance, cluster, node, gpu_id) (…)`.
- `hpc_job_state_total` and `hpc_node_job_count` are gauges. `promtool check metrics` warns about
  their names, which are older than this service.
"""

_GROUPS = {
    "jobs": "Running jobs and their usage.",
    "gpus": "The last reading of each GPU of a running job.",
    "nodes": "The usage of each node by its jobs, and reports from node and controller.",
    "service": "The service, its queue and its database.",
}

_CLOSING = """
## How many series
A site with *j* running jobs on *n* nodes each, *g* GPUs in use, and *m* nodes has at most
4 *j* *n* + 3 *j* + 4 *g* + 9 *m* series, and 23 for each storage operation. For example, 10,000
jobs on two nodes each have 110,000 series: 9.4 MB, or 1.4 MB with gzip.
"""


def page() -> str:
    """Return the whole page."""
    groups = [_section(name, text) for name, text in _GROUPS.items()]
    return "".join([_OPENING, *groups, _CLOSING])


def _section(group: str, text: str) -> str:
    rows = [_row(family) for family in FAMILIES if family.group == group]
    heading = f"\n## `collect[]={group}`\n{text}\n\n"
    columns = "| family | meaning | type, unit | labels | one for each | example |\n"
    return heading + columns + "|---|---|---|---|---|---|\n" + "".join(rows)


def _row(family: Family) -> str:
    kind = ", ".join(filter(None, (family.type, family.unit)))
    labels = ", ".join(f"`{label}`" for label in family.labels)
    cells = (f"`{family.name}`", family.help, kind, labels, family.per, f"`{family.query}`")
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
