import pytest

from llm_core.policy.networks import NamedNetworks

NETWORKS = NamedNetworks(
    {"office": ["192.0.2.0/24", "2001:db8:1::/48"], "vpn": ["192.0.2.128/25"], "empty": []}
)


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("192.0.2.1", ("office",)),
        ("192.0.2.200", ("office", "vpn")),
        ("::ffff:192.0.2.1", ("office",)),
        ("2001:db8:1::5", ("office",)),
        ("2001:db8:2::5", ()),
        ("198.51.100.7", ()),
    ],
)
def test_an_address_lies_in_the_networks_that_hold_it(address: str, names: tuple[str, ...]) -> None:
    assert NETWORKS.names_of(address) == names


@pytest.mark.parametrize("address", [None, "", "office", "192.0.2.1/24", "192.0.2.1, 10.0.0.1"])
def test_what_is_no_address_lies_in_no_network(address: str | None) -> None:
    assert NETWORKS.names_of(address) == ()


@pytest.mark.parametrize("cidr", ["192.0.2.1/24", "office", "192.0.2.0/33", ""])
def test_a_range_that_is_none_is_refused_by_name(cidr: str) -> None:
    with pytest.raises(ValueError, match="no CIDR range"):
        NamedNetworks({"office": [cidr]})
