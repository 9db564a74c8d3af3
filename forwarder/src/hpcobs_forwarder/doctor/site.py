"""Whether the site can be reached, and what the token allows."""

from __future__ import annotations

import os
import stat
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.claims import claims_of
from hpcobs_forwarder.compose import site_client
from hpcobs_forwarder.daemon.config import NODE, default_path
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.sending.http_client import (
    NoResponseError,
    Response,
    TokenError,
    TokenFile,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config

_SKEW_SECONDS = 30.0
_SOON_SECONDS = 7 * 86_400.0


def examine(config: Config) -> Iterator[Finding]:
    """The token and the way to the site."""
    yield from _token(config)
    if not config.url:
        yield failure("HPCOBS_URL is not set", f"set it in {default_path(config.role)}")
        return
    if config.url.startswith("http://") and "//127." not in config.url:
        yield warning(f"{config.url}: the token travels in clear text", "use https")
    yield from _reach(config)


def _token(config: Config) -> Iterator[Finding]:
    path = config.token_file
    if os.path.exists(path) and not os.access(path, os.R_OK):
        yield failure(f"{path} is not for this user to read", "run this as the service's user")
        return
    try:
        token = TokenFile(path).get()
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except (TokenError, OSError) as error:
        owner = "" if config.role == NODE else f"; chown slurm {path}"
        yield failure(str(error), f"{_token_command(config)} >{path}; chmod 600 {path}{owner}")
        return
    if mode & 0o007:
        yield failure(f"{path} has mode {mode:o}: all users can use it", f"chmod 600 {path}")
    else:
        yield ok(f"token file {path} has mode {mode:o}")
    claims = claims_of(token)
    yield from _claims(config, claims) if claims is not None else ()


def _token_command(config: Config) -> str:
    if config.role == NODE:
        return f"hpcobs token --scope 'events:write samples:write' --node {config.node}"
    return "hpcobs token --scope events:write"


def _claims(config: Config, claims: dict[str, Any]) -> Iterator[Finding]:
    scopes = str(claims.get("scope", "")).split()
    needed = ["events:write", "samples:write"] if config.role == NODE else ["events:write"]
    missing = [scope for scope in needed if scope not in scopes and "admin" not in scopes]
    if missing:
        yield failure(f"the token lacks {' and '.join(missing)}", _token_command(config))
    node = claims.get("node")
    if node is not None and node != config.node:
        yield failure(
            f"the token is for node {node}, this is {config.node}",
            "make a token for this node, or set HPCOBS_NODE",
        )
    remaining = float(claims.get("exp", "inf")) - time.time()
    if remaining <= 0:
        yield failure("the token has expired", "put a new one in its place; no restart is needed")
    elif remaining < _SOON_SECONDS:
        yield warning(
            f"the token expires in {remaining / 3600:.0f} hours", "put a new one in place"
        )


def _reach(config: Config) -> Iterator[Finding]:
    site = site_client(config)
    try:
        answer = site.request("GET", "/v1/health", None, {})
    except (NoResponseError, OSError) as error:
        yield failure(
            f"{config.url} cannot be reached: {error}",
            "check HPCOBS_URL, the firewall, HPCOBS_PROXY and HPCOBS_CA_FILE",
        )
        return
    finally:
        site.close()
    yield _health(config, answer)
    yield from _skew(answer)


def _health(config: Config, answer: Response) -> Finding:
    said = answer.body[:200].decode("utf-8", errors="replace")
    if answer.status in {200, 503} and b'"status"' in answer.body:
        return ok(f"{config.url} answers {answer.status}: {said}")
    return failure(f"{config.url} answers {answer.status}: {said}", "is HPCOBS_URL an hpcobs site?")


def _skew(answer: Response) -> Iterator[Finding]:
    try:
        theirs = parsedate_to_datetime(answer.date or "").timestamp()
    except (TypeError, ValueError):
        return
    skew = time.time() - theirs
    if abs(skew) > _SKEW_SECONDS:
        yield warning(f"this node's clock is {skew:+.0f} s off the site's", "start chronyd or ntpd")
