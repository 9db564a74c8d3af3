"""The networks from which a site accepts requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.domain.errors import ForbiddenError
from hpcobs.settings import SettingsError

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from hpcobs.settings import Settings


class Networks:
    """The addresses from which requests are accepted."""

    def __init__(self, networks: tuple[IPv4Network | IPv6Network, ...]) -> None:
        self._networks = networks

    def admit(self, address: str) -> None:
        """Raise ForbiddenError if the address is in none of the networks."""
        from ipaddress import ip_address

        try:
            caller = ip_address(address)
        except ValueError:
            caller = None
        if caller is None or not any(caller in network for network in self._networks):
            raise ForbiddenError("requests from this address are not accepted")


def networks(settings: Settings) -> Networks | None:
    """Return the networks of ALLOWED_NETWORKS, or None if it names none: all addresses may call.

    Raise SettingsError if an entry is no network.
    """
    named = settings.allowed_networks.replace(",", " ").split()
    if not named:
        return None
    from ipaddress import ip_network  # most sites name no networks

    try:
        return Networks(tuple(map(ip_network, named)))
    except ValueError as error:
        raise SettingsError(f"ALLOWED_NETWORKS: {error}") from None
