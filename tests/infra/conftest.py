"""Templates of the example site and of two others, without building the layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.paths import CERTIFICATES
from infra.site.config import Site, load_site
from infra.synth import synthesize
from tests.infra.template import Template

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def example() -> Site:
    return load_site("example")


@pytest.fixture(scope="session")
def other() -> Site:
    """Return a site with other options than the example."""
    return Site.model_validate(
        {
            "name": "other",
            "folder": CERTIFICATES.parent,
            "account": "444455556666",
            "region": "us-west-2",
            "cluster_name": "big",
            "network": {"cidr": "10.9.0.0/20"},
            "database": {
                "postgres": "18.6",
                "instance_class": "db.r8g.large",
                "storage_gb": 200,
                "max_storage_gb": 1000,
                "max_connections": 500,
                "multi_az": True,
                "proxy": True,
                "backup_days": 30,
                "deletion_protection": False,
                "performance_insights": False,
            },
            "retention": {"samples_days": 30, "audit_days": 1000, "logs_days": 90},
            "collector": {"interval_seconds": 15},
            "functions": {"snap_start": True, "concurrency": 50},
            "gateway": {
                "requests_per_second": 1000,
                "burst": 2000,
                "allowed_networks": ["192.0.2.0/24", "2001:db8::/32"],
            },
            "domain": {
                "name": "hpcobs.example.org",
                "certificate_arn": "arn:aws:acm:us-west-2:444455556666:certificate/1",
                "client_ca": "amazon.pem",
            },
            "identity": {
                "jwks_url": "https://login.example.org/keys",
                "issuer": "https://login.example.org",
                "audience": "hpcobs",
                "user_claim": "email",
                "user_domain": "example.org",
                "user_scopes": "jobs:read jobs:write",
                "groups_claim": "realm_access.roles",
                "scopes_by_group": {"hpc-admins": "admin", "staff": "jobs:read metrics:read"},
            },
            "alarms": {
                "emails": ["a@example.org", "b@example.org"],
                "queue_age_minutes": 5,
                "refusals": 7,
                "monthly_budget_usd": 500,
            },
            "tags": {"cost-center": "hpc"},
        }
    )


@pytest.fixture(scope="session")
def restored() -> Site:
    """Return a site on Aurora whose database is created from a snapshot."""
    return Site.model_validate(
        {
            "name": "restored",
            "account": "444455556666",
            "region": "us-west-2",
            "cluster_name": "big",
            "database": {
                "engine": "aurora",
                "instance_class": "db.serverless",
                "max_acu": 16,
                "multi_az": True,
                "restore_from": "hpcobs-big-final",
            },
            "domain": {
                "name": "hpcobs.example.org",
                "certificate_arn": "arn:aws:acm:us-west-2:444455556666:certificate/1",
                "hosted_zone_id": "Z0123456789",
            },
        }
    )


@pytest.fixture(scope="session")
def template(example: Site, tmp_path_factory: pytest.TempPathFactory) -> Template:
    return _template(example, tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def other_template(other: Site, tmp_path_factory: pytest.TempPathFactory) -> Template:
    return _template(other, tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="session")
def restored_template(restored: Site, tmp_path_factory: pytest.TempPathFactory) -> Template:
    return _template(restored, tmp_path_factory.mktemp("restored"))


def _template(site: Site, out: Path) -> Template:
    return Template(synthesize(site, out=out, build=False))
