"""Reservations in one process's memory, and which of them the ledger may not have yet."""

import heapq
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto

import msgspec

from llm_core.policy.decision import Reservation
from llm_core.policy.limits import Amounts, Limit
from policy_service.adapters.counters import Counter
from policy_service.adapters.windows import epoch_ms


class Stage(Enum):
    """How far a reservation has come."""

    OPEN = auto()
    EXPIRED = auto()
    SETTLED = auto()


@dataclass(slots=True)
class Held:
    """A reservation, what it took and where, and the end of its lease.

    Args:
        body: JSON, because a day's reservations as objects would keep the garbage collector busy.
        at_ms: When it was decided, which says where it counts.
        figure: What was reserved, and the true figure once it is settled.
        charges: Counters by name, and the part of them it went to.
        places: Counters of calls under way that it is in.
        queued: Its rows that are not in the ledger yet.
    """

    decision_id: str
    body: bytes
    expires_at: datetime
    at_ms: int
    nodes: tuple[str, ...]
    asked_model: str
    figure: Amounts
    stage: Stage = Stage.OPEN
    is_redeemed: bool = False
    charges: dict[str, tuple[Counter, int]] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    queued: int = 0
    ended_ms: int = 0

    @property
    def expires_ms(self) -> int:
        """The end of its lease."""
        return epoch_ms(self.expires_at)

    @property
    def reservation(self) -> Reservation:
        """As it was made, with the end it was extended to."""
        given = msgspec.json.decode(self.body, type=Reservation)
        return replace(given, expires_at=self.expires_at)

    def belongs_to(self, limit: Limit) -> bool:
        """Whether it counts for a limit, apart from the time."""
        return limit.node in self.nodes and limit.binds(self.asked_model)


class Reservations:
    """Keeps open ones for ever, and ended ones until they are in the ledger, and some time longer.

    Args:
        remembered_s: How much longer a settled one is kept.
        estimate_remembered_s: And one that expired, whose true figure may come late.
    """

    def __init__(self, *, remembered_s: float, estimate_remembered_s: float) -> None:
        self._kept_ms = {
            Stage.SETTLED: int(remembered_s * 1000),
            Stage.EXPIRED: int(estimate_remembered_s * 1000),
        }
        self._held: dict[str, Held] = {}
        self._to_forget: list[tuple[int, str]] = []
        self.open: dict[str, Held] = {}
        self.unwritten: dict[str, Held] = {}
        self.mark = 0

    def get(self, decision_id: str) -> Held | None:
        """One in whatever stage."""
        return self._held.get(decision_id)

    def add(self, held: Held) -> None:
        """A new one."""
        for those in (self._held, self.open, self.unwritten):
            those[held.decision_id] = held

    def end(self, held: Held, stage: Stage, now_ms: int) -> None:
        """Its row is queued at the same time."""
        held.stage, held.ended_ms = stage, now_ms
        held.queued += 1
        self.open.pop(held.decision_id, None)

    def written(self, decision_id: str) -> None:
        """One of its rows is in the ledger.

        An estimate stays among the unwritten until it is forgotten: its figure may still change.
        """
        held = self._held.get(decision_id)
        if held is None:
            return
        held.queued -= 1
        if held.queued:
            return
        if held.stage is Stage.SETTLED:
            self.unwritten.pop(decision_id, None)
            held.charges.clear()
        heapq.heappush(self._to_forget, (self._forgotten_at_ms(held), decision_id))

    def is_written(self, decision_id: str) -> bool:
        """Whether it is remembered, and all of its rows are in the ledger."""
        held = self._held.get(decision_id)
        return held is not None and not held.queued

    def forget(self, now_ms: int) -> None:
        """Drop those that were kept long enough."""
        while self._to_forget and self._to_forget[0][0] <= now_ms:
            forgotten_at_ms, decision_id = heapq.heappop(self._to_forget)
            held = self._held.get(decision_id)
            # One that expired first and was settled later stands here twice.
            if held is None or held.queued or self._forgotten_at_ms(held) != forgotten_at_ms:
                continue
            del self._held[decision_id]
            if self.unwritten.pop(decision_id, None):
                self.mark += 1

    def _forgotten_at_ms(self, held: Held) -> int:
        return held.ended_ms + self._kept_ms[held.stage]
