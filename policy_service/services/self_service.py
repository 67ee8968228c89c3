"""What a caller is told about itself: who it is, what it may use, what is left, what it used."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from llm_core.answer_headers import plain
from llm_core.operation import Operation
from llm_core.policy.caller import Caller
from llm_core.policy.limits import Limit, LimitState, Priority
from policy_service.periods import calendar_span
from policy_service.ports.self_service import KeyFacts, OwnFigures, UsedModel
from policy_service.services.reserving import Reserving

DAYS_SHOWN = 30
_KEPT_S = 3.0
"""So long a sum over a caller's rows is not made again: asking is free, and summing is not."""


@dataclass(frozen=True, slots=True)
class OwnLimit:
    """One limit that binds the caller, and where it stands. Amounts are in the limit's own unit.

    Args:
        node: Whom it binds: the caller's organisation, department, and so on down to the key.
        measure: What is counted, for example `usd_per_month`.
        scope: `model:<alias>` or `group:<name>`; empty when every model counts.
        models: Those that the scope stands for.
        amount: How much may be used now: raises counted in, and without what is kept from batch
            calls where the key is one for those.
        used: What is used, calls under way counted at their worst case.
        remaining: What is left.
        reset_s: Seconds until something used now is free again.
        renews_at: When a limit by the calendar begins anew; `null` for one that slides.
        kept_for_interactive: The part of the amount, 0 to 1, that batch calls leave alone.
        thresholds_passed: Of the soft thresholds, in percent, those that `used` has passed.
    """

    node: str
    measure: str
    amount: Decimal
    used: Decimal
    remaining: Decimal
    reset_s: float
    scope: str = ""
    models: tuple[str, ...] = ()
    renews_at: datetime | None = None
    kept_for_interactive: Decimal = Decimal(0)
    thresholds_passed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Me:
    """What `GET /v1/me` answers.

    Args:
        proof: How the caller was recognised: `api_key`, `oidc` or `kong_consumer`.
        key: The API key; `null` for who comes without one of ours.
        models: All that policy lets the caller ask for.
        operations: All that the caller may do.
        networks: Where the key may be used from; empty for everywhere.
        priority: `batch` when all calls of the key are.
        time_zone: Where the organisation's days and months begin.
        limits: Every limit that binds the caller, for whatever model.
    """

    organisation: str
    department: str
    team: str
    project: str | None
    user: str | None
    application: str | None
    cost_centre: str | None
    proof: str
    key: KeyFacts | None
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    clearance: str | None
    priority: str
    models: tuple[str, ...]
    operations: tuple[str, ...]
    networks: tuple[str, ...]
    time_zone: str
    limits: tuple[OwnLimit, ...]
    object: str = "gatehouse.me"


@dataclass(frozen=True, slots=True)
class Used:
    """Sums over some calls.

    Args:
        errors: Of the requests, those that ended with an error.
        cache_hits: Of the requests, those that the response cache answered.
    """

    requests: int = 0
    errors: int = 0
    cache_hits: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal = Decimal(0)

    def and_(self, more: UsedModel) -> "Used":
        """These and more calls."""
        return Used(
            requests=self.requests + more.requests,
            errors=self.errors + more.errors,
            cache_hits=self.cache_hits + more.cache_hits,
            input_tokens=self.input_tokens + more.input_tokens,
            output_tokens=self.output_tokens + more.output_tokens,
            usd=_neat(self.usd + more.usd),
        )


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """What was used of one model this month."""

    model: str
    used: Used


@dataclass(frozen=True, slots=True)
class DayUsed:
    """What was used in one day."""

    day: date
    used: Used


@dataclass(frozen=True, slots=True)
class MyUsage:
    """What `GET /v1/me/usage` answers.

    Args:
        of: Whose usage it is: `key:<id>`, `user:<id>`, `application:<id>` or `project:<id>`;
            `null`, and nothing below it, for a caller that is a whole team.
        month: The calendar month of `total` and `by_model`, for example `2026-11`.
        by_model: By the model that was asked for, dearest first.
        by_day: The last 30 days, oldest first, today last; days without calls too.
    """

    of: str | None
    time_zone: str
    month: str
    total: Used
    by_model: tuple[ModelUsed, ...]
    by_day: tuple[DayUsed, ...]
    object: str = "gatehouse.me.usage"


@dataclass(frozen=True, slots=True)
class SelfService:
    """Tells callers about themselves, and about nobody else.

    Of what others used a caller learns only what stands in the limits that bind both.

    Args:
        thresholds: Soft thresholds of limits, in percent, rising.
    """

    figures: OwnFigures
    reserving: Reserving
    thresholds: Sequence[int] = (50, 80, 100)
    _sums: dict[tuple[str, datetime], "asyncio.Task[Sequence[UsedModel]]"] = field(
        default_factory=dict
    )

    async def me(self, caller: Caller, models: Iterable[str], now: datetime) -> dict[str, Any]:
        """Who calls, and what is left.

        Args:
            caller: Recognised.
            models: What policy lets it ask for.
            now: UTC-aware.

        Raises:
            PolicyUnavailable: Store or database cannot be asked.
        """
        return _json(
            Me(
                organisation=caller.organisation,
                department=caller.department,
                team=caller.team,
                project=caller.project,
                user=caller.user,
                application=caller.application,
                cost_centre=caller.cost_centre,
                proof=caller.proof.value,
                key=None if caller.key_id is None else await self.figures.key(caller.key_id),
                roles=caller.roles,
                groups=caller.groups,
                clearance=caller.clearance,
                priority=caller.priority.value,
                models=tuple(models),
                operations=tuple(one.value for one in caller.operations or tuple(Operation)),
                networks=caller.networks,
                time_zone=await self.figures.time_zone(caller.organisation),
                limits=await self._limits(caller, now),
            )
        )

    async def usage(self, caller: Caller, now: datetime) -> dict[str, Any]:
        """What the caller used, this month and in the last days.

        Raises:
            PolicyUnavailable: The database cannot be asked.
        """
        zone = await self.figures.time_zone(caller.organisation)
        node = _own_node(caller)
        here = now.astimezone(ZoneInfo(zone)).date()
        month_start = here.replace(day=1)
        first = min(month_start, here - timedelta(days=DAYS_SHOWN - 1))
        days = [first + timedelta(days=index) for index in range((here - first).days + 1)]
        edges = [_starts_at(day, zone) for day in (*days, here + timedelta(days=1))]
        rows = () if node is None else await self._used(node, edges)
        by_day = dict.fromkeys(days, Used())
        by_model: dict[str, Used] = {}
        total = Used()
        for row in rows:
            day = days[row.span]
            by_day[day] = by_day[day].and_(row)
            if day >= month_start:
                total = total.and_(row)
                by_model[row.model] = by_model.get(row.model, Used()).and_(row)
        dearest = sorted(by_model.items(), key=lambda one: (-one[1].usd, one[0]))
        return _json(
            MyUsage(
                of=node,
                time_zone=zone,
                month=f"{here:%Y-%m}",
                total=total,
                by_model=tuple(ModelUsed(model, used) for model, used in dearest),
                by_day=tuple(DayUsed(day, by_day[day]) for day in days[-DAYS_SHOWN:]),
            )
        )

    async def _used(self, node: str, edges: Sequence[datetime]) -> Sequence[UsedModel]:
        """The caller's sums, made once for all who ask within some seconds."""
        key = (node, edges[-1])
        task = self._sums.get(key)
        if task is None:
            task = asyncio.create_task(self._summed(node, edges))
            self._sums[key] = task
            asyncio.get_running_loop().call_later(_KEPT_S, self._sums.pop, key, None)
            task.add_done_callback(lambda done: self._forget_failed(key, done))
        # The others need it too, should this one be given up meanwhile.
        return await asyncio.shield(task)

    async def _summed(self, node: str, edges: Sequence[datetime]) -> Sequence[UsedModel]:
        return await self.figures.used(node, edges)

    def _forget_failed(
        self, key: tuple[str, datetime], done: "asyncio.Task[Sequence[UsedModel]]"
    ) -> None:
        if done.cancelled() or done.exception() is not None:
            self._sums.pop(key, None)

    async def _limits(self, caller: Caller, now: datetime) -> tuple[OwnLimit, ...]:
        if not caller.limits:
            return ()
        in_force = [_as_of_now(limit, caller.priority, now) for limit in caller.limits]
        store = self.reserving.limits
        states = await store.states(in_force, now)
        # A counter that is not there yet reads as nothing used; nobody has to be told so.
        unused = [
            state.limit
            for state in states
            if not state.used and state.limit.measure.period.is_from_ledger
        ]
        if unused:
            await self.reserving.prime(unused, now)
            states = await store.states(in_force, now)
        return tuple(
            self._own_limit(whole, state, now)
            for whole, state in zip(caller.limits, states, strict=True)
        )

    def _own_limit(self, whole: Limit, state: LimitState, now: datetime) -> OwnLimit:
        limit, period = state.limit, state.limit.measure.period
        renews_at = None
        if period.is_calendar:
            renews_at = calendar_span(period, now, limit.time_zone).ends_at
        used_percent = 100 * state.used_fraction
        return OwnLimit(
            node=limit.node,
            measure=limit.measure.value,
            amount=_neat(limit.amount),
            used=_neat(state.used),
            remaining=_neat(state.remaining),
            reset_s=state.reset_s,
            scope=limit.scope,
            models=limit.models,
            renews_at=renews_at,
            kept_for_interactive=_neat(whole.interactive_share),
            thresholds_passed=tuple(
                percent
                for percent in self.thresholds
                if period.is_from_ledger and used_percent >= percent
            ),
        )


def _as_of_now(limit: Limit, priority: Priority, now: datetime) -> Limit:
    amount = limit.amount_for(priority, now)
    return replace(limit, amount=amount, raises=(), interactive_share=Decimal(0))


def _own_node(caller: Caller) -> str | None:
    """The smallest node that is the caller's own, for the usage it may see."""
    own = {
        "key": caller.key_id,
        "user": caller.user,
        "application": caller.application,
        "project": caller.project,
    }
    return next((f"{kind}:{name}" for kind, name in own.items() if name), None)


def _starts_at(day: date, zone: str) -> datetime:
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return midnight.astimezone(UTC)


def _neat(amount: Decimal) -> Decimal:
    """Without idle zeros and without exponent."""
    return Decimal(plain(amount))


def _json(told: Me | MyUsage) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(told))
    return answer
