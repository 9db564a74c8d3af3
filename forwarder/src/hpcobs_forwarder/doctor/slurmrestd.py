"""Check the JWT that the controller role shows to slurmrestd."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.claims import claims_of
from hpcobs_forwarder.clock import SystemClock
from hpcobs_forwarder.controller.process import run
from hpcobs_forwarder.controller.slurm_token import SlurmToken
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.doctor.settings import place, values
from hpcobs_forwarder.slurm_conf import read_slurm_conf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config

_SHORTEST_SECONDS = 300.0
"""A token of a file that expires sooner is probably renewed by nobody."""


def examine(config: Config) -> Iterator[Finding]:
    """Check slurmrestd's token and slurm.conf's setting for it, where slurmrestd is used."""
    if config.slurmrestd_url is None:
        return
    if config.slurm_token_file is None and config.slurm_token_command is None:
        yield warning(
            "slurmrestd is used without a token, so only its local authentication can work",
            "set SLURM_AUTH_TOKEN_COMMAND=/usr/bin/scontrol token lifespan=3600",
        )
        return
    yield from _alternative(config)
    try:
        token = SlurmToken(
            file=config.slurm_token_file,
            command=config.slurm_token_command,
            run=run,
            clock=SystemClock(),
        ).get()
    except (SourceError, ValueError) as error:
        yield failure(f"there is no token for slurmrestd: {error}", _command(config))
        return
    yield from _claims(config, claims_of(token or ""))


def _alternative(config: Config) -> Iterator[Finding]:
    conf = read_slurm_conf(config.root)
    if conf is None:
        return
    found = conf.last("AuthAltTypes")
    if "auth/jwt" in {value.lower() for value in values(found)} or "auth/jwt" in {
        value.lower() for value in values(conf.last("AuthType"))
    }:
        yield ok(f"AuthAltTypes={found}" if found else "AuthType=auth/jwt")
        return
    line = ",".join([*values(found), "auth/jwt"])
    yield warning(
        f"{conf.path} sets {f'AuthAltTypes={found}' if found else 'no AuthAltTypes'}, so slurmctld "
        "accepts no JWT",
        f"write AuthAltTypes={line} and AuthAltParameters=jwt_key=… in {place(conf)}, then restart "
        "slurmctld",
    )


def _claims(config: Config, claims: dict[str, Any] | None) -> Iterator[Finding]:
    if claims is None:
        yield failure("the token for slurmrestd is no JWT", _command(config))
        return
    user = claims.get("sun")  # Slurm's claim for the user (https://slurm.schedmd.com/jwt.html)
    if isinstance(user, str) and user not in _accepted_users(config):
        yield failure(
            f"the token for slurmrestd is of user {user}, SLURM_AUTH_USER is {config.slurm_user}",
            f"set SLURM_AUTH_USER={user}, or {_command(config)}",
        )
        return
    expires = claims.get("exp")
    remaining = expires - time.time() if isinstance(expires, (int, float)) else float("inf")
    if remaining <= 0:
        yield failure("the token for slurmrestd has expired", _command(config))
    elif remaining < _SHORTEST_SECONDS and config.slurm_token_file is not None:
        yield warning(
            f"the token for slurmrestd expires in {remaining:.0f} s",
            "check that a program renews the file in SLURM_AUTH_TOKEN_FILE",
        )
    else:
        yield ok(f"the token for slurmrestd is of user {user or config.slurm_user}")


def _accepted_users(config: Config) -> set[str]:
    """Return the users whose tokens work: root's and SlurmUser's are valid for every user."""
    conf = read_slurm_conf(config.root)
    return {config.slurm_user, "root", (conf.last("SlurmUser") if conf else None) or "root"}


def _command(config: Config) -> str:
    command = ["scontrol", "token", f"username={config.slurm_user}", "lifespan=3600"]
    return f"set SLURM_AUTH_TOKEN_COMMAND={shlex.join(command)} in the configuration"
