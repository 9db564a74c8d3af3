"""The gateway under a real server, in front of functions with prepared responses."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from hpcobs_local.gateway.app import Gateway
from hpcobs_local.gateway.server import Server, bound_socket
from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ALLOWED = {"isAuthorized": True, "context": {"subject": "ada", "scopes": "admin"}}
DONE = {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": "{}"}


@dataclass
class Functions:
    """Records events. Returns ``response``, or raises it if it is an error."""

    response: Any = field(default_factory=lambda: DONE)
    verdict: Any = field(default_factory=lambda: ALLOWED)
    events: list[tuple[str, Any]] = field(default_factory=list)

    async def invoke(self, function: str, event: object) -> Any:
        self.events.append((function, event))
        response = self.verdict if function == "authorizer" else self.response
        if isinstance(response, Exception):
            raise response
        return response

    def of(self, function: str) -> list[Any]:
        """Return the events that a function received."""
        return [event for name, event in self.events if name == function]


@asynccontextmanager
async def serving(functions: Functions, log: Callable[[str], None]) -> AsyncIterator[str]:
    """Run a gateway in front of ``functions`` and return its URL."""
    listener = bound_socket("127.0.0.1", 0)
    server = Server(Gateway(functions, log))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await server.ready.wait()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop()
        await task


def ask(
    functions: Functions,
    method: str,
    path: str,
    *,
    log: Callable[[str], None] = lambda _: None,
    authorization: str | None = "Bearer token",
    **request: Any,
) -> httpx.Response:
    """Send one request to a gateway in front of ``functions``."""

    async def run() -> httpx.Response:
        headers = {} if authorization is None else {"authorization": authorization}
        async with (
            serving(functions, log) as url,
            httpx.AsyncClient(base_url=url, headers=headers, timeout=WAIT_SECONDS) as client,
        ):
            return await client.request(method, path, **request)

    return asyncio.run(run())
