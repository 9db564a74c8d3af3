"""The ``authorizer`` function: ``functions.authorizer.handler.lambda_handler``.

It authenticates the caller and lets every request pass: each function rejects requests in the
contract's own format, and the gateway may cache the verdict on a token (see ADR 0004).
"""

from __future__ import annotations

from typing import Any

from hpcobs import bootstrap
from hpcobs.domain.errors import UnauthorizedError, UnavailableError

bootstrap.before_snapshot(bootstrap.authenticator)


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the principal of a request's token, or the reason why it has none."""
    return {"isAuthorized": True, "context": _verdict(_authorization(event))}


def _authorization(event: dict[str, Any]) -> str | None:
    # The gateway caches the verdict by its identity source. Anything else in the request must not
    # shape it, or one token's verdict would serve another.
    sources: list[str] | None = event.get("identitySource")
    if sources is not None:
        return sources[0] if sources else None
    return (event.get("headers") or {}).get("authorization")


def _verdict(authorization: str | None) -> dict[str, str | int]:
    try:
        return bootstrap.authenticator().authenticate(authorization).as_context()
    except UnauthorizedError as error:
        return {"error": error.message}
    except UnavailableError as error:
        return {"unavailable": error.message}
