"""A site whose hooks, nodes and controller post to a service, each with its own token."""

from __future__ import annotations

import gzip
import json
import random
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from hpcobs.auth import site_tokens
from tests.e2e.hooks import Hook, again, recorded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import httpx

    from tests.local.services import Service

RUNNING = "1000"
"""A job that never ends: the two-node job's start under another id."""

RUNS_SINCE = timedelta(seconds=60)


def token_of(service: Service, node: str | None) -> str:
    """Issue a token of a node or of the controller, with the service's secret."""
    return site_tokens.issue(
        (service.folder / "secret").read_text().strip(),
        subject=f"node-{node}" if node else "controller",
        scopes=("events:write", "samples:write") if node else ("events:write",),
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        node=node,
    )


class Sent(NamedTuple):
    """A sample that was sent, with the values that statistics use."""

    job_id: str
    node: str
    at: datetime
    cpu: float
    memory_mb: int
    gpu: float | None

    @property
    def entry(self) -> dict[str, Any]:
        """The sample in a batch."""
        entry = {
            "job_id": self.job_id,
            "timestamp": self.at.isoformat(),
            "cpu_usage": self.cpu,
            "memory_usage_mb": self.memory_mb,
        }
        if self.gpu is not None:
            entry["gpu_usage"] = self.gpu
            entry["gpus"] = [{"gpu_id": "0", "gpu_vendor": "nvidia", "power_watts": 250.5}]
        return entry


@dataclass
class Site:
    """Posts to a service, and records what it sent."""

    service: Service
    hooks: list[Hook]
    samples: list[Sent] = field(default_factory=list)
    entries_posted: int = 0
    responses: list[httpx.Response] = field(default_factory=list)

    @classmethod
    def at(cls, service: Service) -> Site:
        """Return a site whose recorded hooks were called in the last minutes."""
        now = datetime.now(UTC)
        hooks = recorded(last_at=now - timedelta(seconds=5))
        starts = [hook for hook in hooks if hook.job_id == "10" and hook.starts]
        later = (now - RUNS_SINCE) - starts[0].at
        hooks += [again(hook, job_id=RUNNING, later=later) for hook in starts]
        site = cls(service, hooks)
        site.samples = list(site.measured(random.Random(22)))
        return site

    def measured(self, random_: random.Random) -> Iterable[Sent]:
        """Yield some samples of each run on each node, between its start and its end."""
        for job_id, node, start, end in self.runs():
            for number in range(1, 9):
                yield Sent(
                    job_id,
                    node,
                    start + number * (end - start) / 10,
                    cpu=round(random_.uniform(0, 100), 2),
                    memory_mb=random_.randrange(1, 4000),
                    gpu=round(random_.uniform(0, 100), 1) if job_id in ("1", RUNNING) else None,
                )

    def runs(self) -> Iterable[tuple[str, str, datetime, datetime]]:
        """Yield job, node, start and end of each run on each node."""
        for hook in self.hooks:
            if hook.source != "prolog" or hook.node is None:
                continue
            ends = [
                other.at
                for other in self.hooks
                if (other.job_id, other.node, other.source) == (hook.job_id, hook.node, "epilog")
                and other.at > hook.at
            ]
            yield hook.job_id, hook.node, hook.at, min(ends, default=datetime.now(UTC))

    def post(self, path: str, body: Any, *, node: str | None = None, packed: bool = False) -> Any:
        """Post as a node or as the controller. Return the response, which must be a success."""
        content = json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        if packed:
            content, headers["content-encoding"] = gzip.compress(content), "gzip"
        with self.service.client(token_of(self.service, node)) as client:
            response = client.post(path, content=content, headers=headers)
        assert response.is_success, response.text
        self.responses.append(response)
        return response.json()

    def call(self, hooks: Iterable[Hook]) -> list[str]:
        """Post the hooks' events in this order, and return each one's status."""
        return [self.post(hook.path, hook.event, node=hook.node)["status"] for hook in hooks]

    def send(self, samples: Sequence[Sent], *, batch_id: str | None = None) -> str:
        """Post samples of one node as a batch, and return its id."""
        (node,) = {sample.node for sample in samples}
        body = {
            "node": node,
            "batch_id": batch_id or str(uuid.uuid4()),
            "cluster_name": "lab",
            "samples": [sample.entry for sample in samples],
            "host": {"cpus": 2, "memory_total_mb": 2000, "cpu_load": 0.5},
        }
        response = self.post("/v1/samples", body, node=node, packed=len(samples) > 3)
        assert response["accepted"] == len(samples)
        self.entries_posted += len(samples)
        return str(body["batch_id"])

    def scraped(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return a scrape as Prometheus's own parser reads it: values by name and labels."""
        with self.service.client() as client:
            text = client.get("/metrics").text
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def wait_for_collection(self, seconds: float = 100.0) -> None:
        """Wait until the queue is empty and every sample is stored."""
        deadline = time.monotonic() + seconds
        while True:
            scrape = self.scraped()
            stored = scrape["hpc_collector_samples_total", frozenset()]
            queued = scrape["hpc_collector_queue_depth", frozenset()]
            if stored >= len(self.samples) and not queued:
                return
            assert time.monotonic() < deadline, f"{stored} of {len(self.samples)}, {queued} queued"
            time.sleep(0.3)
