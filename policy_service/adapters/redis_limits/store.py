"""The `LimitsStore` port on Redis: each method is one Lua script, and one round trip."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Reservation
from llm_core.policy.limits import Amounts, Limit, LimitState, Measure
from policy_service.adapters.pico_usd import joined, limit_usd, split, taken_usd
from policy_service.adapters.redis_limits.faults import translated
from policy_service.adapters.redis_limits.keys import Keys
from policy_service.adapters.redis_limits.rows import RowsQueue
from policy_service.adapters.redis_limits.scripts import scripts_for
from policy_service.adapters.redis_pool import redis_client
from policy_service.adapters.windows import (
    binding,
    epoch_ms,
    limit_count,
    seconds_to_next_month,
    taken_count,
)
from policy_service.ports.limits import QueuedRow, Refused, Reserved, SettleOutcome, Unprimed

_LOG = logging.getLogger(__name__)

DAY_S = 86_400
# Long enough for the month and for every reservation made in it to end.
_MONTH_KEPT_MS = 70 * DAY_S * 1000

_KINDS = {
    Measure.REQUESTS_PER_MINUTE: "requests",
    Measure.TOKENS_PER_MINUTE: "tokens",
    Measure.USD_PER_MONTH: "usd",
}


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
        remembered_s: How long an ended reservation is remembered.
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
        remembered_s: float = DAY_S,
        connect_timeout_s: float = 1.0,
        command_timeout_s: float = 2.0,
        max_connections: int = 64,
    ) -> None:
        self._is_ours = isinstance(redis, str)
        if isinstance(redis, str):
            redis = redis_client(
                redis,
                connect_timeout_s=connect_timeout_s,
                command_timeout_s=command_timeout_s,
                max_connections=max_connections,
            )
        if redis.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError("the limits store needs a Redis client that answers in bytes")
        self._redis = redis
        self._keys = Keys(prefix)
        self._scripts = scripts_for(redis)
        self._rows = RowsQueue(redis, self._scripts, self._keys.rows, redelivery_s)
        self._remembered_ms = int(remembered_s * 1000)

    async def states(self, limits: Sequence[Limit], now: datetime) -> tuple[LimitState, ...]:
        """See `LimitsStore.states`; a counter that is named twice stands there once."""
        bound = binding(limits)
        if not bound:
            return ()
        answer: Any = await self._run(
            self._scripts.states,
            keys=[self._keys.counter(limit, now) for limit in bound],
            args=[epoch_ms(now), *(_KINDS[limit.measure] for limit in bound)],
        )
        return _states(bound, answer, now)

    async def reserve(
        self, reservation: Reservation, amounts: Amounts, now: datetime
    ) -> Reserved | Refused | Unprimed:
        """See `LimitsStore.reserve`.

        The same reservation once more takes nothing more: it is a retry after a lost answer.

        Raises:
            PolicyUnavailable: Redis does not answer.
            ValueError: The decision id is taken by another reservation, or an amount is negative.
        """
        bound = binding(reservation.caller.limits)
        decision_id = reservation.decision_id
        micro, pico = split(taken_usd(amounts.usd))
        answer: Any = await self._run(
            self._scripts.reserve,
            keys=[
                self._keys.reservation(decision_id),
                self._keys.leases,
                *(self._keys.counter(limit, now) for limit in bound),
            ],
            args=[
                decision_id,
                epoch_ms(now),
                epoch_ms(reservation.expires_at),
                msgspec.json.encode(reservation),
                taken_count(amounts.requests),
                taken_count(amounts.tokens),
                micro,
                pico,
                " ".join(_three_words(limit) for limit in bound),
            ],
        )
        match answer:
            case [b"reserved", _, _, states]:
                return Reserved(_states(bound, states, now))
            case [b"refused", position, retry_ms, states]:
                return Refused(
                    exceeded=bound[position - 1],
                    retry_after_s=None if retry_ms < 0 else retry_ms / 1000,
                    states=_states(bound, states, now),
                )
            case [b"unprimed", *positions]:
                return Unprimed(tuple(bound[position - 1] for position in positions))
            case _:
                raise ValueError(f"the decision id {decision_id!r} was used before")

    async def prime(self, limit: Limit, used: Decimal, now: datetime) -> None:
        """See `LimitsStore.prime`.

        Raises:
            PolicyUnavailable: Redis does not answer.
            ValueError: The limit is not money, or `used` is negative.
        """
        if not limit.measure.is_money:
            raise ValueError(f"{limit.key} counts no money and needs no priming")
        await self._run(
            self._scripts.prime,
            keys=[self._keys.counter(limit, now)],
            args=[*split(taken_usd(used)), _MONTH_KEPT_MS],
        )

    async def redeem(self, decision_id: str, now: datetime) -> Reservation | None:
        """See `LimitsStore.redeem`."""
        answer: Any = await self._run(
            self._scripts.redeem,
            keys=[self._keys.reservation(decision_id)],
            args=[epoch_ms(now)],
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
        answer: Any = await self._run(
            self._scripts.settle,
            keys=[self._keys.reservation(decision_id), self._keys.leases, self._keys.rows],
            args=[
                decision_id,
                epoch_ms(now),
                row,
                taken_count(actual.tokens),
                *split(taken_usd(actual.usd)),
                self._remembered_ms,
            ],
        )
        return SettleOutcome(answer.decode())

    async def overdue(self, now: datetime, most: int) -> tuple[Reservation, ...]:
        """See `LimitsStore.overdue`."""
        if most < 1:
            return ()
        answer: Any = await self._run(
            self._scripts.overdue,
            keys=[self._keys.leases],
            args=[epoch_ms(now), most, self._keys.reservations],
        )
        return tuple(_readable(answer))

    async def expire(self, decision_id: str, row: bytes, now: datetime) -> bool:
        """See `LimitsStore.expire`."""
        answer: Any = await self._run(
            self._scripts.expire,
            keys=[self._keys.reservation(decision_id), self._keys.leases, self._keys.rows],
            args=[decision_id, epoch_ms(now), row, self._remembered_ms],
        )
        return bool(answer)

    async def take_rows(self, most: int, wait_s: float) -> tuple[QueuedRow, ...]:
        """See `LimitsStore.take_rows`."""
        return await self._rows.take(most, wait_s)

    async def acknowledge(self, tokens: Sequence[str]) -> None:
        """See `LimitsStore.acknowledge`."""
        await self._rows.acknowledge(tokens)

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

    async def _run(
        self, script: AsyncScript, *, keys: list[str], args: list[str | int | bytes]
    ) -> object:
        with translated():
            return await script(keys=keys, args=args)


def _three_words(limit: Limit) -> str:
    """Kind, amount, 0; money: kind, micro, pico."""
    if limit.measure.is_money:
        micro, pico = split(limit_usd(limit.amount))
        return f"usd {micro} {pico}"
    return f"{_KINDS[limit.measure]} {limit_count(limit.amount)} 0"


def _states(limits: tuple[Limit, ...], text: bytes, now: datetime) -> tuple[LimitState, ...]:
    numbers = [int(number) for number in text.split()]
    return tuple(
        LimitState(limit, joined(first, second), seconds_to_next_month(now))
        if limit.measure.is_money
        else LimitState(limit, Decimal(first), second / 1000)
        for limit, first, second in zip(limits, numbers[::2], numbers[1::2], strict=True)
    )


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
