"""What the service itself reads of compliance's lists, held to before a policy becomes live."""

from llm_core.policy.networks import NamedNetworks
from policy_service.adapters.policy_bundle import BrokenBundle, PolicyBundle
from policy_service.adapters.policy_lists import faults_between, faults_of
from policy_service.adapters.screening.lists import read_lists
from policy_service.adapters.yaml_file import field_of


def require_readable(bundle: PolicyBundle) -> None:
    """Refuse a bundle with a list that says something which it may not.

    A folder's lists are held to the same when they are read, with file and line; this is for
    bundles, and for what only the service reads.

    Raises:
        BrokenBundle: Which list, and why.
    """
    lists = bundle.data["data"]
    for name, content in lists.items():
        if faults := faults_of(name, content):
            place, told = faults[0]
            raise BrokenBundle(f"data/{name}.yaml: {field_of(place)}: {told}")
    try:
        NamedNetworks(lists.get("networks", {}))
    except (ValueError, TypeError, AttributeError) as fault:
        raise BrokenBundle(f"data/networks.yaml: {fault}") from fault
    try:
        read_lists(lists.get("content", {}))
    except ValueError as fault:
        raise BrokenBundle(f"data/content.yaml: {fault}") from fault
    for place, told in faults_between(lists):
        raise BrokenBundle(f"data/{place[0]}.yaml: {field_of(place)}: {told}")
