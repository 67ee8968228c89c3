"""The decision log on both databases: each once, read back in order and in pages."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.ports.decision_log import LoggedDecision

START = datetime(2026, 11, 20, tzinfo=UTC)


def logged(number: int) -> LoggedDecision:
    return LoggedDecision(
        decision_id=f"dec_{number:026d}",
        at=START + timedelta(seconds=number // 3),
        organisation="acme",
        department="sales",
        team="emea-sales",
        user="ada" if number % 2 else None,
        operation="chat.completions",
        asked_model="chat",
        allow=number % 5 != 0,
        codes=("model_not_allowed",) if number % 5 == 0 else (),
        revision="r1",
        engine="opa",
        duration_ms=0.5,
        input_digest="ab" * 32,
        input={"version": 1, "caller": {"team": "emea-sales"}},
        result={"allow": number % 5 != 0, "permitted": [], "reasons": [], "obligations": {}},
    )


async def test_what_is_recorded_twice_is_there_once_and_in_order(engine: AsyncEngine) -> None:
    log = SqlDecisionLog(engine)
    await log.record([logged(number) for number in reversed(range(25))])
    await log.record([logged(number) for number in range(20, 30)])
    end = START + timedelta(days=1)
    pages = [page async for page in log.read(START, end, batch=7)]
    assert [one for page in pages for one in page] == [logged(number) for number in range(30)]
    assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
    assert await log.count(START, end) == 30


async def test_one_decision_is_found_by_its_id(engine: AsyncEngine) -> None:
    log = SqlDecisionLog(engine)
    await log.record([logged(number) for number in range(10)])
    assert await log.find(logged(5).decision_id) == logged(5)
    assert await log.find("dec_") is None


async def test_only_what_was_decided_in_that_time_is_read(engine: AsyncEngine) -> None:
    log = SqlDecisionLog(engine)
    await log.record([logged(number) for number in range(30)])
    since, until = START + timedelta(seconds=3), START + timedelta(seconds=5)
    assert await log.count(since, until) == 6
    pages = [page async for page in log.read(since, until)]
    assert [one.decision_id for page in pages for one in page] == [
        f"dec_{number:026d}" for number in range(9, 15)
    ]
