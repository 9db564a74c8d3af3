"""The ``authorizer`` function: ``functions.authorizer.handler.lambda_handler``.

It tells who calls and always lets the request through: each function refuses by itself, with the
contract's own answers, and the gateway may keep the verdict for a token (see ADR 0004).
"""

from __future__ import annotations

from typing import Any

from hpcobs import bootstrap
from hpcobs.domain.errors import UnauthorizedError, UnavailableError

bootstrap.before_snapshot(bootstrap.authenticator)


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The principal of a request's token, or what is wrong with it, for the functions to judge."""
    return {"isAuthorized": True, "context": _verdict(_asked_about(event))}


def _asked_about(event: dict[str, Any]) -> str | None:
    """The text for which the gateway keeps the verdict; nothing else may shape that."""
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
