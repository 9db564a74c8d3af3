"""Post events and batches until they are acknowledged, as hooks and forwarders do."""

from __future__ import annotations

import gzip
import json
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from hpcobs.auth import site_tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.books.messages import Batch, Event

GIVE_UP_SECONDS = 90.0
"""It only ends a test that fails."""
PAUSE_SECONDS = 0.1


@dataclass
class Sender:
    """Everything that posts to one service, with a token for each node and cluster.

    ``url`` returns the service's address, which changes when it starts again. ``retries`` counts
    attempts without an answer: such a message may have arrived, and comes again.
    """

    folder: Path
    url: Callable[[], str]
    retries: int = 0
    answers: dict[str, tuple[Event, str]] = field(default_factory=dict)
    """Each event and the service's answer, by correlation id."""
    correlation_ids: set[str] = field(default_factory=set)
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=20))
    _tokens: dict[tuple[str, str | None], str] = field(default_factory=dict)

    def event(self, event: Event) -> None:
        """Post an event."""
        correlation_id = uuid.uuid4().hex
        self.correlation_ids.add(correlation_id)
        response = self._post(event.path, event.body, event.cluster, event.node, correlation_id)
        assert response.is_success, (event, response.text)
        answer = response.json()
        result = answer["results"][0] if "results" in answer else answer
        assert result["status"] in ("created", "updated", "skipped"), (event, answer)
        self.answers[correlation_id] = (event, result["status"])

    def batch(self, batch: Batch, phase: int) -> None:
        """Post a batch. It has to be accepted with its good samples, or rejected without any."""
        response = self._post("/v1/samples", batch.body, batch.cluster, batch.node, None)
        good = sum(entry.sample is not None for entry in batch.entries)
        if good == 0 and batch.entries:
            assert response.status_code == httpx.codes.BAD_REQUEST, response.text
            return
        assert response.status_code == httpx.codes.ACCEPTED, (batch, response.text)
        assert response.json()["accepted"] == good, (batch, response.text)
        batch.deliveries.append(phase)

    def _post(
        self, path: str, body: Any, cluster: str, node: str | None, correlation_id: str | None
    ) -> httpx.Response:
        content = gzip.compress(json.dumps(body).encode())
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        headers["authorization"] = f"Bearer {self._token(cluster, node)}"
        if correlation_id:
            headers["x-correlation-id"] = correlation_id
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                response = self._client.post(self.url() + path, content=content, headers=headers)
                if response.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    return response
                problem: object = response.text
            except (OSError, httpx.TransportError) as error:
                problem = error
            self.retries += 1
            assert time.monotonic() < deadline, f"{path}: {problem}"
            time.sleep(PAUSE_SECONDS)

    def _token(self, cluster: str, node: str | None) -> str:
        if (cluster, node) not in self._tokens:
            self._tokens[cluster, node] = site_tokens.issue(
                (self.folder / "secret").read_text().strip(),
                subject=f"node-{node}" if node else "controller",
                scopes=("events:write", "samples:write"),
                expires_at=datetime.now(UTC) + timedelta(hours=2),
                node=node,
                cluster=cluster,
            )
        return self._tokens[cluster, node]

    def close(self) -> None:
        """Close its connections."""
        self._client.close()
