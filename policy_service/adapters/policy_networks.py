"""The networks that the policy in force names."""

from collections.abc import Callable

from llm_core.policy.networks import NamedNetworks
from policy_service.adapters.policy_bundle import PolicyBundle


class PolicyNetworks:
    """Gives the live policy's networks; read anew when another policy has become the live one.

    Args:
        live: The bundle that decides now.
    """

    def __init__(self, live: Callable[[], PolicyBundle]) -> None:
        """Read nothing yet."""
        self._live = live
        self._read_from: PolicyBundle | None = None
        self._networks = NamedNetworks({})

    def __call__(self) -> NamedNetworks:
        """The networks, by compliance's names."""
        bundle = self._live()
        if bundle is not self._read_from:
            self._networks = NamedNetworks(bundle.data["data"].get("networks", {}))
            self._read_from = bundle
        return self._networks
