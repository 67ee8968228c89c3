"""How keys are named."""

from dataclasses import dataclass

from policy_service.adapters.counters import Counter


@dataclass(frozen=True, slots=True)
class Keys:
    """Every key the store uses. All carry one hash tag, so that a cluster keeps them on one node.

    The number after the prefix changes when the meaning of keys does, so that none is misread.

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
        return self._key("reservation:")

    @property
    def leases(self) -> str:
        """Decision ids of open reservations, sorted by the end of their lease."""
        return self._key("leases")

    @property
    def estimates(self) -> str:
        """Decision ids that expired and were not settled, sorted by when they are forgotten."""
        return self._key("estimates")

    @property
    def unwritten(self) -> str:
        """Decision ids that the ledger may not have, or not as they will be."""
        return self._key("unwritten")

    @property
    def mark(self) -> str:
        """Changes with what is given out to be written, and with what was written."""
        return self._key("mark")

    @property
    def hold(self) -> str:
        """There while the queue gives out no rows."""
        return self._key("hold")

    @property
    def rest(self) -> str:
        """There while nobody may hold the queue again."""
        return self._key("rest")

    @property
    def counters(self) -> str:
        """Keys of the counters that were made from the ledger, sorted by when they vanish."""
        return self._key("counters")

    @property
    def counters_to_drop(self) -> str:
        """The same, while they are dropped."""
        return self._key("counters_to_drop")

    @property
    def rows(self) -> str:
        """The stream of usage rows."""
        return self._key("rows")

    def reservation(self, decision_id: str) -> str:
        """One reservation, a hash."""
        return self.reservations + decision_id

    def counter(self, counter: Counter) -> str:
        """What counts for a limit."""
        return self._key(counter.name)

    def _key(self, name: str) -> str:
        return f"{self.prefix}:2:{{limits}}:{name}"
