"""What the service itself reads of compliance's lists, held to before a policy becomes live."""

from llm_core.policy.networks import NamedNetworks
from policy_service.adapters.policy_bundle import BrokenBundle, PolicyBundle
from policy_service.adapters.screening.lists import read_lists


def require_readable(bundle: PolicyBundle) -> None:
    """Refuse a bundle whose networks or content lists cannot be used.

    Raises:
        BrokenBundle: Which list, and why.
    """
    lists = bundle.data["data"]
    try:
        NamedNetworks(lists.get("networks", {}))
    except (ValueError, TypeError, AttributeError) as fault:
        raise BrokenBundle(f"data/networks.yaml: {fault}") from fault
    try:
        read_lists(lists.get("content", {}))
    except ValueError as fault:
        raise BrokenBundle(f"data/content.yaml: {fault}") from fault
