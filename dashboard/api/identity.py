"""Who looks, and what they may do."""

from dataclasses import dataclass

from dashboard.api.client import Client


@dataclass(frozen=True, slots=True)
class Held:
    """A role, and what it permits on its node and below."""

    role: str
    node: str
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever looks. What is offered to them follows from this; what they get is the API's say."""

    name: str
    proof: str
    grants: tuple[Held, ...] = ()

    def may(self, permission: str) -> bool:
        """Whether they may do it anywhere."""
        return any(permission in held.permissions for held in self.grants)

    def organisations(self, permission: str) -> tuple[str, ...]:
        """The organisations of which the viewer may do it on the whole."""
        nodes = [held.node for held in self.grants if permission in held.permissions]
        kinds = (node.partition(":") for node in nodes)
        return tuple(dict.fromkeys(name for kind, _, name in kinds if kind == "organisation"))


def whoami(client: Client) -> Viewer:
    """`GET /admin/v1/whoami`."""
    return client.get("whoami", Viewer)
