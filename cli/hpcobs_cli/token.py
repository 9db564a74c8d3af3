"""``hpcobs token``: issue a token for a node, a user, a scraper."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from hpcobs_cli.errors import CommandError
from hpcobs_cli.options import DATA_DIR, DataDir

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs.settings import Settings

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_DAYS = 3660

Scope = Annotated[
    list[str], typer.Option(help="What it allows; repeat, or part several by commas.")
]
Node = Annotated[str | None, typer.Option(help="Limit it to this node's events and samples.")]
User = Annotated[str | None, typer.Option(help="Limit it to this user's jobs.")]
Ttl = Annotated[str, typer.Option(help="How long it is valid: 90s, 15m, 12h, 365d.")]
Subject = Annotated[str | None, typer.Option(help="Who it is for, as the audit trail names it.")]


def token(
    *,
    scope: Scope,
    node: Node = None,
    user: User = None,
    ttl: Ttl = "365d",
    subject: Subject = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Print a token signed with AUTH_SECRET, or with the local service's secret."""
    from hpcobs.auth import tokens

    settings = _settings(data_dir)
    issued = tokens.issue(
        settings.auth_secret or "",
        subject=subject or _subject(node, user),
        scopes=_scopes(scope),
        expires_at=datetime.now(UTC) + _duration(ttl),
        node=node,
        user=user,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
    )
    typer.echo(issued)


def _settings(data_dir: Path) -> Settings:
    from hpcobs.settings import SettingsError, read_settings

    secret = os.environ.get("AUTH_SECRET") or _local_secret(data_dir)
    try:
        return read_settings({**os.environ, "AUTH_SECRET": secret})
    except SettingsError as error:
        raise CommandError(str(error)) from None


def _local_secret(data_dir: Path) -> str:
    try:
        return (data_dir / "secret").read_text().strip()
    except OSError:
        raise CommandError(
            f"no secret to sign with: AUTH_SECRET is not set, and {data_dir / 'secret'} "
            "cannot be read"
        ) from None


def _subject(node: str | None, user: str | None) -> str:
    return f"node-{node}" if node else user or "cli"


def _scopes(given: list[str]) -> list[str]:
    from hpcobs.auth.principal import ADMIN
    from hpcobs.http.routes import ROUTES

    known = {route.scope for route in ROUTES if route.scope} | {ADMIN}
    wanted = [name for text in given for name in re.split(r"[\s,]+", text) if name]
    unknown = sorted(set(wanted) - known)
    if unknown or not wanted:
        named = f"{', '.join(unknown)}: not a scope" if unknown else "no scope is named"
        raise CommandError(f"{named}; there are {', '.join(sorted(known))}")
    return list(dict.fromkeys(wanted))


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise CommandError(f"{text!r} is not a duration such as 90s, 15m, 12h or 365d")
    duration = timedelta(seconds=int(match[1]) * SECONDS[match[2]])
    if not timedelta(0) < duration <= timedelta(days=MAX_DAYS):
        raise CommandError(f"a token is valid for at least 1s and at most {MAX_DAYS}d")
    return duration
