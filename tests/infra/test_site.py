"""A site's file: defaults, options, and one line for each error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from infra.paths import AMAZON_CERTIFICATES, SITES
from infra.site.config import Site, SiteError, load_site

if TYPE_CHECKING:
    from pathlib import Path

NEEDED = 'account = "111122223333"\nregion = "eu-central-1"\ncluster_name = "lab"\n'

LOG_DAYS = (
    "1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, "
    "3288 or 3653"
)
SCOPES = "admin, events:write, jobs:read, jobs:write, metrics:read, samples:write"
EMAIL = r"'^[^@\s]+@[^@\s]+\.[^@\s]+$'"


def _load(folder: Path, text: str) -> Site:
    (folder / "lab.toml").write_text(text)
    return load_site("lab", folder=folder)


def test_example_contains_defaults(tmp_path: Path) -> None:
    example = load_site("example").model_dump(exclude={"name"})
    assert _load(tmp_path, NEEDED).model_dump(exclude={"name"}) == example


def test_example_contains_every_option() -> None:
    shown = set(re.findall(r"^(\w+) =", (SITES / "example.toml").read_text(), re.MULTILINE))
    fields = {name for name, field in Site.model_fields.items() if not field.exclude} - {"name"}
    options = {
        option
        for name in fields
        if hasattr(section := Site.model_fields[name].default, "model_dump")
        for option in section.model_dump()
    }
    sections = set(re.findall(r"^\[(\w+)\]", (SITES / "example.toml").read_text(), re.MULTILINE))
    assert shown == (fields - sections) | options


def test_stack_has_name_of_file(tmp_path: Path) -> None:
    assert _load(tmp_path, NEEDED).stack_name == "hpcobs-lab"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("account = ", "lab.toml: Invalid value (at end of document)"),
        ('region = "eu-central-1"\ncluster_name = "lab"', "lab.toml: account: field required"),
        (
            NEEDED + '[database]\nstorage_gb = "20"',
            "lab.toml: database.storage_gb: input should be a valid integer",
        ),
        (
            NEEDED + "[database]\nstorage_gb = 100",
            "lab.toml: database: max_storage_gb must be at least 10 % more than storage_gb",
        ),
        (
            NEEDED + "[database]\nmulti_zone = true",
            "lab.toml: database.multi_zone: extra inputs are not permitted",
        ),
        (
            NEEDED + "[retention]\nlogs_days = 31",
            f"lab.toml: retention.logs_days: input should be {LOG_DAYS}",
        ),
        (
            NEEDED + '[identity]\njwks_url = "http://login.example.org/keys"',
            "lab.toml: identity: jwks_url must begin with https://",
        ),
        (
            NEEDED + '[identity]\njwks_url = "https://login.example.org/keys"\nissuer = "x"',
            "lab.toml: identity: jwks_url needs issuer and audience",
        ),
        (
            NEEDED + '[identity.scopes_by_group]\nstaff = "jobs:raed"',
            f"lab.toml: identity.scopes_by_group.staff: jobs:raed: not a scope; there are {SCOPES}",
        ),
        (
            NEEDED + '[alarms]\nemails = ["admins"]',
            f"lab.toml: alarms.emails.0: string should match pattern {EMAIL}",
        ),
        (
            NEEDED + '[database]\ninstance_class = "db.serverless"',
            'lab.toml: database: instance_class "db.serverless" needs engine = "aurora"',
        ),
        (
            NEEDED + '[database]\nengine = "aurora"',
            (
                'lab.toml: database: engine = "aurora" needs an instance_class such as '
                '"db.serverless", "db.t4g.medium" or "db.r8g.large"'
            ),
        ),
        (
            NEEDED + "[database]\nmin_acu = 4\nmax_acu = 2",
            "lab.toml: database: max_acu must be at least 1, and at least min_acu",
        ),
        (
            NEEDED + "[functions]\nconcurrency = 31",
            (
                "lab.toml: functions.concurrency: 3 functions need 93 connections, but "
                "database.max_connections leaves 92"
            ),
        ),
        (
            NEEDED + '[gateway]\nallowed_networks = ["192.0.2.1/24"]',
            (
                "lab.toml: gateway.allowed_networks.0: 192.0.2.1/24 has host bits set; "
                "write a network as 192.0.2.0/24"
            ),
        ),
        (
            NEEDED + '[domain]\nname = "hpcobs.example.org"',
            "lab.toml: domain: name needs certificate_arn: the certificate in ACM for that name",
        ),
        (
            NEEDED + '[domain]\nclient_ca = "ca.pem"',
            "lab.toml: domain: certificate_arn, hosted_zone_id and client_ca need name",
        ),
        (
            NEEDED + '[tags]\nproject = "mine"',
            "lab.toml: tags: project is reserved: choose another tag",
        ),
        (NEEDED + 'name = "x"', "lab.toml: name: extra inputs are not permitted"),
        (
            NEEDED.replace("eu-central-1", "mars-north-1"),
            "lab.toml: region: rds.pem has no RDS certificates for 'mars-north-1'",
        ),
    ],
)
def test_error_names_its_field_in_one_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(SiteError) as caught:
        _load(tmp_path, text)
    assert str(caught.value) == line


@pytest.mark.parametrize("content", [None, "", "lab"])
def test_client_ca_is_relative_to_file(tmp_path: Path, content: str | None) -> None:
    text = f'{NEEDED}[domain]\nname = "h.example.org"\n'
    text += 'certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"\n'
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(SiteError, match=r"domain\.client_ca: no certificates in /.*/ca\.pem"):
        _load(tmp_path, f'{text}client_ca = "ca.pem"')
    (tmp_path / "ca.pem").write_bytes(AMAZON_CERTIFICATES.read_bytes())
    site = _load(tmp_path, f'{text}client_ca = "ca.pem"')
    assert site.client_ca == tmp_path / "ca.pem"


def test_all_errors_are_reported(tmp_path: Path) -> None:
    with pytest.raises(SiteError) as caught:
        _load(tmp_path, "")
    assert str(caught.value).splitlines() == [
        "lab.toml: account: field required",
        "lab.toml: region: field required",
        "lab.toml: cluster_name: field required",
    ]


def test_missing_site_error_lists_existing_sites(tmp_path: Path) -> None:
    _load(tmp_path, NEEDED)
    with pytest.raises(SiteError, match=r"^no mine\.toml in .*\(found: lab\)$"):
        load_site("mine", folder=tmp_path)


def test_invalid_stack_name_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "My Lab.toml").write_text(NEEDED)
    with pytest.raises(SiteError, match=r"^My Lab\.toml: name: string should match"):
        load_site("My Lab", folder=tmp_path)
