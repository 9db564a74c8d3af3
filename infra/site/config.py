"""A site's configuration: ``sites/NAME.toml`` as a typed model."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path  # noqa: TC003 - pydantic reads it at run time
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from infra.paths import CERTIFICATES, SITES
from infra.site.options import (
    CONNECTIONS_BESIDE_REQUESTS,
    AlarmOptions,
    CollectorOptions,
    DatabaseOptions,
    DomainOptions,
    FunctionOptions,
    GatewayOptions,
    IdentityOptions,
    NetworkOptions,
    RetentionOptions,
    Section,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

TagKey = Annotated[str, StringConstraints(pattern=r"^[\w .:/=+@-]+$", max_length=128)]
TagValue = Annotated[str, StringConstraints(pattern=r"^[\w .:/=+@-]*$", max_length=256)]
OWN_TAGS = ("project", "site")
# api, events and metrics.
REQUEST_FUNCTIONS_WITH_DATABASE = 3


class SiteError(ValueError):
    """A site's file is missing or has errors. The message has one line for each error."""


class Site(Section):
    """One site. ``name`` is the file's name, and a part of the names of all resources.

    Paths in the file are relative to ``folder``.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,19}$")]
    folder: Path = Field(default=SITES, exclude=True)
    account: Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
    region: str
    cluster_name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    network: NetworkOptions = NetworkOptions()
    database: DatabaseOptions = DatabaseOptions()
    retention: RetentionOptions = RetentionOptions()
    collector: CollectorOptions = CollectorOptions()
    functions: FunctionOptions = FunctionOptions()
    gateway: GatewayOptions = GatewayOptions()
    domain: DomainOptions = DomainOptions()
    identity: IdentityOptions = IdentityOptions()
    alarms: AlarmOptions = AlarmOptions()
    tags: dict[TagKey, TagValue] = Field(default_factory=dict)

    @field_validator("region")
    @classmethod
    def _has_certificates(cls, region: str) -> str:
        if region not in _regions():
            raise ValueError(f"{CERTIFICATES.name} has no RDS certificates for {region!r}")
        return region

    @field_validator("tags")
    @classmethod
    def _are_not_reserved(cls, tags: dict[str, str]) -> dict[str, str]:
        for name in tags:
            if name in OWN_TAGS or name.lower().startswith("aws:"):
                raise ValueError(f"{name} is reserved: choose another tag")
        return tags

    @model_validator(mode="after")
    def _has_connections_for_all(self) -> Self:
        requests = self.functions.concurrency * REQUEST_FUNCTIONS_WITH_DATABASE
        most = self.database.max_connections - CONNECTIONS_BESIDE_REQUESTS
        if requests > most and not self.database.proxy:
            raise ValueError(
                f"functions.concurrency: {REQUEST_FUNCTIONS_WITH_DATABASE} functions need "
                f"{requests} connections, but database.max_connections leaves {most}"
            )
        return self

    @model_validator(mode="after")
    def _finds_client_ca(self) -> Self:
        if self.client_ca is not None:
            try:
                content = self.client_ca.read_text()
            except (OSError, UnicodeDecodeError):
                content = ""
            if "-----BEGIN CERTIFICATE-----" not in content:
                raise ValueError(f"domain.client_ca: no certificates in {self.client_ca}")
        return self

    @property
    def stack_name(self) -> str:
        """The stack's name, and the prefix of the names of its resources."""
        return f"hpcobs-{self.name}"

    @property
    def client_ca(self) -> Path | None:
        """The file with the authorities that issue clients' certificates, or None."""
        return self.folder / self.domain.client_ca if self.domain.client_ca else None


def load_site(name: str, *, folder: Path = SITES) -> Site:
    """Return the site of that name. Raise SiteError if its file is missing or has errors."""
    path = folder / f"{name}.toml"
    try:
        given = tomllib.loads(path.read_text())
    except FileNotFoundError:
        known = ", ".join(sorted(path.stem for path in folder.glob("*.toml")))
        raise SiteError(f"no {path.name} in {folder.name}/ (found: {known})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteError(f"{path.name}: {error}") from None
    # These are fields of the model, but not options of the file.
    for field in given.keys() & {"name", "folder"}:
        raise SiteError(f"{path.name}: {field}: extra inputs are not permitted")
    try:
        return Site.model_validate({**given, "name": name, "folder": folder})
    except ValidationError as error:
        lines = (f"{path.name}: {_line(problem)}" for problem in error.errors())
        raise SiteError("\n".join(lines)) from None


def _line(problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    ours, what = problem["type"] == "value_error", problem["msg"].removeprefix("Value error, ")
    text = what if ours else what[0].lower() + what[1:]
    return f"{where}: {text}" if where else text


def _regions() -> set[str]:
    # Each region's certificates follow a comment line with its name.
    return set(re.findall(r"^# Amazon RDS (\S+) Root CA", CERTIFICATES.read_text(), re.MULTILINE))
