"""The ``authorizer`` function: ``functions.authorizer.handler.lambda_handler``.

It tells who calls and always lets the request through: each function refuses by itself, with the
contract's own answers, and the gateway may keep the verdict for a token (see ADR 0004).
"""

from __future__ import annotations

from typing import Any

from hpcobs import bootstrap
from hpcobs.domain.errors import UnauthorizedError


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """The principal of a request's token, or what is wrong with it, for the functions to judge."""
    authorization = (event.get("headers") or {}).get("authorization")
    try:
        principal = bootstrap.authenticator().authenticate(authorization)
    except UnauthorizedError as error:
        return {"isAuthorized": True, "context": {"error": error.message}}
    return {"isAuthorized": True, "context": principal.as_context()}
