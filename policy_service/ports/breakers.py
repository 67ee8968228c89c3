"""The history of breakers: which steps they took, written down once."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from llm_core.ids import RANDOM_BITS, sortable_id
from llm_core.routing.facts import BreakerState
from llm_core.routing.transitions import Cause, Transition

Told = Callable[[str, Sequence[Transition]], None]
"""Takes note of a deployment's steps, the oldest first; never waits and never raises.

Several processes may tell of the same step, and one process again after it was started anew.
"""


def told_to_nobody(_deployment_id: str, _transitions: Sequence[Transition]) -> None:
    """For who keeps no history."""


@dataclass(frozen=True, slots=True)
class BreakerTransition:
    """A step of a deployment's breaker, as it is kept.

    Args:
        id: The same whoever tells of the step; sorts by `at`.
        at: When the breaker left the state.
        provider: Empty for a deployment that the catalogue does not have.
        model: What the provider calls it; empty likewise.
        error_class: Of the call that led to it; empty where none failed.
        opens_until: Into open: when it was to become half-open.
    """

    id: str
    at: datetime
    deployment_id: str
    provider: str
    model: str
    before: BreakerState
    after: BreakerState
    reason: Cause
    error_class: str
    opens_until: datetime | None


@dataclass(frozen=True, slots=True)
class TransitionFilter:
    """Which steps are asked for.

    Args:
        since: Not before this.
        until: Before this.
        providers: Any of these; none for all.
        deployments: Any of these; none for all.
    """

    since: datetime | None = None
    until: datetime | None = None
    providers: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()


class BreakerLog(Protocol):
    """Steps of breakers. Every method raises `PolicyUnavailable` when the database fails."""

    async def record(self, transitions: Sequence[BreakerTransition]) -> None:
        """Write these down, each once whatever how often and by how many it is given."""
        ...

    async def read(
        self,
        wanted: TransitionFilter,
        *,
        after: tuple[datetime, str] | None = None,
        limit: int,
    ) -> Sequence[BreakerTransition]:
        """The newest first.

        Args:
            wanted: Which ones.
            after: The time and id of the row behind which to begin.
            limit: How many at most.
        """
        ...

    async def forget(self, before: datetime) -> int:
        """Drop those of before then; gives how many."""
        ...


def transition_id(deployment_id: str, one: Transition) -> str:
    """The id of a step: made from it, so that it is the same in every process."""
    told = f"{deployment_id}\0{one.at.isoformat()}\0{one.before}\0{one.after}"
    digest = hashlib.blake2b(told.encode(), digest_size=RANDOM_BITS // 8).digest()
    return sortable_id("brk", int(one.at.timestamp() * 1000), int.from_bytes(digest))
