"""A site's configuration: ``sites/NAME.toml`` as a typed model; see ``sites/example.toml``."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from hpcobs.auth.scopes import unknown_in
from infra.paths import CERTIFICATES, SITES

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

LogDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
]  # fmt: skip
"""The retentions that CloudWatch Logs offers, in days."""

Days = Annotated[int, Field(ge=1, le=3650)]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


def _known_scopes(text: str) -> str:
    problem = unknown_in(frozenset(text.split()))
    if problem:
        raise ValueError(problem)
    return text


Scopes = Annotated[str, AfterValidator(_known_scopes)]
"""Scopes of tokens, parted by spaces."""


class SiteError(ValueError):
    """A site's file cannot be used; one line for each thing that is wrong with it."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NetworkOptions(_Section):
    """The site's own VPC."""

    cidr: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+\.\d+/(1[6-9]|2[0-4])$")] = (
        "10.80.0.0/22"
    )


class DatabaseOptions(_Section):
    """The PostgreSQL instance."""

    postgres: Annotated[str, StringConstraints(pattern=r"^18(\.\d+)?$")] = "18"
    instance_class: Annotated[str, StringConstraints(pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$")] = (
        "db.t4g.small"
    )
    storage_gb: Annotated[int, Field(ge=20, le=65536)] = 20
    max_storage_gb: Annotated[int, Field(ge=20, le=65536)] = 100
    max_connections: Annotated[int, Field(ge=20, le=5000)] = 100
    multi_az: bool = False
    backup_days: Annotated[int, Field(ge=1, le=35)] = 7
    deletion_protection: bool = True
    performance_insights: bool = True

    @model_validator(mode="after")
    def _can_grow(self) -> Self:
        # RDS refuses a ceiling that is less than a tenth above what is there.
        if self.max_storage_gb < self.storage_gb * 1.1:
            raise ValueError("max_storage_gb must be at least 10 % more than storage_gb")
        return self


class RetentionOptions(_Section):
    """How long things are kept."""

    samples_days: Days = 7
    rollup_days: Days = 400
    audit_days: Days = 400
    logs_days: LogDays = 30


class CollectorOptions(_Section):
    """How samples get from the queue into the database."""

    interval_seconds: Annotated[int, Field(ge=10, le=60)] = 30


class IdentityOptions(_Section):
    """The identity provider whose people may see their jobs; none without ``jwks_url``."""

    jwks_url: str = ""
    issuer: str = ""
    audience: str = ""
    user_claim: Annotated[str, StringConstraints(min_length=1)] = "preferred_username"
    user_domain: str = ""
    user_scopes: Scopes = "jobs:read"
    groups_claim: Annotated[str, StringConstraints(min_length=1)] = "groups"
    scopes_by_group: dict[str, Scopes] = {}

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.jwks_url:
            return self
        if urlsplit(self.jwks_url).scheme != "https":
            raise ValueError("jwks_url must begin with https://")
        if not self.issuer or not self.audience:
            raise ValueError("jwks_url needs issuer and audience")
        return self

    @property
    def environment(self) -> dict[str, str]:
        """What the authorizer gets to know of it."""
        if not self.jwks_url:
            return {}
        texts = {name: text for name, text in self.model_dump().items() if isinstance(text, str)}
        given = {f"AUTH_{name.upper()}": text for name, text in texts.items() if text}
        groups = json.dumps(self.scopes_by_group, sort_keys=True)
        return {**given, "AUTH_SCOPES_BY_GROUP": groups}


class GatewayOptions(_Section):
    """What the API takes in before it answers 429."""

    requests_per_second: Annotated[int, Field(ge=1, le=10_000)] = 200
    burst: Annotated[int, Field(ge=1, le=5_000)] = 400


class AlarmOptions(_Section):
    """When somebody is told, and who."""

    emails: list[Email] = []
    queue_age_minutes: Annotated[int, Field(ge=2, le=1440)] = 10
    stale_job_minutes: Annotated[int, Field(ge=1, le=100_000)] = 30
    refusals: Annotated[int, Field(ge=1)] = 100
    monthly_budget_usd: Annotated[int, Field(ge=1)] = 100


class Site(_Section):
    """One site. ``name`` is the file's, and part of the names of what is deployed."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,19}$")]
    account: Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
    region: str
    cluster_name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    network: NetworkOptions = NetworkOptions()
    database: DatabaseOptions = DatabaseOptions()
    retention: RetentionOptions = RetentionOptions()
    collector: CollectorOptions = CollectorOptions()
    gateway: GatewayOptions = GatewayOptions()
    identity: IdentityOptions = IdentityOptions()
    alarms: AlarmOptions = AlarmOptions()

    @field_validator("region")
    @classmethod
    def _has_certificates(cls, region: str) -> str:
        if region not in _regions():
            raise ValueError(f"RDS's certificates for {region!r} are not in {CERTIFICATES.name}")
        return region

    @property
    def stack_name(self) -> str:
        """What the stack is called, and what the names of its parts begin with."""
        return f"hpcobs-{self.name}"


def load_site(name: str, *, folder: Path = SITES) -> Site:
    """The site of that name; SiteError if there is none, or its file cannot be used."""
    path = folder / f"{name}.toml"
    try:
        given = tomllib.loads(path.read_text())
    except FileNotFoundError:
        known = ", ".join(sorted(path.stem for path in folder.glob("*.toml")))
        raise SiteError(f"there is no {path.name} in {folder.name}/ (there is: {known})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteError(f"{path.name}: {error}") from None
    try:
        return Site.model_validate({**given, "name": name})
    except ValidationError as error:
        lines = (f"{path.name}: {_line(problem)}" for problem in error.errors())
        raise SiteError("\n".join(lines)) from None


def _line(problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    ours, what = problem["type"] == "value_error", problem["msg"].removeprefix("Value error, ")
    return f"{where}: {what if ours else what[0].lower() + what[1:]}"


def _regions() -> set[str]:
    return set(re.findall(r"^# Amazon RDS (\S+) Root CA", CERTIFICATES.read_text(), re.MULTILINE))
