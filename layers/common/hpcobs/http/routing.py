"""Powertools' router, and the request that it is answering."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_lambda_powertools.event_handler.api_gateway import Router

if TYPE_CHECKING:
    from hpcobs.http.request import Request

_KEY = "hpcobs_request"


def new_router() -> Router:
    """A router for the routes of one module."""
    return Router()  # type: ignore[no-untyped-call] # Powertools has no types there


def as_context(request: Request) -> dict[str, Request]:
    """What a resolver is to keep while it answers ``request``."""
    return {_KEY: request}


def current(router: Router) -> Request:
    """The request that a router's route is answering."""
    return cast("Request", router.context[_KEY])
