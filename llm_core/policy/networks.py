"""Which of compliance's networks does an address lie in?

The names go to policy and to its log; the address goes nowhere.
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


class NamedNetworks:
    """Compliance's list `networks`, read once."""

    def __init__(self, networks: Mapping[str, Iterable[str]]) -> None:
        """Take names and the CIDR ranges of each.

        Raises:
            ValueError: One is no range; the message names it.
        """
        self._networks = {name: tuple(map(_network, cidrs)) for name, cidrs in networks.items()}

    def names_of(self, address: str | None) -> tuple[str, ...]:
        """The networks that the address lies in; none for what is no address.

        Args:
            address: v4, v6, or v4 in v6 (`::ffff:10.0.0.1`), as Kong tells it.
        """
        if address is None:
            return ()
        try:
            found = ip_address(address)
        except ValueError:
            return ()
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return tuple(
            name for name, ranges in self._networks.items() if any(found in one for one in ranges)
        )


def _network(cidr: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(cidr)
    except ValueError as error:
        raise ValueError(f"{cidr!r} is no CIDR range: {error}") from error
