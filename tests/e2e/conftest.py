"""A service that received the recorded hooks of a real cluster."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e.site import Site
from tests.local.services import Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.e2e.site import Sent

ENVIRON = {"CLUSTER_NAME": "lab", "COLLECT_INTERVAL_SECONDS": "1"}


@pytest.fixture(scope="package")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a site whose hooks, samples and controller's view have all been stored."""
    folder = tmp_path_factory.mktemp("replayed") / "data"
    with Service(folder, "--no-simulate", environ=ENVIRON) as service:
        site = Site.at(service)
        replay(site)
        site.wait_for_collection()
        yield site


def replay(site: Site) -> None:
    """Send samples in disorder and twice, some before their job, and hooks, some out of order."""
    shuffled = site.samples.copy()
    random.Random(1).shuffle(shuffled)
    half = len(shuffled) // 2
    send_by_node(site, shuffled[:half])
    backwards = [hook for hook in site.hooks if hook.job_id == "1"]
    site.call(reversed(backwards))
    site.call(hook for hook in site.hooks if hook.job_id != "1")
    send_by_node(site, shuffled[half:])
    send_by_node(site, shuffled[half // 2 : half])
    site.post("/v1/events/jobs", controllers_view(site))


def send_by_node(site: Site, samples: Sequence[Sent]) -> None:
    """Send batches of a few samples, and the first batch of each node twice."""
    for node in sorted({sample.node for sample in samples}):
        own = [sample for sample in samples if sample.node == node]
        batches = [own[first : first + 7] for first in range(0, len(own), 7)]
        batch_id = site.send(batches[0])
        for batch in batches[1:]:
            site.send(batch)
        site.send(batches[0], batch_id=batch_id)


def controllers_view(site: Site) -> dict[str, object]:
    """Return facts that only the controller has: a cancellation, and why a job was killed."""
    return {
        "observed_at": datetime.now(UTC).isoformat(),
        "cluster_name": "lab",
        "jobs": [
            scheduler_job(site, "7", "CANCELLED by 33", signal=15),
            scheduler_job(site, "5", "OUT_OF_MEMORY", signal=125),
        ],
        "nodes": [{"node": name, "state": "MIXED", "cpus": 2} for name in ("n1", "n2")],
    }


def scheduler_job(site: Site, job_id: str, state: str, *, signal: int) -> dict[str, object]:
    starts = [hook for hook in site.hooks if hook.job_id == job_id and hook.starts]
    ends = [hook for hook in site.hooks if hook.job_id == job_id and not hook.starts]
    return {
        "job_id": job_id,
        "user": "www-data",
        "state": state,
        "node_list": starts[0].event["node_list"],
        "start_time": starts[0].at.isoformat(),
        "end_time": max(hook.at for hook in ends).isoformat(),
        "exit_code": 0,
        "signal": signal,
        "restart_count": 0,
    }
