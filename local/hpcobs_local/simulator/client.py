"""The simulator's HTTP client: it sends messages in order and retries until they arrive."""

from __future__ import annotations

import gzip
import logging
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from hpcobs.auth import site_tokens
from hpcobs.auth.scopes import EVENTS_WRITE, JOBS_READ, SAMPLES_WRITE

if TYPE_CHECKING:
    from hpcobs.settings import Settings
    from hpcobs_local.simulator.messages import Message

logger = logging.getLogger(__name__)

# A simulated site of 500 nodes fills this within some minutes. Older messages are dropped.
MAX_WAITING = 20_000
FIRST_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 15.0
REQUEST_SECONDS = 20.0
GZIP_FROM_BYTES = 1000
TOKEN_HOURS = 24
REJECTED_FROM = 400
TRANSIENT = frozenset({401, 429})
"""The message itself is not at fault, so it is sent again."""
FAILED_FROM = 500


class Client:
    """An HTTP connection with an outbox, which keeps messages while the service is unreachable."""

    def __init__(self, url: str, settings: Settings) -> None:
        # trust_env=False: requests to this machine must not go through a configured proxy.
        self._http = httpx.Client(base_url=url, timeout=REQUEST_SECONDS, trust_env=False)
        self._settings = settings
        self._tokens: dict[str | None, tuple[datetime, str]] = {}
        self._outbox: deque[Message] = deque(maxlen=MAX_WAITING)
        self._failures = 0
        self._next_try = 0.0

    @property
    def waiting(self) -> int:
        """Number of messages in the outbox."""
        return len(self._outbox)

    def put(self, message: Message) -> None:
        """Add a message to the outbox. Beyond MAX_WAITING the oldest one is dropped."""
        self._outbox.append(message)

    def send_waiting(self) -> None:
        """Send the outbox, oldest message first, until it is empty or a request fails."""
        # Strictly in order: a sample that overtakes its job's start event has to wait for it.
        while self._outbox and time.monotonic() >= self._next_try:
            try:
                response = self._post(self._outbox[0])
            except httpx.HTTPError as error:
                self._pause(f"{type(error).__name__}: {error}")
                return
            if response.status_code in TRANSIENT or response.status_code >= FAILED_FROM:
                self._pause(f"the service returned {response.status_code}")
                return
            self._log_result(self._outbox.popleft(), response)

    def get(self, path: str, **query: Any) -> Any:
        """Get JSON from the service as the controller. Raise httpx.HTTPError if that fails."""
        response = self._http.get(path, params=query, headers=self._authorization(None))
        return response.raise_for_status().json()

    def close(self) -> None:
        """Close the connection. The outbox is lost, as on a site that loses power."""
        self._http.close()

    def _post(self, message: Message) -> httpx.Response:
        content = msgspec.json.encode(message.body)
        headers = {"content-type": "application/json", **self._authorization(message.node)}
        if len(content) >= GZIP_FROM_BYTES:
            content = gzip.compress(content, compresslevel=1)
            headers["content-encoding"] = "gzip"
        return self._http.post(message.path, content=content, headers=headers)

    def _log_result(self, message: Message, response: httpx.Response) -> None:
        if self._failures:
            logger.info("the service responds again, %d messages to send", self.waiting)
        self._failures = 0
        if response.status_code >= REJECTED_FROM:
            logger.warning(
                "%s was rejected: %d %s", message.path, response.status_code, response.text
            )

    def _pause(self, reason: str) -> None:
        delay = min(FIRST_DELAY_SECONDS * 2**self._failures, MAX_DELAY_SECONDS)
        self._failures = min(self._failures + 1, 10)
        self._next_try = time.monotonic() + delay
        logger.warning("%s, %d messages to send, next try in %g s", reason, self.waiting, delay)

    def _authorization(self, node: str | None) -> dict[str, str]:
        now = datetime.now(UTC)
        # Each sender has its own token, as on a real site, where a token is bound to its node.
        renew_at, token = self._tokens.get(node, (now, ""))
        if renew_at <= now:
            token = self._issue(node, now + timedelta(hours=TOKEN_HOURS))
            self._tokens[node] = (now + timedelta(hours=TOKEN_HOURS / 2), token)
        return {"authorization": f"Bearer {token}"}

    def _issue(self, node: str | None, expires_at: datetime) -> str:
        """Issue a token for a node, or for the controller."""
        scopes = (EVENTS_WRITE, SAMPLES_WRITE) if node else (EVENTS_WRITE, JOBS_READ)
        return site_tokens.issue(
            self._settings.auth_secret or "",
            subject=f"node-{node}" if node else "controller",
            scopes=scopes,
            expires_at=expires_at,
            node=node,
            issuer=self._settings.auth_issuer,
            audience=self._settings.auth_audience,
        )
