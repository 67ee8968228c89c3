import pytest

from llm_core.errors import PermissionDenied
from llm_core.policy.key_networks import require_network


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("10.1.2.3", ["10.0.0.0/8"]),
        ("10.1.2.3", ["192.168.0.0/16", "10.1.2.3/32"]),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"]),
        ("2001:db8::1", ["2001:db8::/32"]),
    ],
)
def test_who_calls_from_one_of_the_networks_may_pass(address: str, networks: list[str]) -> None:
    require_network(address, networks)


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("11.1.2.3", ["10.0.0.0/8"]),
        ("2001:db8::1", ["10.0.0.0/8"]),
        ("10.1.2.3", ["2001:db8::/32"]),
        ("10.1.2.3", ["nonsense"]),
        ("", ["0.0.0.0/0"]),
        ("unix:", ["0.0.0.0/0"]),
    ],
)
def test_whoever_calls_from_elsewhere_may_not(address: str, networks: list[str]) -> None:
    with pytest.raises(PermissionDenied, match="network"):
        require_network(address, networks)
