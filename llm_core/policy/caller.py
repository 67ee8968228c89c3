"""Who calls."""

from dataclasses import dataclass
from enum import StrEnum

from llm_core.operation import Operation
from llm_core.policy.limits import Limit, Priority


class ProofOfIdentity(StrEnum):
    """How a caller was recognised."""

    API_KEY = "api_key"
    OIDC = "oidc"
    KONG_CONSUMER = "kong_consumer"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, where they stand in the organisation, and what binds them.

    Ids are the organisation's own short names (`search`, `emea-sales`); `None` is "does not apply".

    Args:
        allowed_models: Aliases this caller may ask for; `*` stands for every one.
        limits: Every limit that binds the caller, from the organisation down to the key, for
            whatever model.
        operations: All that the key is good for; empty for everything.
        networks: Where the key may be used from, as CIDR (`10.0.0.0/8`); empty for everywhere.
        cost_centre: Who pays, in the words of accounting: the nearest one above the caller.
        priority: How urgent its calls are at best; a request can say that it is less.
        time_zone: The organisation's, an IANA name: whose clocks rules about hours go by.
    """

    organisation: str
    department: str
    team: str
    proof: ProofOfIdentity
    project: str | None = None
    user: str | None = None
    application: str | None = None
    key_id: str | None = None
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    clearance: str | None = None
    allowed_models: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    operations: tuple[Operation, ...] = ()
    networks: tuple[str, ...] = ()
    cost_centre: str | None = None
    priority: Priority = Priority.INTERACTIVE
    time_zone: str = "UTC"
