"""The environment as a typed model. A bad value gives one line that names the variable."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

CLUSTER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
PortOrAny = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class SettingsError(ValueError):
    """A variable has a value that cannot be used. The message begins with the variable's name."""


class Settings(msgspec.Struct, frozen=True, rename="upper", kw_only=True):
    """Every variable that the service reads, with its default. See docs/configuration.md."""

    database_url: str | None = None
    db_host: str | None = None
    db_port: Port = 5432
    db_name: str = "hpcobs"
    db_user: str = "hpcobs"
    db_iam_auth: bool = False
    db_admin_user: str | None = None
    db_proxy: bool = False
    db_max_conns: Positive = 25
    db_min_conns: Count = 5
    db_max_conn_lifetime_seconds: Positive = 300
    db_max_conn_idle_seconds: Positive = 30
    samples_queue_url: str | None = None
    samples_dead_letter_queue_url: str | None = None
    collect_interval_seconds: Positive = 30
    metrics_retention_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 7
    rollup_retention_days: Annotated[int, msgspec.Meta(ge=1, le=36500)] = 400
    audit_retention_days: Annotated[int, msgspec.Meta(ge=1, le=36500)] = 400
    stale_job_minutes: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 30
    scheduler_backend: Literal["slurm", "mock"] = "slurm"
    slurm_base_url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/\s]+")] | None = None
    slurm_api_version: Annotated[str, msgspec.Meta(pattern=r"^v0\.0\.\d{2,3}$")] | None = None
    slurm_auth_token: str | None = None
    cluster_name: Annotated[str, msgspec.Meta(pattern=CLUSTER_NAME)] = "cluster"
    auth_secret: Annotated[str, msgspec.Meta(min_length=32)] | None = None
    auth_secret_previous: Annotated[str, msgspec.Meta(min_length=32)] | None = None
    auth_secret_arn: str | None = None
    auth_jwks_url: str | None = None
    auth_issuer: str | None = None
    auth_audience: str | None = None
    auth_user_claim: str = "preferred_username"
    auth_user_domain: str | None = None
    auth_user_scopes: str = "jobs:read"
    auth_groups_claim: str = "groups"
    auth_scopes_by_group: dict[str, str] = {}
    allowed_networks: str = ""
    host: str = "127.0.0.1"
    port: PortOrAny = 8080
    seed_demo: bool = False


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings in ``environ``, by default the process's own environment.

    Raise SettingsError if a value is bad. Empty variables count as unset. In a Lambda at most one
    connection is opened, whatever is set.
    """
    given = {
        name: text for name, text in (os.environ if environ is None else environ).items() if text
    }
    known = {name: given[name] for name in _NAMES if name in given}
    values = {**known, **_lambda_limits(given), **_objects(known)}
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_one_line(str(error))) from None


_NAMES = tuple(field.encode_name for field in msgspec.structs.fields(Settings))


_OBJECTS = ("AUTH_SCOPES_BY_GROUP",)


def _objects(known: dict[str, str]) -> dict[str, object]:
    """Parse the variables whose text is JSON."""
    return {name: _json(name, known[name]) for name in _OBJECTS if name in known}


def _json(name: str, text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise SettingsError(f"{name}: is not JSON") from None


def _lambda_limits(given: dict[str, str]) -> dict[str, str]:
    # An environment serves one request at a time: a second connection would only use up one of
    # the database's.
    if "AWS_LAMBDA_FUNCTION_NAME" in given:
        return {"DB_MAX_CONNS": "1", "DB_MIN_CONNS": "0"}
    return {}


_MESSAGES = (
    (r"Expected `int`, got .*", "must be a whole number"),
    (r"Expected `int` >= (\d+)", r"must be a whole number, \1 at least"),
    (r"Expected `int` <= (\d+)", r"must be a whole number, \1 at most"),
    (r"Expected `bool`, got .*", "must be true or false"),
    (r"Expected `str` of length >= (\d+)", r"must have \1 characters at least"),
    (r"Expected `str` of length <= (\d+)", r"must have \1 characters at most"),
)
_MESSAGES_OF = {
    "AUTH_SCOPES_BY_GROUP": "must be an object whose values are texts, in JSON",
    "CLUSTER_NAME": "must be 1 to 64 letters, digits, - or _, and begin with a letter or digit",
    "SCHEDULER_BACKEND": "must be slurm or mock",
    "SLURM_API_VERSION": "must be such as v0.0.40",
    "SLURM_BASE_URL": "must be an http or https URL",
}


def _one_line(error: str) -> str:
    """Rewrite an error of msgspec for an operator: ``PORT: must be a whole number``."""
    what, _, where = error.partition(" - at `$.")
    name = re.sub(r"\W.*", "", where)
    for pattern, message in _MESSAGES:
        what = re.sub(rf"^{pattern}$", message, what)
    return f"{name}: {_MESSAGES_OF.get(name, what)}"
