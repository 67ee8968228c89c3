"""The `LimitsStore` port on Redis: each method is one Lua script, and one round trip."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Reservation
from llm_core.policy.limits import Amounts, Limit, LimitState
from policy_service.adapters.counters import (
    Counter,
    binding,
    counter_of,
    nodes_of,
    primable,
    retry_after_s,
    taken,
    to_prime,
)
from policy_service.adapters.pico_usd import micro_text
from policy_service.adapters.redis_limits.faults import translated
from policy_service.adapters.redis_limits.keys import Keys
from policy_service.adapters.redis_limits.rows import RowsQueue
from policy_service.adapters.redis_limits.scripts import scripts_for
from policy_service.adapters.redis_limits.wire import (
    amount_of,
    shape,
    shape_and_amount,
    states,
    told,
)
from policy_service.adapters.redis_pool import redis_client
from policy_service.adapters.windows import epoch_ms
from policy_service.ports.limits import (
    Backlog,
    Comparison,
    QueuedRow,
    Refused,
    Reserved,
    SettleOutcome,
    Spent,
    Unprimed,
    Unwritten,
)

_LOG = logging.getLogger(__name__)

HOUR_S = 3_600
DAY_S = 86_400

# Scripts hold Redis up while they run. One decision takes `prime.lua` 3 microseconds.
MOST_UNWRITTEN = 100_000
_DROPPED_AT_ONCE = 1_000

_HELD_MS = 1_000
_HELD_AGAIN_MS = 3_000


class RedisLimitsStore:
    """Limits that hold over any number of processes. Needs Redis 6.2 or newer.

    Redis must not evict keys (`maxmemory-policy noeviction`): an evicted window would let calls
    through, and an evicted reservation would never be charged.

    Args:
        redis: A URL, or a client of its own making (then `close` leaves it open, and the timeouts
            are its own: more than 1 s, because the queue waits that long). It must not decode
            responses.
        prefix: What every key begins with.
        redelivery_s: After how long an unacknowledged usage row is given out again.
        remembered_s: How long a settled reservation is remembered once its row is in the ledger.
        estimate_remembered_s: How long the true figure may still replace an estimate.
        connect_timeout_s: For each connection; with a URL only, like the two below.
        command_timeout_s: For each answer; at least 2 s, because the queue waits 1 s.
        max_connections: Further calls wait for one to be free, `command_timeout_s` at most.
    """

    def __init__(
        self,
        redis: Redis | str,
        *,
        prefix: str = "gatehouse",
        redelivery_s: float = 30.0,
        remembered_s: float = HOUR_S,
        estimate_remembered_s: float = DAY_S,
        connect_timeout_s: float = 1.0,
        command_timeout_s: float = 2.0,
        max_connections: int = 64,
    ) -> None:
        self._is_ours = isinstance(redis, str)
        if isinstance(redis, str):
            redis = redis_client(
                redis,
                slot_of=Keys(prefix).leases,
                connect_timeout_s=connect_timeout_s,
                command_timeout_s=command_timeout_s,
                max_connections=max_connections,
            )
        if redis.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError("the limits store needs a Redis client that answers in bytes")
        self._redis = redis
        self._keys = Keys(prefix)
        self._scripts = scripts_for(redis)
        self._rows = RowsQueue(
            redis,
            self._scripts,
            self._keys,
            redelivery_s=redelivery_s,
            remembered_s=remembered_s,
        )
        self._estimate_remembered_ms = int(estimate_remembered_s * 1000)

    async def states(self, limits: Sequence[Limit], now: datetime) -> tuple[LimitState, ...]:
        """See `LimitsStore.states`; a counter that is named twice stands there once."""
        counters = [counter_of(limit, now) for limit in binding(limits)]
        if not counters:
            return ()
        answer: Any = await self._run(
            self._scripts.states,
            keys=[self._keys.counter(counter) for counter in counters],
            args=[epoch_ms(now), *(shape(counter) for counter in counters)],
        )
        return states(counters, answer, now)

    async def reserve(
        self, reservation: Reservation, amounts: Amounts, now: datetime
    ) -> Reserved | Refused | Unprimed:
        """See `LimitsStore.reserve`.

        The same reservation once more takes nothing more: it is a retry after a lost answer. What
        was decided earlier counts from then on, as in the ledger.

        Raises:
            PolicyUnavailable: Redis does not answer.
            ValueError: The decision id is taken by another reservation, or an amount is negative.
        """
        decided_at = min(reservation.decided_at, now)
        counters = [
            counter_of(limit, now, decided_at) for limit in binding(reservation.caller.limits)
        ]
        wanted = taken(amounts)
        decision_id = reservation.decision_id
        answer: Any = await self._run(
            self._scripts.reserve,
            keys=[
                self._keys.reservation(decision_id),
                self._keys.leases,
                self._keys.unwritten,
                self._keys.mark,
                *(self._keys.counter(counter) for counter in counters),
            ],
            args=[
                decision_id,
                epoch_ms(now),
                epoch_ms(decided_at),
                epoch_ms(reservation.expires_at),
                msgspec.json.encode(reservation),
                _between_zeros(nodes_of(reservation.caller, reservation.approval)),
                reservation.call.asked_model,
                wanted.requests,
                wanted.input_tokens,
                wanted.output_tokens,
                micro_text(wanted.usd),
                " ".join(shape_and_amount(counter) for counter in counters),
            ],
        )
        match answer:
            case [b"reserved", _, _, text]:
                return Reserved(states(counters, text, now))
            case [b"refused", position, retry_ms, text]:
                exceeded = counters[position - 1]
                fits_in_ms = None if retry_ms < 0 else retry_ms
                return Refused(
                    exceeded=exceeded.limit,
                    retry_after_s=retry_after_s(exceeded, wanted, fits_in_ms, now),
                    states=states(counters, text, now),
                )
            case [b"unprimed", *positions]:
                return Unprimed(tuple(counters[position - 1].limit for position in positions))
            case _:
                raise ValueError(f"the decision id {decision_id!r} was used before")

    async def unwritten(self, *, is_urgent: bool = False) -> Unwritten:
        """See `LimitsStore.unwritten`.

        Raises:
            PolicyUnavailable: Redis does not answer, or too much waits to be written.
        """
        answer: Any = await self._run(
            self._scripts.unwritten,
            keys=[self._keys.unwritten, self._keys.mark, self._keys.hold, self._keys.rest],
            args=[MOST_UNWRITTEN, _HELD_MS if is_urgent else 0, _HELD_AGAIN_MS],
        )
        if answer is None:
            raise _too_far_behind()
        mark, *decision_ids = answer
        return Unwritten(int(mark), frozenset(name.decode() for name in decision_ids))

    async def prime(self, limit: Limit, spent: Sequence[Spent], mark: int, now: datetime) -> bool:
        """See `LimitsStore.prime`.

        Raises:
            PolicyUnavailable: Redis does not answer, or too much waits to be written.
            ValueError: The limit's period is not from the ledger, its models are missing, or
                something spent is negative.
        """
        counter = to_prime(limit, now)
        answer: Any = await self._run(
            self._scripts.prime,
            keys=[
                self._keys.counter(counter),
                self._keys.unwritten,
                self._keys.mark,
                self._keys.counters,
            ],
            args=[
                *self._of_ledger(counter, spent, mark, now),
                counter.kept_ms(now),
                MOST_UNWRITTEN,
            ],
        )
        if answer < 0:
            raise _too_far_behind()
        return bool(answer)

    async def compare(
        self, limit: Limit, spent: Sequence[Spent], mark: int, now: datetime
    ) -> Comparison | None:
        """See `LimitsStore.compare`; raises as `prime` does."""
        counter = primable(limit, now)
        answer: Any = await self._run(
            self._scripts.compare,
            keys=[self._keys.counter(counter), self._keys.unwritten, self._keys.mark],
            args=[*self._of_ledger(counter, spent, mark, now), MOST_UNWRITTEN],
        )
        match answer:
            case [counted, expected]:
                return Comparison(
                    limit,
                    None if counted is None else amount_of(limit.measure, counted.decode()),
                    amount_of(limit.measure, expected.decode()),
                )
            case 0:
                return None
            case _:
                raise _too_far_behind()

    async def rebuild(self) -> int:
        """See `LimitsStore.rebuild`."""
        dropped, left, begins = 0, 1, True
        while left:
            answer: Any = await self._run(
                self._scripts.rebuild,
                keys=[self._keys.counters, self._keys.counters_to_drop],
                args=[int(begins), _DROPPED_AT_ONCE],
            )
            dropped, left, begins = dropped + answer[0], answer[1], False
        return dropped

    async def redeem(
        self, decision_id: str, now: datetime, *, is_late: bool = False
    ) -> Reservation | None:
        """See `LimitsStore.redeem`."""
        answer: Any = await self._run(
            self._scripts.redeem,
            keys=[self._keys.reservation(decision_id)],
            args=[epoch_ms(now), int(is_late)],
        )
        return _decoded(answer) if answer else None

    async def find(self, decision_id: str) -> Reservation | None:
        """See `LimitsStore.find`."""
        with translated():
            answer: Any = await self._redis.hmget(
                self._keys.reservation(decision_id), ["body", "extended_to"]
            )
        return _decoded(answer) if answer[0] else None

    async def extend(self, decision_id: str, expires_at: datetime) -> None:
        """See `LimitsStore.extend`."""
        await self._run(
            self._scripts.extend,
            keys=[self._keys.reservation(decision_id), self._keys.leases],
            args=[decision_id, epoch_ms(expires_at), expires_at.isoformat()],
        )

    async def settle(
        self, decision_id: str, actual: Amounts, row: bytes, now: datetime
    ) -> SettleOutcome:
        """See `LimitsStore.settle`."""
        true_figure = taken(actual)
        answer: Any = await self._run(
            self._scripts.settle,
            keys=[
                self._keys.reservation(decision_id),
                self._keys.leases,
                self._keys.unwritten,
                self._keys.mark,
                self._keys.rows,
                self._keys.estimates,
            ],
            args=[
                decision_id,
                epoch_ms(now),
                row,
                true_figure.input_tokens,
                true_figure.output_tokens,
                micro_text(true_figure.usd),
            ],
        )
        return SettleOutcome(answer.decode())

    async def overdue(self, now: datetime, most: int) -> tuple[Reservation, ...]:
        """See `LimitsStore.overdue`; estimates that nobody corrected in time are forgotten here."""
        if most < 1:
            return ()
        answer: Any = await self._run(
            self._scripts.overdue,
            keys=[
                self._keys.leases,
                self._keys.estimates,
                self._keys.unwritten,
                self._keys.mark,
            ],
            args=[epoch_ms(now), most, self._keys.reservations, self._estimate_remembered_ms],
        )
        return tuple(_readable(answer))

    async def expire(self, decision_id: str, row: bytes, now: datetime) -> bool:
        """See `LimitsStore.expire`."""
        answer: Any = await self._run(
            self._scripts.expire,
            keys=[
                self._keys.reservation(decision_id),
                self._keys.leases,
                self._keys.rows,
                self._keys.estimates,
            ],
            args=[decision_id, epoch_ms(now), row, self._estimate_remembered_ms],
        )
        return bool(answer)

    async def backlog(self) -> Backlog:
        """See `LimitsStore.backlog`."""
        return await self._rows.backlog()

    async def take_rows(self, most: int, wait_s: float) -> tuple[QueuedRow, ...]:
        """See `LimitsStore.take_rows`."""
        return await self._rows.take(most, wait_s)

    async def acknowledge(self, rows: Sequence[QueuedRow]) -> bool:
        """See `LimitsStore.acknowledge`."""
        return await self._rows.acknowledge(rows)

    async def incarnation(self) -> str:
        """Redis' own name for its run, which a restart and a failover change."""
        with translated():
            told: Any = await self._redis.info("server")
        # A proxy in between may tell none; then a new run goes unnoticed.
        return str(told.get("run_id", ""))

    async def ready(self) -> bool:
        """Whether Redis answers; never raises."""
        try:
            with translated():
                await self._redis.ping()
        except PolicyUnavailable:
            return False
        return True

    async def close(self) -> None:
        """Let go of the connections that this store made."""
        if self._is_ours:
            with translated():
                await self._redis.aclose()

    def _of_ledger(
        self, counter: Counter, spent: Sequence[Spent], mark: int, now: datetime
    ) -> list[str | int | bytes]:
        """What `prime` and `compare` say to their scripts."""
        return [epoch_ms(now), mark, self._keys.reservations, told(counter, spent)]

    async def _run(
        self, script: AsyncScript, *, keys: list[str], args: list[str | int | bytes]
    ) -> object:
        with translated():
            return await script(keys=keys, args=args)


def _between_zeros(nodes: Sequence[str]) -> str:
    """A zero byte around each, which no database lets into a name, so that each can be found."""
    return "\0" + "\0".join(nodes) + "\0"


def _too_far_behind() -> PolicyUnavailable:
    return PolicyUnavailable("Too much usage waits to be written to set up counters: try again.")


def _decoded(answer: list[bytes | None]) -> Reservation:
    body, extended_to = answer
    try:
        reservation = msgspec.json.decode(body or b"", type=Reservation)
    except msgspec.DecodeError as error:
        raise PolicyUnavailable("A reservation cannot be read.") from error
    if extended_to is None:
        return reservation
    return replace(reservation, expires_at=datetime.fromisoformat(extended_to.decode()))


def _readable(answers: list[list[bytes | None]]) -> Iterator[Reservation]:
    """One reservation that nobody can read must not keep the others from ending."""
    for answer in answers:
        try:
            yield _decoded(answer)
        except PolicyUnavailable:
            _LOG.exception("an overdue reservation cannot be read and stays open")
