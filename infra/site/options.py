"""The options of a site: the sections of its file as typed models. See ``sites/example.toml``."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from hpcobs.auth.scopes import unknown_in

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
"""Scopes of tokens, separated by spaces."""


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise ValueError(f"{error}; write a network as 192.0.2.0/24") from None


SourceNetwork = Annotated[str, AfterValidator(_network)]


class Section(BaseModel):
    """A section of the file. It rejects unknown options, and never converts text to numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NetworkOptions(Section):
    """The site's own VPC."""

    cidr: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+\.\d+/(1[6-9]|2[0-4])$")] = (
        "10.80.0.0/22"
    )


SERVERLESS = "db.serverless"
CONNECTIONS_BESIDE_REQUESTS = 8
"""Connections of collectors, retention, a deployment, and RDS."""
# Aurora Serverless v2 scales in half units, up to 256.
Capacity = Annotated[float, Field(ge=0.5, le=256, multiple_of=0.5, strict=False)]


class DatabaseOptions(Section):
    """PostgreSQL: an instance of RDS, or an Aurora cluster."""

    engine: Literal["postgres", "aurora"] = "postgres"
    postgres: Annotated[str, StringConstraints(pattern=r"^18(\.\d+)?$")] = "18"
    instance_class: Annotated[
        str, StringConstraints(pattern=r"^db\.(serverless|[a-z0-9]+\.[a-z0-9]+)$")
    ] = "db.t4g.small"
    min_acu: Capacity = 0.5
    max_acu: Capacity = 8
    # RDS's own limits of a gp3 volume.
    storage_gb: Annotated[int, Field(ge=20, le=65536)] = 20
    max_storage_gb: Annotated[int, Field(ge=20, le=65536)] = 100
    max_connections: Annotated[int, Field(ge=20, le=5000)] = 100
    multi_az: bool = False
    proxy: bool = False
    # RDS keeps automated backups for 35 days at most.
    backup_days: Annotated[int, Field(ge=1, le=35)] = 7
    deletion_protection: bool = True
    performance_insights: bool = True
    restore_from: Annotated[str, StringConstraints(pattern=r"^(|[A-Za-z][A-Za-z0-9:/-]*)$")] = ""

    @property
    def serverless(self) -> bool:
        """Whether its capacity follows the load."""
        return self.instance_class == SERVERLESS

    @model_validator(mode="after")
    def _can_grow(self) -> Self:
        # RDS rejects a maximum that is less than 10 % above the allocated storage.
        if self.max_storage_gb < self.storage_gb * 1.1:
            raise ValueError("max_storage_gb must be at least 10 % more than storage_gb")
        if self.max_acu < max(1, self.min_acu):
            raise ValueError("max_acu must be at least 1, and at least min_acu")
        return self

    @model_validator(mode="after")
    def _fits_the_engine(self) -> Self:
        if self.serverless and self.engine != "aurora":
            raise ValueError('instance_class "db.serverless" needs engine = "aurora"')
        if self.engine == "aurora" and self.instance_class in ("db.t4g.micro", "db.t4g.small"):
            raise ValueError(
                'engine = "aurora" needs an instance_class such as "db.serverless", '
                '"db.t4g.medium" or "db.r8g.large"'
            )
        return self


class RetentionOptions(Section):
    """The retention of samples, roll-ups, audit events and logs, in days."""

    samples_days: Days = 7
    rollup_days: Days = 400
    audit_days: Days = 400
    logs_days: LogDays = 30


class CollectorOptions(Section):
    """How often the collector stores samples from the queue."""

    # The collector is called every minute, so a longer interval would make no difference.
    interval_seconds: Annotated[int, Field(ge=10, le=60)] = 30


class FunctionOptions(Section):
    """How the functions behind the API run."""

    snap_start: bool = False
    concurrency: Annotated[int, Field(ge=0, le=1000)] = 0


class IdentityOptions(Section):
    """The identity provider whose users may see their jobs, if ``jwks_url`` is set."""

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
        """The settings of the authorizer."""
        if not self.jwks_url:
            return {}
        texts = {name: text for name, text in self.model_dump().items() if isinstance(text, str)}
        given = {f"AUTH_{name.upper()}": text for name, text in texts.items() if text}
        groups = json.dumps(self.scopes_by_group, sort_keys=True)
        return {**given, "AUTH_SCOPES_BY_GROUP": groups}


class GatewayOptions(Section):
    """The networks that may call the API, and its rate limit (429 above it)."""

    # An account's default quotas of API Gateway: 10,000 requests a second, bursts of 5,000.
    requests_per_second: Annotated[int, Field(ge=1, le=10_000)] = 200
    burst: Annotated[int, Field(ge=1, le=5_000)] = 400
    allowed_networks: list[SourceNetwork] = []


class DomainOptions(Section):
    """The site's own domain name for the API. If ``name`` is empty, it has API Gateway's name."""

    name: Annotated[
        str, StringConstraints(pattern=r"^(|([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,})$")
    ] = ""
    certificate_arn: Annotated[str, StringConstraints(pattern=r"^(|arn:aws[a-z-]*:acm:.+)$")] = ""
    hosted_zone_id: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]*$")] = ""
    client_ca: str = ""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.name and not self.certificate_arn:
            raise ValueError("name needs certificate_arn: the certificate in ACM for that name")
        if not self.name and (self.certificate_arn or self.hosted_zone_id or self.client_ca):
            raise ValueError("certificate_arn, hosted_zone_id and client_ca need name")
        return self


class AlarmOptions(Section):
    """The thresholds of alarms, and who is notified."""

    emails: list[Email] = []
    queue_age_minutes: Annotated[int, Field(ge=2, le=1440)] = 10
    stale_job_minutes: Annotated[int, Field(ge=1, le=100_000)] = 30
    refusals: Annotated[int, Field(ge=1)] = 100
    monthly_budget_usd: Annotated[int, Field(ge=1)] = 100
