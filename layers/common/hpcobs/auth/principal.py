"""The caller, as its token names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpcobs.auth.scopes import ADMIN

if TYPE_CHECKING:
    from collections.abc import Mapping

VERDICT_SECONDS = 60
"""How long a gateway caches the authorizer's verdict on an Authorization header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The owner of a token, and the token's permissions.

    ``node`` limits it to that node's events and samples, ``user`` to that user's jobs. ``cluster``
    limits what it sends and changes to that cluster. ``expires_at`` is in seconds since 1970.
    """

    subject: str
    scopes: frozenset[str] = frozenset()
    node: str | None = None
    user: str | None = None
    cluster: str | None = None
    expires_at: int | None = None

    def allows(self, scope: str) -> bool:
        """Return whether the token has the scope, or is an administrator's."""
        return scope in self.scopes or ADMIN in self.scopes

    def bound_cluster(self, home_cluster: str) -> str | None:
        """Return the only cluster that the caller may speak for, or None if it may for all."""
        # Nodes of two clusters may have one name. So a node is always bound to a cluster.
        return self.cluster or (home_cluster if self.node is not None else None)

    def as_context(self) -> dict[str, str | int]:
        """Return the principal as an authorizer's context, which the gateway sends to functions."""
        # API Gateway accepts flat contexts of texts, numbers and booleans only, and no null.
        context: dict[str, str | int | None] = {
            "subject": self.subject,
            "scopes": " ".join(sorted(self.scopes)),
            "node": self.node,
            "user": self.user,
            "cluster": self.cluster,
            "expires_at": self.expires_at,
        }
        return {name: value for name, value in context.items() if value is not None}

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> Principal:
        """Return the principal of an authorizer's context."""
        expires_at = context.get("expires_at")
        return cls(
            subject=str(context["subject"]),
            scopes=frozenset(str(context.get("scopes") or "").split()),
            node=context.get("node") or None,
            user=context.get("user") or None,
            cluster=context.get("cluster") or None,
            expires_at=int(expires_at) if expires_at is not None else None,
        )


ANONYMOUS = Principal(subject="anonymous")
"""The caller of a route that needs no token."""
