"""Who looks, and what they may do."""

from dataclasses import dataclass

from dashboard.api.client import Client

PLATFORM = "platform:*"


@dataclass(frozen=True, slots=True)
class Held:
    """A role, and what it permits on its node and below."""

    role: str
    node: str
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever looks. What is offered to them follows from this; what they get is the API's say.

    Args:
        time_zone: In which their organisation's days and months begin.
    """

    name: str
    proof: str
    grants: tuple[Held, ...] = ()
    time_zone: str = "UTC"

    def may(self, permission: str, node: str = "") -> bool:
        """Whether they may do it: anywhere, or by a role on a node or on the whole platform."""
        nodes = self.nodes(permission)
        return bool(nodes) and (not node or node in nodes or PLATFORM in nodes)

    def nodes(self, permission: str) -> tuple[str, ...]:
        """Where they may do it, in the order of their roles."""
        held = [one.node for one in self.grants if permission in one.permissions]
        return tuple(dict.fromkeys(held))


def whoami(client: Client) -> Viewer:
    """`GET /admin/v1/whoami`."""
    return client.get("whoami", Viewer)
