"""A site that accepts requests from some networks only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs import bootstrap
from hpcobs.auth.networks import Networks, networks
from hpcobs.domain.errors import ForbiddenError
from hpcobs.http.routes import ROUTES
from hpcobs.settings import SettingsError, read_settings
from tests.functions.attacks import path_of
from tests.functions.sites import changed_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functions.gateway import Gateway

CALLER = "192.0.2.1"
"""The source address of the tests' requests."""
FORGED = {
    "x-forwarded-for": "10.1.2.3",
    "x-real-ip": "10.1.2.3",
    "forwarded": "for=10.1.2.3",
    "x-client-ip": "10.1.2.3",
}


@pytest.fixture
def allow(shared_site: Gateway) -> Iterator[Gateway]:
    """Provide a site for 10.0.0.0/8 only."""
    with changed_environment(bootstrap.networks, ALLOWED_NETWORKS="10.0.0.0/8"):
        yield shared_site


def test_every_route_rejects_foreign_addresses(allow: Gateway) -> None:
    for route in ROUTES:
        answer = allow.send(route.method, path_of(route))
        assert (answer.status, answer.error) == (403, "forbidden"), route.key
        assert answer.json["message"] == "requests from this address are not accepted"
    assert allow.get("/v1/nowhere").status == 403


def test_headers_cannot_forge_the_address(allow: Gateway) -> None:
    assert allow.get("/v1/health", headers=FORGED).status == 403


def networks_of(named: str) -> Networks:
    known = networks(read_settings({"ALLOWED_NETWORKS": named}))
    assert known is not None
    return known


def test_site_without_networks_accepts_any_address(shared_site: Gateway) -> None:
    assert shared_site.get("/v1/docs").status == 200


@pytest.mark.parametrize("named", ["", " ", ",", " , "])
def test_separators_alone_name_no_network(named: str) -> None:
    assert networks(read_settings({"ALLOWED_NETWORKS": named})) is None


@pytest.mark.parametrize(
    ("named", "address"),
    [
        ("192.0.2.0/24", CALLER),
        ("10.0.0.0/8 192.0.2.0/24", CALLER),
        ("10.0.0.0/8,192.0.2.1", CALLER),
        ("2001:db8::/32", "2001:db8::17"),
    ],
)
def test_address_in_allowed_network_is_admitted(named: str, address: str) -> None:
    networks_of(named).admit(address)


@pytest.mark.parametrize(
    ("named", "address"),
    [
        ("192.0.2.0/25", "192.0.2.129"),
        ("10.0.0.0/8", "2001:db8::17"),
        ("::/0", CALLER),
        ("192.0.2.0/24", ""),
        ("192.0.2.0/24", "192.0.2.1, 10.0.0.1"),
        ("0.0.0.0/0", "lab"),
    ],
)
def test_other_address_is_rejected(named: str, address: str) -> None:
    with pytest.raises(ForbiddenError):
        networks_of(named).admit(address)


def test_bad_network_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match=r"^ALLOWED_NETWORKS: .*192\.0\.2\.1/24"):
        networks(read_settings({"ALLOWED_NETWORKS": "192.0.2.1/24"}))
