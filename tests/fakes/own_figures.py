"""A caller's figures in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from llm_core.errors import PolicyUnavailable
from policy_service.ports.self_service import KeyFacts, UsedModel


@dataclass
class FakeOwnFigures:
    """Implements `OwnFigures`; remembers what it was asked."""

    zone: str = "UTC"
    keys: dict[str, KeyFacts] = field(default_factory=dict)
    rows: tuple[UsedModel, ...] = ()
    is_down: bool = False
    fault: Exception | None = None
    asked: list[tuple[str, tuple[datetime, ...]]] = field(default_factory=list)

    async def time_zone(self, organisation: str) -> str:
        """The same for everybody."""
        if self.is_down:
            raise PolicyUnavailable("The database is down.")
        return self.zone

    async def key(self, key_id: str) -> KeyFacts | None:
        """A key that was laid ready."""
        return self.keys.get(key_id)

    async def used(self, node: str, edges: Sequence[datetime]) -> tuple[UsedModel, ...]:
        """The rows that were laid ready."""
        self.asked.append((node, tuple(edges)))
        if self.fault is not None:
            raise self.fault
        return self.rows
