"""What watchers find, and when they say that it is over."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from llm_core.alerts.incident import Incident, IncidentKind, Severity, Trouble
from llm_core.alerts.routing import Routes
from llm_core.alerts.rules import AlertRules, AuditCheck, SpendAnomaly
from llm_core.audit.event import GENESIS, Event, Head, NewEvent, Span, linked
from llm_core.errors import PolicyUnavailable
from llm_core.policy.limits import Limit, Measure
from llm_core.routing.facts import BreakerState, DeploymentFacts
from policy_service.ports.alerts import Alert
from policy_service.ports.incidents import SpentHours
from policy_service.ports.limits import Spent
from policy_service.services.alerting.audit_chain import AuditChainWatcher, is_genuine_for
from policy_service.services.alerting.budgets import BudgetTeller, BudgetWatcher, trouble_of
from policy_service.services.alerting.degraded import DegradedSighting, DegradedWatcher
from policy_service.services.alerting.provider_down import ProviderDownWatcher
from policy_service.services.alerting.spend_anomaly import SpendAnomalyWatcher
from policy_service.services.alerting.watch import Sight, Watch
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.known_health import KnownHealth
from tests.fakes.samples import CATALOGUE

OPEN = DeploymentFacts(BreakerState.OPEN)
MONTH = Limit("team:search", Measure.USD_PER_MONTH, Decimal(100))


def opened(trouble: Trouble, at: datetime = NOON) -> dict[str, Incident]:
    made = Incident(
        "inc_1",
        trouble.kind,
        trouble.node,
        trouble.subject,
        trouble.severity,
        trouble.title,
        trouble.detail,
        at,
        at,
        facts=dict(trouble.facts),
    )
    return {trouble.subject: made}


class Kept:
    """Implements `Incidents`, as far as it is asked."""

    def __init__(self) -> None:
        self.seen: list[Trouble] = []
        self.open: dict[str, Incident] = {}
        self.over: list[str] = []
        self.is_away = False

    async def open_ones(self, kind: IncidentKind) -> Mapping[str, Incident]:
        if self.is_away:
            raise PolicyUnavailable("away")
        return {name: one for name, one in self.open.items() if one.kind is kind}

    async def see(
        self, troubles: Sequence[Trouble], now: datetime, routes: Routes, **_: object
    ) -> Sequence[Incident]:
        if self.is_away:
            raise PolicyUnavailable("away")
        self.seen += troubles
        new = [one for trouble in troubles for one in opened(trouble, now).values()]
        self.open |= {one.subject: one for one in new}
        return new

    async def recover(
        self, incidents: Sequence[Incident], now: datetime, routes: Routes
    ) -> Sequence[Incident]:
        self.over += [one.subject for one in incidents]
        for one in incidents:
            self.open.pop(one.subject)
        return incidents


# --- providers ----------------------------------------------------------------------------------


async def test_a_deployment_is_down_after_a_while_and_until_its_breaker_closes() -> None:
    health = KnownHealth({"openai-mini": OPEN})
    watcher = ProviderDownWatcher(CATALOGUE, health, timedelta(minutes=1))
    assert await watcher.look(NOON, {}) == Sight()
    [trouble] = (await watcher.look(NOON + timedelta(minutes=1), {})).troubles
    # `mini` has no other deployment, `both` has one.
    assert (trouble.severity, trouble.facts["unserved"]) == (Severity.CRITICAL, ["mini"])
    half_open = DeploymentFacts(BreakerState.HALF_OPEN)
    health.known["openai-mini"] = half_open
    another = ProviderDownWatcher(CATALOGUE, health, timedelta(minutes=1))
    # Another process takes over: what is open stays so, whatever it has seen itself.
    assert len((await another.look(NOON, opened(trouble))).troubles) == 1
    health.known.clear()
    assert await another.look(NOON, opened(trouble)) == Sight()


async def test_a_deployment_that_is_down_and_up_again_begins_anew() -> None:
    health = KnownHealth({"azure-mini": OPEN})
    watcher = ProviderDownWatcher(CATALOGUE, health, timedelta(minutes=1))
    await watcher.look(NOON, {})
    health.known.clear()
    await watcher.look(NOON + timedelta(seconds=30), {})
    health.known["azure-mini"] = OPEN
    assert await watcher.look(NOON + timedelta(seconds=70), {}) == Sight()
    [trouble] = (await watcher.look(NOON + timedelta(seconds=130), {})).troubles
    assert trouble.severity is Severity.WARNING


# --- spend --------------------------------------------------------------------------------------


class Spending:
    """Implements `Watched`, as far as spend is asked for."""

    def __init__(self, usd: dict[datetime, int], *, is_new: bool = False) -> None:
        self.usd, self.is_new = usd, is_new
        self.queries = 0

    async def time_zones(self) -> frozenset[str]:
        return frozenset({"UTC"})

    async def spent_hours(
        self, level: str, time_zone: str, hours: Collection[datetime]
    ) -> Sequence[SpentHours]:
        self.queries += 1
        found = {hour: Decimal(usd) for hour, usd in self.usd.items() if hour in hours}
        return [SpentHours("team:search", time_zone, found)] if found else []

    async def has_spent(self, node: str, before: datetime) -> bool:
        return not self.is_new


ODD = NOON - timedelta(hours=1)
AFTER = NOON + timedelta(minutes=10)


async def test_an_odd_hour_is_over_after_some_ordinary_ones() -> None:
    watcher = SpendAnomalyWatcher(Spending({ODD: 500}), SpendAnomaly())
    [trouble] = (await watcher.look(AFTER, {})).troubles
    assert (trouble.node, trouble.severity) == ("team:search", Severity.CRITICAL)
    assert "500.00 USD" in trouble.title
    assert "Friday 2026-11-20 11:00 UTC" in trouble.detail
    known = opened(trouble)
    for hours, is_over in ((1, False), (2, False), (3, True)):
        at = AFTER + timedelta(hours=hours)
        assert bool((await watcher.look(at, known)).troubles) is not is_over
        assert not (await watcher.look(at, {})).troubles


async def test_whoever_has_just_begun_has_no_habit_to_break() -> None:
    watcher = SpendAnomalyWatcher(Spending({ODD: 500}, is_new=True), SpendAnomaly())
    assert await watcher.look(AFTER, {}) == Sight()


async def test_an_hour_is_judged_when_its_calls_are_in_the_ledger() -> None:
    watcher = SpendAnomalyWatcher(Spending({ODD: 500}), SpendAnomaly())
    assert await watcher.look(NOON + timedelta(minutes=4), {}) == Sight()
    assert (await watcher.look(NOON + timedelta(minutes=5), {})).troubles


# --- budgets ------------------------------------------------------------------------------------


class Limits:
    """Implements `Alerts.whole` and `Ledger.spent`."""

    def __init__(self, amount: int | None = 100, used: int = 0) -> None:
        self.amount, self.used = amount, used

    async def whole(self, limit: Limit, now: datetime) -> Limit | None:
        return None if self.amount is None else replace(limit, amount=Decimal(self.amount))

    async def spent(self, limit: Limit, now: datetime) -> tuple[Spent, ...]:
        return (Spent(now, Decimal(self.used)),)


ALERT = Alert(
    "team:search:usd_per_month",
    "2026-12@Asia/Tokyo",
    80,
    "team:search",
    "usd_per_month",
    datetime(2026, 11, 30, 20, tzinfo=UTC),
    Decimal(81),
    Decimal(100),
)


@pytest.mark.parametrize(
    ("amount", "used", "now", "is_over"),
    [
        (100, 81, datetime(2026, 12, 31, 14, 59, tzinfo=UTC), False),
        (100, 81, datetime(2026, 12, 31, 15, 0, tzinfo=UTC), True),
        (100, 0, ALERT.at, False),  # only a raise makes room
        (200, 81, ALERT.at, True),
        (200, 170, ALERT.at, False),
        (None, 81, ALERT.at, True),
    ],
)
async def test_a_budget_is_over_with_its_period_or_when_it_has_room_again(
    amount: int | None, used: int, now: datetime, is_over: bool
) -> None:
    limits: Any = Limits(amount, used)
    trouble = trouble_of(ALERT)
    sight = await BudgetWatcher(limits, limits).look(now, opened(trouble))
    assert sight == Sight(keeps=frozenset() if is_over else frozenset({trouble.subject}))


@pytest.mark.parametrize(
    ("measure", "title", "detail"),
    [
        ("usd_per_month", "% of its USD per month", "81.00 of 100.00 USD in 2026-12"),
        ("tokens_per_day", "% of its tokens per day", "81 of 100 in 2026-12"),
    ],
)
def test_a_budget_is_told_in_words_and_short_amounts(measure: str, title: str, detail: str) -> None:
    trouble = trouble_of(replace(ALERT, measure=measure))
    assert trouble.title.endswith(title)
    assert trouble.detail.startswith(detail)
    assert trouble.facts["measure"] == measure


async def test_a_group_of_models_is_not_summed_by_guessing() -> None:
    limits: Any = Limits(amount=10_000, used=0)
    trouble = trouble_of(replace(ALERT, limit_key="team:search:group:big:usd_per_month"))
    assert (await BudgetWatcher(limits, limits).look(ALERT.at, opened(trouble))).keeps


async def test_a_threshold_that_cannot_be_noted_is_not_told() -> None:
    kept: Any = Kept()
    teller = BudgetTeller(kept, Routes())
    assert await teller.tell(ALERT)
    kept.is_away = True
    assert not await teller.tell(ALERT)
    assert [one.stage for one in kept.seen] == [80]


# --- degraded -----------------------------------------------------------------------------------


def sighting(degradable: Any, limits: Any, kept: Any) -> DegradedSighting:
    return DegradedSighting(degradable, limits, limits, kept, FakeClock(), Routes(), AlertRules())


async def test_what_was_overspent_alone_is_told_when_it_is_booked() -> None:
    cleared: list[bool] = []
    degradable = SimpleNamespace(
        is_away=True,
        admitted=3,
        touched=(MONTH,),
        was_back_for=lambda _: bool(cleared),
        forget_touched=lambda: cleared.append(True),
    )
    limits, kept = Limits(used=101), Kept()
    made = sighting(degradable, limits, kept)
    await made.step()
    assert [one.subject for one in kept.seen] == ["limits:shared"]
    degradable.is_away = False
    await made.step()
    trouble = kept.seen[-1]
    assert (trouble.node, trouble.severity) == ("team:search", Severity.CRITICAL)
    assert "101 of 100" in trouble.detail
    watcher = DegradedWatcher(limits, limits)  # type: ignore[arg-type]
    assert (await watcher.look(NOON, opened(trouble))).keeps == {trouble.subject}
    limits.amount = 200
    assert await watcher.look(NOON, opened(trouble)) == Sight()


async def test_nothing_is_told_while_nobody_was_admitted_alone() -> None:
    degradable = SimpleNamespace(is_away=True, admitted=0, touched=(), was_back_for=lambda _: False)
    kept = Kept()
    await sighting(degradable, Limits(), kept).step()
    assert kept.seen == []


# --- the audit chain ----------------------------------------------------------------------------


class Chain:
    """Implements `NewestEvents`."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.furthest = 1

    async def newest(
        self, most: int, back_to: Mapping[str, int]
    ) -> AsyncIterator[Mapping[str, Span] | Sequence[Event]]:
        last = len(self.events)
        first = max(min(last - most + 1, back_to.get("org:acme", last)), self.furthest)
        yield {"org:acme": Span(first, last)}
        yield self.events[first - 1 :]


def chained(count: int) -> list[Event]:
    events, head = [], Head("org:acme", 0, GENESIS)
    for n in range(count):
        new = NewEvent(f"evt_{n}", "org:acme", NOON, "key.revoke", "user:a", f"key:{n}", {})
        event, head = linked(head, new, "ab" * 16)
        events.append(event)
    return events


async def test_a_chain_is_broken_until_the_very_place_is_mended() -> None:
    longer = chained(31)
    chain = Chain(longer[:30])
    watcher = AuditChainWatcher(chain, AuditCheck(newest=5))
    assert await watcher.look(NOON, {}) == Sight()
    good = chain.events[27]
    chain.events[27] = Event(**{**_fields(good), "kind": "key.issue"})
    [trouble] = (await watcher.look(NOON, {})).troubles
    assert (trouble.node, trouble.severity) == ("organisation:acme", Severity.CRITICAL)
    assert trouble.facts["first_seq"] == 28
    # The chain grows, and the place lies no longer in its newest part.
    chain.events.append(longer[30])
    narrow = AuditChainWatcher(chain, AuditCheck(newest=1))
    assert len((await narrow.look(NOON, opened(trouble))).troubles) == 1
    chain.furthest = 30
    assert (await narrow.look(NOON, opened(trouble))).keeps == {"chain:org:acme"}
    chain.furthest = 1
    chain.events[27] = good
    assert await narrow.look(NOON, opened(trouble)) == Sight()


def _fields(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def test_what_an_earlier_key_signed_is_not_called_forged() -> None:
    checked = is_genuine_for("now", lambda _: False)
    assert checked(SimpleNamespace(key_id="before"))  # type: ignore[arg-type]
    assert not checked(SimpleNamespace(key_id="now"))  # type: ignore[arg-type]


# --- the watch ----------------------------------------------------------------------------------


class Leases:
    """Implements `ports.incidents.Leases`."""

    def __init__(self) -> None:
        self.owner: str | None = None

    async def hold(self, name: str, owner: str, now: datetime, seconds: float) -> bool:
        self.owner = self.owner or owner
        return self.owner == owner

    async def release(self, owner: str) -> None:
        self.owner = None if self.owner == owner else self.owner


class Finds:
    """Implements `Watcher`."""

    kind = IncidentKind.BACKLOG
    every = timedelta(seconds=10)

    def __init__(self) -> None:
        self.looks = 0
        self.fault: Exception | None = None
        self.sight = Sight((Trouble(self.kind, "queue:ledger", Severity.WARNING, "much waits"),))

    async def look(self, now: datetime, known: Mapping[str, Incident]) -> Sight:
        self.looks += 1
        if self.fault is not None:
            raise self.fault
        return self.sight


def watching(
    kept: Kept, leases: Leases, *watchers: Any, owner: str = "p1", clock: FakeClock | None = None
) -> Watch:
    return Watch(watchers, kept, leases, clock or FakeClock(), Routes(), AlertRules(), owner)  # type: ignore[arg-type]


async def test_one_process_looks_and_hands_over_when_it_stops() -> None:
    kept, leases, finds = Kept(), Leases(), Finds()
    first, second = (watching(kept, leases, finds, owner=name) for name in ("p1", "p2"))
    await first.step()
    await second.step()
    assert finds.looks == 1
    await first.finish()
    await second.step()
    assert finds.looks == 2


async def test_each_watcher_looks_in_its_time_and_ends_what_it_does_not_find() -> None:
    kept, clock, finds = Kept(), FakeClock(), Finds()
    watch = watching(kept, Leases(), finds, clock=clock)
    await watch.step()
    clock.advance(5)
    await watch.step()
    assert finds.looks == 1
    clock.advance(5)
    finds.sight = Sight(keeps=frozenset({"queue:ledger"}))
    await watch.step()
    assert (finds.looks, kept.over) == (2, [])
    clock.advance(10)
    finds.sight = Sight()
    await watch.step()
    assert kept.over == ["queue:ledger"]


@pytest.mark.parametrize("fault", [PolicyUnavailable("away"), RuntimeError("a bug")])
async def test_a_watcher_that_fails_ends_nothing_and_keeps_nobody_from_looking(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    kept, clock, bad, good = Kept(), FakeClock(), Finds(), Finds()
    good.kind = IncidentKind.ERROR_RATE
    watch = watching(kept, Leases(), bad, good, clock=clock)
    await watch.step()
    bad.fault = fault
    clock.advance(10)
    await watch.step()
    assert kept.over == []
    assert good.looks == 2
    assert "backlog" in caplog.text
