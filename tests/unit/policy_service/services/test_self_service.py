"""What callers are told about themselves, with real limits in memory."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.operation import Operation
from llm_core.policy.caller import Caller
from llm_core.policy.limits import Limit, Measure, Priority, Raise
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.self_service import KeyFacts, UsedModel
from policy_service.services.reserving import Reserving
from policy_service.services.self_service import DAYS_SHOWN, Me, MyUsage, SelfService
from tests.fakes.clock import NOON
from tests.fakes.ledger import FakeLedger
from tests.fakes.own_figures import FakeOwnFigures
from tests.fakes.samples import CALLER

KEY = KeyFacts("key-1", "search-laptop", "gk-abc", NOON, None)


def limited(*limits: Limit, **more: Any) -> Caller:
    return replace(CALLER, limits=limits, **more)


def limit(measure: Measure, amount: str = "10", **more: Any) -> Limit:
    return Limit("team:search", measure, Decimal(amount), **more)


def service(**figures: Any) -> SelfService:
    return SelfService(FakeOwnFigures(**figures), Reserving(MemoryLimitsStore(), FakeLedger()))


async def me(about: SelfService, caller: Caller, *models: str) -> Me:
    return msgspec.convert(await about.me(caller, models, NOON), Me)


async def usage(about: SelfService, caller: Caller, now: datetime = NOON) -> MyUsage:
    return msgspec.convert(await about.usage(caller, now), MyUsage)


# --- who am I


async def test_a_caller_learns_who_it_is_and_what_it_may_use() -> None:
    caller = limited(
        project="ranking",
        user="sam",
        cost_centre="4711",
        roles=("developer",),
        operations=(Operation.EMBEDDINGS,),
        networks=("10.0.0.0/8",),
        priority=Priority.BATCH,
    )
    told = await me(service(keys={"key-1": KEY}, zone="Europe/Berlin"), caller, "mini", "sonnet")
    assert (told.organisation, told.department, told.team) == ("acme", "engineering", "search")
    assert (told.project, told.user, told.application) == ("ranking", "sam", None)
    assert (told.cost_centre, told.proof, told.roles) == ("4711", "api_key", ("developer",))
    assert told.key == KEY
    assert told.models == ("mini", "sonnet")
    assert told.operations == ("embeddings",)
    assert told.networks == ("10.0.0.0/8",)
    assert (told.priority, told.time_zone, told.limits) == ("batch", "Europe/Berlin", ())


async def test_a_key_for_everything_is_told_so_by_name() -> None:
    told = await me(service(), CALLER)
    assert told.operations == tuple(one.value for one in Operation)


async def test_who_comes_without_a_key_of_ours_has_none() -> None:
    assert (await me(service(keys={"key-1": KEY}), replace(CALLER, key_id=None))).key is None


# --- what is left


@pytest.mark.parametrize("measure", Measure)
async def test_every_kind_of_limit_can_be_told(measure: Measure) -> None:
    [told] = (await me(service(), limited(limit(measure, "12.50")))).limits
    assert (told.node, told.measure, told.scope) == ("team:search", measure.value, "")
    assert (told.amount, told.used, told.remaining) == (Decimal("12.5"), 0, Decimal("12.5"))
    assert (told.renews_at is not None) is measure.period.is_calendar


async def test_a_limit_by_the_calendar_says_when_it_begins_anew() -> None:
    limits = (
        limit(Measure.USD_PER_MONTH, time_zone="Europe/Berlin"),
        limit(Measure.TOKENS_PER_DAY, time_zone="Asia/Tokyo"),
    )
    month, day = (await me(service(), limited(*limits))).limits
    assert month.renews_at == datetime(2026, 11, 30, 23, tzinfo=UTC)
    assert day.renews_at == datetime(2026, 11, 20, 15, tzinfo=UTC)


async def test_limits_of_every_model_are_told_with_their_models() -> None:
    some = limit(Measure.USD_PER_DAY, scope="group:large", models=("o1", "opus"))
    [told] = (await me(service(), limited(some))).limits
    assert (told.scope, told.models) == ("group:large", ("o1", "opus"))


async def test_a_raise_and_a_kept_share_are_in_the_amount() -> None:
    now = (NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    whole = limit(
        Measure.TOKENS_PER_MINUTE,
        "100",
        interactive_share=Decimal("0.5"),
        raises=(Raise(Decimal(20), *now),),
    )
    for priority, amount in ((Priority.INTERACTIVE, 120), (Priority.BATCH, 60)):
        [told] = (await me(service(), limited(whole, priority=priority))).limits
        assert (told.amount, told.kept_for_interactive) == (amount, Decimal("0.5"))


async def test_what_the_store_does_not_know_yet_comes_from_the_ledger() -> None:
    about = service()
    budget = limit(Measure.USD_PER_MONTH)
    assert isinstance(about.reserving.ledger, FakeLedger)
    about.reserving.ledger.before = {"team:search": Decimal(6)}
    [told] = (await me(about, limited(budget))).limits
    assert (told.used, told.remaining) == (6, 4)
    assert told.thresholds_passed == (50,)
    # And it is set up for the calls that follow, once.
    about.reserving.ledger.before = {"team:search": Decimal(9)}
    [again] = (await me(about, limited(budget))).limits
    assert again.used == 6


@pytest.mark.parametrize(
    ("used", "passed"), [("4.99", ()), ("5", (50,)), ("8", (50, 80)), ("11", (50, 80, 100))]
)
async def test_soft_thresholds_that_are_passed_are_named(
    used: str, passed: tuple[int, ...]
) -> None:
    about = service()
    assert isinstance(about.reserving.ledger, FakeLedger)
    about.reserving.ledger.before = {"team:search": Decimal(used)}
    [told] = (await me(about, limited(limit(Measure.USD_PER_DAY)))).limits
    assert told.thresholds_passed == passed


async def test_a_window_of_a_minute_has_no_thresholds() -> None:
    [told] = (await me(service(), limited(limit(Measure.REQUESTS_PER_MINUTE, "0")))).limits
    assert told.thresholds_passed == ()


async def test_money_is_told_as_text_without_exponent() -> None:
    raw = await service().me(limited(limit(Measure.USD_PER_DAY, "1E+3")), (), NOON)
    assert raw["limits"][0]["amount"] == "1000"
    assert raw["object"] == "gatehouse.me"


# --- what did I use


def row(span: int, model: str = "mini", usd: str = "0.5", **more: Any) -> UsedModel:
    counts = {"requests": 1, "errors": 0, "cache_hits": 0, "input_tokens": 10, "output_tokens": 5}
    return UsedModel(span, model, usd=Decimal(usd), **{**counts, **more})


@pytest.mark.parametrize(
    ("changes", "node"),
    [
        ({"user": "sam", "project": "p"}, "key:key-1"),
        ({"key_id": None, "user": "sam", "application": "a", "project": "p"}, "user:sam"),
        ({"key_id": None, "application": "a", "project": "p"}, "application:a"),
        ({"key_id": None, "project": "p"}, "project:p"),
    ],
)
async def test_a_caller_sees_its_own_figures_and_no_one_elses(
    changes: dict[str, Any], node: str
) -> None:
    about = service()
    told = await usage(about, replace(CALLER, **changes))
    assert told.of == node
    assert isinstance(about.figures, FakeOwnFigures)
    [(asked, _)] = about.figures.asked
    assert asked == node


async def test_a_caller_that_is_a_whole_team_sees_no_figures() -> None:
    about = service(rows=(row(0),))
    told = await usage(about, replace(CALLER, key_id=None))
    assert (told.of, told.total.requests, told.by_model) == (None, 0, ())
    assert isinstance(about.figures, FakeOwnFigures)
    assert about.figures.asked == []


async def test_days_begin_at_midnight_in_the_organisations_time_zone() -> None:
    about = service(zone="America/New_York")
    told = await usage(about, CALLER, datetime(2026, 11, 21, 3, tzinfo=UTC))
    assert (told.time_zone, told.month) == ("America/New_York", "2026-11")
    assert [str(one.day) for one in told.by_day][-2:] == ["2026-11-19", "2026-11-20"]
    assert len(told.by_day) == DAYS_SHOWN
    assert isinstance(about.figures, FakeOwnFigures)
    [(_, edges)] = about.figures.asked
    assert edges[-1] == datetime(2026, 11, 21, 5, tzinfo=UTC)
    # Summer time ended on the first of November there.
    by_day = dict(pairwise(edges))
    assert by_day[datetime(2026, 11, 1, 4, tzinfo=UTC)] == datetime(2026, 11, 2, 5, tzinfo=UTC)
    assert list(edges) == sorted(edges)


async def test_the_month_is_the_calendars_and_the_trend_is_thirty_days() -> None:
    # On the 20th, the trend begins in October: 22nd of October is the first of 30 days.
    about = service(rows=(row(0, usd="7"), row(9), row(10), row(29, "sonnet", "2", errors=1)))
    told = await usage(about, CALLER)
    assert str(told.by_day[0].day) == "2026-10-22"
    assert told.by_day[0].used.usd == 7
    # The 1st of November is the 11th of these days.
    assert (told.total.requests, told.total.usd, told.total.errors) == (2, Decimal("2.5"), 1)
    assert [(one.model, one.used.usd) for one in told.by_model] == [
        ("sonnet", 2),
        ("mini", Decimal("0.5")),
    ]
    assert told.by_day[-1].used.input_tokens == 10
    assert [one.used.requests for one in told.by_day].count(0) == DAYS_SHOWN - 4


async def test_on_the_31st_the_month_is_longer_than_the_trend() -> None:
    about = service(rows=(row(0, usd="1"),))
    told = await usage(about, CALLER, datetime(2026, 12, 31, 12, tzinfo=UTC))
    assert (told.month, told.total.usd) == ("2026-12", 1)
    assert (len(told.by_day), str(told.by_day[0].day)) == (DAYS_SHOWN, "2026-12-02")
    assert all(one.used.requests == 0 for one in told.by_day)


async def test_a_caller_who_asks_again_and_again_has_its_rows_summed_once() -> None:
    about = service(rows=(row(0),))
    both = await asyncio.gather(*(usage(about, CALLER) for _ in range(50)))
    assert await usage(about, CALLER) == both[0] == both[49]
    other = await usage(about, replace(CALLER, key_id="key-2"))
    assert other.of == "key:key-2"
    assert isinstance(about.figures, FakeOwnFigures)
    assert [node for node, _ in about.figures.asked] == ["key:key-1", "key:key-2"]


async def test_a_sum_that_failed_is_made_anew() -> None:
    about = service(fault=PolicyUnavailable("The database is down."))
    with pytest.raises(PolicyUnavailable):
        await usage(about, CALLER)
    assert isinstance(about.figures, FakeOwnFigures)
    about.figures.fault = None
    assert (await usage(about, CALLER)).of == "key:key-1"


async def test_without_the_database_nothing_is_told() -> None:
    about = service(is_down=True)
    with pytest.raises(PolicyUnavailable):
        await about.me(CALLER, (), NOON)
    with pytest.raises(PolicyUnavailable):
        await about.usage(CALLER, NOON)
