"""``docs/metrics.md``, made from the table of families.

``python -m hpcobs.exposition.documentation`` writes it.
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

`GET /metrics` answers a scrape, with a token of scope `metrics:read`. All values come from the
database, from one moment: every scrape of every replica says the same, and counters never go back.

```yaml
scrape_configs:
  - job_name: hpcobs
    scrape_interval: 30s
    static_configs: [{targets: ["hpcobs.example.org"]}]
    scheme: https
    authorization: {credentials_file: /etc/prometheus/hpcobs.token}
```

A site that is too large for one answer is scraped in parts, by jobs that differ in their
`params`: `{"collect[]": [jobs]}`, or `{shard: ["0/4"]}` to `{shard: ["3/4"]}`. The parts make up
the whole, and no series is in two of them. [Prometheus and Grafana](prometheus.md) has more.

- The answer is Prometheus text 0.0.4, or OpenMetrics 1.0 for those who accept it; gzip likewise.
- Without its database it is a 503, never half a page. A queue that does not answer costs only
  `hpc_collector_queue_depth` and `hpc_collector_dead_letters`.
- Only running jobs have series of their own, so that finished jobs cost nothing. A job on two nodes
  has two, until it has ended on one of them. What was not read has no series: nothing is ever zero
  for want of a reading.
- A series tells what was last heard. `hpc_node_last_seen_timestamp_seconds` tells when, and the
  recording rules leave out nodes that are silent. A GPU that is not read any more, while its node
  is heard, has no series after ten minutes.
- Usage that a client tells of a whole job (`PATCH`) shows on each of its nodes, memory in equal
  shares, until the node itself is heard.
- `hpc_job_state_total` and `hpc_node_job_count` are gauges: `promtool check metrics` minds their
  names, which are older than this service.
"""

_GROUPS = {
    "jobs": "What runs, and what it uses.",
    "gpus": "Each GPU of a running job, as it was last read.",
    "nodes": "What runs on each node, and what the node and the controller say of it.",
    "service": "hpcobs itself.",
}

_CLOSING = """
## How many series
A site with *j* running jobs on *n* nodes each, *g* GPUs in use, and *m* nodes has at most
4 *j* *n* + 3 *j* + 4 *g* + 9 *m* series, and 23 for each storage operation. 10,000 jobs on
two nodes each make 110,000 series: 9.4 MB, of which gzip leaves 1.4 MB.
"""


def page() -> str:
    """The whole page."""
    groups = [_section(name, text) for name, text in _GROUPS.items()]
    return "".join([_OPENING, *groups, _CLOSING])


def _section(group: str, text: str) -> str:
    rows = [_row(family) for family in FAMILIES if family.group == group]
    heading = f"\n## `collect[]={group}`\n{text}\n\n"
    columns = "| family | tells | type, unit | labels | one for each | example |\n"
    return heading + columns + "|---|---|---|---|---|---|\n" + "".join(rows)


def _row(family: Family) -> str:
    kind = ", ".join(filter(None, (family.type, family.unit)))
    labels = ", ".join(f"`{label}`" for label in family.labels)
    cells = (f"`{family.name}`", family.help, kind, labels, family.per, f"`{family.query}`")
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
