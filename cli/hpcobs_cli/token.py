"""``hpcobs token``: issue tokens for nodes, users or scrapers, or inspect one."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpcobs_cli.errors import CommandError
from hpcobs_cli.options import DATA_DIR, DataDir

if TYPE_CHECKING:
    from hpcobs_cli.signing import Signer

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Scope = Annotated[
    list[str], typer.Option(help="What the token allows; repeat it, or separate several by commas.")
]
Node = Annotated[
    str | None,
    typer.Option(
        help="Limit the token to this node's events and samples; n[01-40] with --directory."
    ),
]
User = Annotated[str | None, typer.Option(help="Limit the token to this user's jobs.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        help="Limit what the token sends and changes to this cluster, as slurm.conf names it. "
        "Without it, a node's token is for the site's own cluster, and others are for all."
    ),
]
Ttl = Annotated[str, typer.Option(help="How long the token is valid: 90s, 15m, 12h, 365d.")]
Subject = Annotated[str | None, typer.Option(help="The owner's name in the audit trail.")]
Directory = Annotated[
    Path | None,
    typer.Option(help="Write a file NODE.token for each node here, readable for its owner only."),
]
Inspect = Annotated[
    Path | None,
    typer.Option(help="Issue no token; print the claims of the one in this file (-: stdin)."),
]


def token(
    *,
    scope: Scope = [],  # noqa: B006 - Typer needs a list
    node: Node = None,
    user: User = None,
    cluster: Cluster = None,
    ttl: Ttl = "365d",
    subject: Subject = None,
    directory: Directory = None,
    inspect: Inspect = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Issue a token and print it, or inspect one.

    The token is signed with AUTH_SECRET, with the secret of AUTH_SECRET_ARN, or with the local
    service's secret.
    """
    from hpcobs_cli.inspection import describe
    from hpcobs_cli.signing import signer

    if inspect is not None:
        typer.echo(describe(inspect))
        return
    if not scope:
        raise typer.BadParameter("missing", param_hint="--scope")
    scopes, nodes, duration = _scopes(scope), _nodes(node), _duration(ttl)
    if len(nodes) > 1 and (directory is None or subject is not None):
        raise CommandError("tokens of several nodes need --directory, and take no --subject")
    limits = {"user": user, "cluster": _cluster(cluster)}
    sign = signer(data_dir, scopes=scopes, limits=limits, lasting=duration)
    if directory is None:
        typer.echo(sign(node=nodes[0] if nodes else None, subject=subject))
    elif nodes:
        _write(directory, nodes, sign, subject)
    else:
        raise CommandError("--directory needs --node: it is for tokens of nodes")


def _write(directory: Path, nodes: tuple[str, ...], sign: Signer, subject: str | None) -> None:
    from hpcobs_local.folder import write

    try:
        # Readable for its owner only: anyone who can read a token can use it.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for node in nodes:
            text = sign(node=node, subject=subject)
            write(directory / f"{node}.token", text, mode=0o600)
    except OSError as error:
        raise CommandError(f"{directory}: {error.strerror or error}") from None
    typer.echo(f"{len(nodes)} tokens in {directory}")


def _cluster(name: str | None) -> str | None:
    """Return the cluster's name. Raise CommandError if it cannot be one."""
    from hpcobs.domain.values import is_cluster

    if name is not None and not is_cluster(name):
        raise CommandError(f"--cluster {name!r} is not a cluster's name")
    return name


def _nodes(text: str | None) -> tuple[str, ...]:
    from hpcobs.domain.errors import InvalidInputError
    from hpcobs.scheduler.hostlists import expanded

    try:
        return expanded(text or "")
    except InvalidInputError as error:
        raise CommandError(f"--node {error.details['reason']}") from None


def _scopes(given: list[str]) -> list[str]:
    from hpcobs.auth.scopes import SCOPES, unknown_in

    requested = [name for text in given for name in re.split(r"[\s,]+", text) if name]
    if not requested:
        raise CommandError(f"no scope is given; choose from {', '.join(sorted(SCOPES))}")
    problem = unknown_in(frozenset(requested))
    if problem:
        raise CommandError(problem)
    return list(dict.fromkeys(requested))


def _duration(text: str) -> timedelta:
    from hpcobs.auth.site_tokens import MAX_DAYS

    # 999,999,999 days are the most that a timedelta can hold.
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise CommandError(f"{text!r} is not a duration such as 90s, 15m, 12h or 365d")
    duration = timedelta(seconds=int(match[1]) * SECONDS[match[2]])
    if not timedelta(0) < duration <= timedelta(days=MAX_DAYS):
        raise CommandError(f"a token is valid for at least 1s and at most {MAX_DAYS}d")
    return duration
