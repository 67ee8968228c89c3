"""The audit chain and the ways to it and from it: who keeps, signs and ships events."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence, Sized
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from llm_core.audit.event import Checkpoint, Event, Head, NewEvent, Span
from llm_core.policy.roles import Actor
from policy_service.ports.decision_log import LoggedDecision


@dataclass(frozen=True, slots=True)
class Noted:
    """An event on its way to its chain, and the decision that goes into the log with it."""

    event: NewEvent
    decision: LoggedDecision | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What was taken from a spool; given out again until it is done.

    Args:
        token: What the spool knows it by.
        noted: What was put there together; `None` where nobody can read it.
    """

    token: bytes
    noted: tuple[Noted, ...] | None


class UnwritableEvents(Exception):
    """The database works, and will never take one of these; nothing of them was written."""


class Spool(Protocol):
    """Where events of all processes wait to be written."""

    async def put(self, noted: Sequence[Noted]) -> None:
        """Leave them there, in this order.

        Raises:
            PolicyUnavailable: It cannot be reached or has no room; some may be there all the same.
        """
        ...

    async def take(self, most: int, wait_s: float) -> Sequence[Waiting]:
        """Those that wait longest; nothing when none came in time.

        What was taken and is not done is given out again after a failure, and after nothing came:
        who asks has finished with what they took before.

        Raises:
            PolicyUnavailable: It cannot be reached.
        """
        ...

    async def done(self, waiting: Sequence[Waiting]) -> None:
        """These are written.

        Raises:
            PolicyUnavailable: It cannot be reached; they will be given out again.
        """
        ...

    def start_over(self) -> None:
        """Somebody else may have taken from it meanwhile: give out again what is not done."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class LocalSpool(Spool, Sized, Protocol):
    """A spool of this process alone; it is always there, and its length is known."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events are wanted.

    Args:
        chains: Only of these; `None` for all.
        kind: Only of this kind; with a full stop at its end, of every one that begins so.
        actor: Only by them.
        subject: Only about this.
        since: Only from then on, UTC-aware.
        id: Only this one.
    """

    chains: Collection[str] | None = None
    kind: str | None = None
    actor: str | None = None
    subject: str | None = None
    since: datetime | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An event as people read it; content is `None` where it was erased."""

    chain: str
    seq: int
    id: str
    at: datetime
    kind: str
    actor: str | None
    subject: str | None
    payload: dict[str, Any] | None
    hash: str


class AuditChain(Protocol):
    """The chains, one for each organisation and one for the platform.

    Every method raises `PolicyUnavailable` when the database fails.
    """

    async def append(self, noted: Sequence[Noted]) -> int:
        """Put these, and what waits in the outbox, at the ends of their chains; each once.

        One transaction; no two run at the same time, in whatever process. Decisions go into the
        decision log in it.

        Returns:
            How many events came to a chain.

        Raises:
            UnwritableEvents: One of them can never be written.
        """
        ...

    async def has_outbox(self) -> bool:
        """Whether something waits in the outbox."""
        ...

    async def hold(self, name: str, owner: str, now: datetime, seconds: float) -> bool:
        """Whether this owner has a piece of work to itself for so long; asks again to go on."""
        ...

    async def release(self, owner: str) -> None:
        """Give back whatever this owner holds."""
        ...

    async def heads(self) -> Sequence[Head]:
        """Where each chain ends."""
        ...

    async def seal(self, signer: "Signer", now: datetime, *, least: int, age_s: float) -> int:
        """Sign checkpoints for chains that have grown enough since their last one.

        Args:
            signer: Signs them.
            now: Their time.
            least: Enough is so many events,
            age_s: or one, when the last checkpoint is so old.

        Returns:
            How many checkpoints were made.
        """
        ...

    async def rows(
        self,
        wanted: AuditFilter,
        *,
        before_seq: int | None = None,
        after: tuple[str, int] | None = None,
        limit: int = 100,
    ) -> Sequence[AuditRow]:
        """Events, chain by chain, the newest of each first.

        Args:
            wanted: Which.
            before_seq: Only older ones, of every chain.
            after: Only what comes behind the event of this chain and number.
            limit: How many at most.
        """
        ...

    async def checkpoints(
        self,
        chains: Collection[str] | None,
        *,
        before: tuple[datetime, int, str] | None = None,
        limit: int = 100,
    ) -> Sequence[Checkpoint]:
        """The newest checkpoints.

        Args:
            chains: Only of these; `None` for all.
            before: Only what comes behind the one of this time, number and chain.
            limit: How many at most.
        """
        ...

    def export(
        self, chains: Collection[str] | None = None, since: datetime | None = None
    ) -> AsyncIterator[Mapping[str, Span] | Sequence[Event | Checkpoint]]:
        """What an export holds: first which events of which chains, then batches of lines.

        Everything is as it was at one moment.
        """
        ...

    async def erase(self, user: str, actor: Actor, reason: str) -> int:
        """Erase the contents of every event by this user or about them; gives how many.

        What is hashed into the chains stays, and an event of the kind `erasure` in each of them
        names the events and who had them erased, why, but not the user.
        """
        ...


class Signer(Protocol):
    """Signs checkpoints."""

    @property
    def key_id(self) -> str:
        """Names the key."""
        ...

    def sign(self, message: bytes) -> str:
        """The signature, hex."""
        ...


class Sink(Protocol):
    """Where chains are shipped to."""

    @property
    def name(self) -> str:
        """Names it in the log and in the table of cursors; holds no secret."""
        ...

    async def send(self, lines: Sequence[Event | Checkpoint]) -> None:
        """Hand these over, in this order.

        Raises:
            SinkUnavailable: It did not take them, or not all; they will be sent again.
        """
        ...

    async def close(self) -> None:
        """Let go of what is open."""
        ...


class SinkUnavailable(Exception):
    """A sink did not take what was sent; says why, without secrets."""


class Shipments(Protocol):
    """How far chains were shipped. Raises `PolicyUnavailable` when the database fails."""

    async def next(self, sink: str, most: int, *, after: str = "") -> Sequence[Event | Checkpoint]:
        """What a sink has not got yet, of one chain, in order; nothing when it has everything.

        Args:
            sink: Its name.
            most: So many events.
            after: The chain that had its turn last: another one's turn comes first.
        """
        ...

    async def sent(self, sink: str, lines: Sequence[Event | Checkpoint]) -> None:
        """The sink has these."""
        ...
