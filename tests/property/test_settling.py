"""Whatever is reported, twice, late or never: each call is charged once, and the counters agree."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_core.policy.allowance import worst_case
from llm_core.policy.decision import (
    ErrorClass,
    Obligations,
    PricedDeployment,
    Reservation,
    Transport,
    UsageReport,
)
from llm_core.policy.limits import Limit, Measure
from llm_core.tokens.usage import TokenUsage
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import Refused
from policy_service.services.reserving import Reserving
from policy_service.services.settle import Settler
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.ledger import FakeLedger
from tests.fakes.samples import AZURE, CALLER, OPENAI, PRICE, chat_body, chat_call

LEASE_S = 300
BUDGET = Limit("team:search", Measure.USD_PER_MONTH, Decimal("0.001"))
CALL = chat_call(chat_body())
DEPLOYMENTS = (PricedDeployment(OPENAI, PRICE), PricedDeployment(AZURE, PRICE))
WORST = worst_case(CALL, DEPLOYMENTS, Obligations())

usages = st.builds(TokenUsage, st.integers(0, 10), output_tokens=st.integers(0, 100))
reports = st.builds(
    UsageReport,
    deployment_id=st.sampled_from(["openai-mini", "azure-mini", None]),
    transport=st.sampled_from([Transport.DIRECT, Transport.RELAY]),
    http_status=st.sampled_from([200, 502]),
    error_class=st.sampled_from(list(ErrorClass)),
    usage=st.none() | usages,
)
steps = st.one_of(
    st.tuples(st.just("report"), st.integers(0, 3), reports),
    st.tuples(st.just("redeem"), st.integers(0, 3), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([1, 100, 301]), st.none()),
    st.tuples(st.just("sweep"), st.none(), st.none()),
)


class World:
    """Four calls on one budget, and everything that may become of them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.limits = MemoryLimitsStore()
        self.ledger = FakeLedger()
        self.reserving = Reserving(self.limits, self.ledger)
        self.settler = Settler(self.limits, self.reserving, self.clock)
        self.reserved: list[str] = []

    async def reserve(self, decision_id: str) -> None:
        made = Reservation(
            decision_id=decision_id,
            caller=replace(CALLER, limits=(BUDGET,)),
            call=CALL,
            operation=CALL.operation,
            deployments=DEPLOYMENTS,
            obligations=Obligations(),
            prompt_tokens=CALL.prompt_tokens,
            max_output_tokens=100,
            usd=WORST.usd,
            decided_at=NOON,
            expires_at=NOON + timedelta(seconds=LEASE_S),
            policy_revision="rev-7",
        )
        if not isinstance(await self.reserving.reserve(made, WORST, NOON), Refused):
            self.reserved.append(decision_id)

    async def used(self) -> Decimal:
        [state] = await self.limits.states([BUDGET], self.clock())
        return state.used

    async def rows(self) -> list[UsageRow]:
        queued = await self.limits.take_rows(1000, 0)
        await self.limits.acknowledge(queued)
        return [msgspec.json.decode(one.row, type=UsageRow) for one in queued]


async def _play(script: list[tuple[str, int | None, UsageReport | None]]) -> None:
    world = World()
    for number in range(4):
        await world.reserve(f"dec_{number}")
    for step, which, report in script:
        match step:
            case "report":
                assert report
                await world.settler.settle(f"dec_{which}", report)
            case "redeem":
                await world.limits.redeem(f"dec_{which}", world.clock())
            case "wait":
                world.clock.advance(which or 0)
            case _:
                await world.settler.sweep()
        assert await world.used() <= BUDGET.amount
    world.clock.advance(LEASE_S + 1)
    await world.settler.sweep()
    rows = await world.rows()
    await world.ledger.record(rows)
    # Every call that was let in has its row, and no other has one.
    assert sorted(world.ledger.rows) == sorted(world.reserved)
    # What the counters say is what the ledger says, to the last digit.
    assert await world.used() == sum(row.usd for row in world.ledger.rows.values())
    # No call is booked twice but for a lease's end and the report that replaced it.
    reported = [row.decision_id for row in rows if row.error_class != "unreported"]
    assert len(reported) == len(set(reported))
    for row in world.ledger.rows.values():
        assert 0 <= row.usd <= WORST.usd
    assert await world.limits.overdue(world.clock() + timedelta(days=1), 10) == ()


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=14))
def test_every_call_is_charged_once_and_counters_and_ledger_agree(
    script: list[tuple[str, int | None, UsageReport | None]],
) -> None:
    asyncio.run(_play(script))


@settings(max_examples=60, deadline=None)
@given(reports)
def test_what_was_consumed_is_never_free(report: UsageReport) -> None:
    """Usage that somebody saw costs what it costs, or the estimate, whatever else is reported."""

    async def book() -> UsageRow:
        world = World()
        await world.reserve("dec_0")
        await world.settler.settle("dec_0", report)
        [row] = await world.rows()
        return row

    row = asyncio.run(book())
    consumed = report.usage is not None and report.usage.total_tokens > 0
    if consumed or report.error_class in (ErrorClass.UNREPORTED, ErrorClass.NONE):
        is_nothing = report.usage is not None and not report.usage.total_tokens
        assert row.usd > 0 or is_nothing
    if report.usage is None and report.error_class not in (
        ErrorClass.UNREPORTED,
        ErrorClass.NONE,
    ):
        assert row.usd == 0
