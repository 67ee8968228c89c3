"""How keys are named."""

from dataclasses import dataclass
from datetime import datetime

from llm_core.policy.limits import Limit
from policy_service.adapters.windows import month_of


@dataclass(frozen=True, slots=True)
class Keys:
    """Every key the store uses. All carry one hash tag, so that a cluster keeps them on one node.

    Args:
        prefix: Tells installations apart that share a Redis; without braces, which would make
            another hash tag.
    """

    prefix: str

    def __post_init__(self) -> None:
        if not self.prefix or set(self.prefix) & set("{}"):
            raise ValueError(f"{self.prefix!r} cannot begin keys: it is empty or holds a brace")

    @property
    def reservations(self) -> str:
        """What every reservation's key begins with."""
        return f"{self.prefix}:{{limits}}:reservation:"

    @property
    def leases(self) -> str:
        """Decision ids of open reservations, sorted by the end of their lease."""
        return f"{self.prefix}:{{limits}}:leases"

    @property
    def rows(self) -> str:
        """The stream of usage rows."""
        return f"{self.prefix}:{{limits}}:rows"

    def reservation(self, decision_id: str) -> str:
        """One reservation, a hash."""
        return self.reservations + decision_id

    def counter(self, limit: Limit, now: datetime) -> str:
        """What counts for a limit: a window, or this month's money."""
        if limit.measure.is_money:
            return f"{self.prefix}:{{limits}}:month:{month_of(now)}:{limit.key}"
        return f"{self.prefix}:{{limits}}:window:{limit.key}"
