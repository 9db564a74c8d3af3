"""The networks whose requests a site takes; those of any, where it names none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.domain.errors import ForbiddenError
from hpcobs.settings import SettingsError

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from hpcobs.settings import Settings


class Networks:
    """Where requests may come from."""

    def __init__(self, known: tuple[IPv4Network | IPv6Network, ...] = ()) -> None:
        self._known = known

    def admit(self, address: str) -> None:
        """ForbiddenError if the address is of none of the networks."""
        if not self._known:
            return
        from ipaddress import ip_address

        try:
            caller = ip_address(address)
        except ValueError:
            caller = None
        if caller is None or not any(caller in network for network in self._known):
            raise ForbiddenError("requests from this address are not taken")


def networks(settings: Settings) -> Networks:
    """Those of the settings; SettingsError if one of them is no network."""
    if not settings.allowed_networks:
        return Networks()
    from ipaddress import ip_network

    named = settings.allowed_networks.replace(",", " ").split()
    try:
        return Networks(tuple(map(ip_network, named)))
    except ValueError as error:
        raise SettingsError(f"ALLOWED_NETWORKS: {error}") from None
