"""Check that the site can be reached, and what the token allows."""

from __future__ import annotations

import os
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.claims import claims_of
from hpcobs_forwarder.compose import site_client
from hpcobs_forwarder.daemon.config import NODE, default_path
from hpcobs_forwarder.doctor.access import secret_file
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
"""A clock difference that charts would show. The Date header has whole seconds only."""
_SOON_SECONDS = 7 * 86_400.0


def examine(config: Config) -> Iterator[Finding]:
    """Check the token and the connection to the site."""
    yield from _token(config)
    if not config.url:
        yield failure(
            "HPCOBS_URL is not set",
            f"set it to the site's address in {default_path(config.role)}",
        )
        return
    if config.url.startswith("http://") and "//127." not in config.url:
        yield warning(
            f"HPCOBS_URL={config.url} sends the token in clear text", "use an https:// address"
        )
    yield from _reach(config)


def _token(config: Config) -> Iterator[Finding]:
    path = config.token_file
    if os.path.exists(path) and not os.access(path, os.R_OK):
        yield failure(
            f"this user cannot read the token file {path}",
            "run the doctor as the service's user",
        )
        return
    try:
        token = TokenFile(path).get()
    except (TokenError, OSError) as error:
        yield failure(str(error), _make_token(config))
        return
    yield from secret_file(config, path, "the token file")
    claims = claims_of(token)  # None for a token that is no JWT, which only the site can check
    yield from _claims(config, claims) if claims is not None else ()


def _make_token(config: Config) -> str:
    # Installed with its mode, rather than written and closed later: others could read it meanwhile.
    path = config.token_file
    owner = "" if config.role == NODE else " -o slurm"
    return (
        f"(umask 077; {token_command(config)} >new.token) where hpcobs runs, and here install "
        f"-Dm600{owner} new.token {path}"
    )


def token_command(config: Config) -> str:
    """Return the command that makes a token for this host."""
    if config.role == NODE:
        return f"hpcobs token --scope 'events:write samples:write' --node {config.node}"
    return "hpcobs token --scope events:write"


def _claims(config: Config, claims: dict[str, Any]) -> Iterator[Finding]:
    scopes = str(claims.get("scope", "")).split()
    needed = ["events:write", "samples:write"] if config.role == NODE else ["events:write"]
    missing = [scope for scope in needed if scope not in scopes and "admin" not in scopes]
    if missing:
        yield failure(
            f"the token in {config.token_file} lacks {' and '.join(missing)}",
            f"make a new token: {token_command(config)}",
        )
    node = claims.get("node")
    if node is not None and node != config.node:
        yield failure(
            f"the token in {config.token_file} is for node {node}, this is node {config.node}",
            f"make a token for this node: {token_command(config)}; or set HPCOBS_NODE={node}",
        )
    remaining = float(claims.get("exp", "inf")) - time.time()
    if remaining <= 0:
        yield failure(
            f"the token in {config.token_file} has expired",
            f"replace it, no restart is needed: {token_command(config)}",
        )
    elif remaining < _SOON_SECONDS:
        yield warning(
            f"the token in {config.token_file} expires in {remaining / 3600:.0f} hours",
            f"replace it, no restart is needed: {token_command(config)}",
        )


def _reach(config: Config) -> Iterator[Finding]:
    site = site_client(config)
    try:
        response = site.request("GET", "/v1/health", None, {})
    except (NoResponseError, OSError) as error:
        yield failure(
            f"{config.url} cannot be reached: {error}",
            "check HPCOBS_URL, the firewall, HPCOBS_PROXY and HPCOBS_CA_FILE",
        )
        return
    finally:
        site.close()
    yield _health(config, response)
    yield from _skew(response)


def _health(config: Config, response: Response) -> Finding:
    text = response.body[:200].decode("utf-8", errors="replace")
    found = f"{config.url}/v1/health responds {response.status}: {text}"
    # 503 is a site that works but has no database now: the connection is what counts here.
    if response.status in {200, 503} and b'"status"' in response.body:
        return ok(found)
    return failure(found, "set HPCOBS_URL to the address of an hpcobs site")


def _skew(response: Response) -> Iterator[Finding]:
    try:
        theirs = parsedate_to_datetime(response.date or "").timestamp()
    except (TypeError, ValueError):
        return
    skew = time.time() - theirs
    if abs(skew) > _SKEW_SECONDS:
        yield warning(
            f"this host's clock is {skew:+.0f} s off the site's clock",
            "start chronyd or ntpd on this host",
        )
