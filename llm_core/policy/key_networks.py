"""Where a key may be used from."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network

from llm_core.errors import PermissionDenied


def require_network(address: str, networks: Iterable[str]) -> None:
    """Let nobody past who calls from elsewhere.

    Args:
        address: The client's, as the gateway tells it: v4, v6, or v4 in v6 (`::ffff:10.0.0.1`).
        networks: As CIDR.

    Raises:
        PermissionDenied: The address lies in none of them, or is none.
    """
    if not any(_lies_in(address, network) for network in networks):
        raise PermissionDenied(
            "This API key is not for use from your network address. Call from a network that it "
            "is for, or ask your team's owner for another key."
        )


def _lies_in(address: str, network: str) -> bool:
    try:
        found = ip_address(address)
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return found in ip_network(network)
    except ValueError:
        return False
