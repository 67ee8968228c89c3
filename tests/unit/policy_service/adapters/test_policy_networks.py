from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.adapters.policy_networks import PolicyNetworks


def _policy(**networks: list[str]) -> PolicyBundle:
    return PolicyBundle({}, {"data": {"networks": networks}}, revision="1", digest="")


def test_networks_are_those_of_the_policy_in_force() -> None:
    live = _policy(office=["192.0.2.0/24"])
    networks = PolicyNetworks(lambda: live)
    assert networks().names_of("192.0.2.1") == ("office",)
    assert networks() is networks()
    live = _policy(vpn=["192.0.2.0/24"])
    assert networks().names_of("192.0.2.1") == ("vpn",)


def test_a_policy_without_the_list_names_none() -> None:
    live = PolicyBundle({}, {"data": {}}, revision="1", digest="")
    assert PolicyNetworks(lambda: live)().names_of("192.0.2.1") == ()
