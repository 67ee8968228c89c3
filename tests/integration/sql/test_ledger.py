import asyncio
import sys
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.reports import UsageReports
from policy_service.adapters.sql.rollups import Change, hourly_changes, latency_changes
from policy_service.ports.ledger import UsageRow
from tests.integration.sql import ledger_writer
from tests.integration.sql.usage_rows import (
    NOW,
    days_of,
    stored_days,
    stored_latencies,
    stored_rollups,
    usage_row,
)

AWKWARD = [
    Decimal("0.1"),
    Decimal("0.2"),
    Decimal("0.000000000001"),
    Decimal("123456.789012345678"),
]


NODES = (
    "organisation:acme",
    "department:research",
    "team:search",
    "project:ranking",
    "user:alice",
    "application:ranker",
    "key:key_1",
)


async def spent(ledger: SqlLedger, node: str, now: datetime) -> Decimal:
    (month,) = await ledger.spent(Limit(node, Measure.USD_PER_MONTH, Decimal(1)), now)
    return month.amount


async def assert_rollups_equal(engine: AsyncEngine, rows: Iterable[UsageRow]) -> None:
    changes = [Change(row, 1) for row in rows]
    assert await stored_rollups(engine) == hourly_changes(changes)
    assert await stored_latencies(engine) == latency_changes(changes)
    assert await stored_days(engine) == days_of(change.row for change in changes)


async def test_a_row_comes_back_as_it_was_recorded(engine: AsyncEngine):
    row = usage_row()
    await SqlLedger(engine).record([row])
    assert await UsageReports(engine).recent(10) == (row,)
    await assert_rollups_equal(engine, [row])


async def test_hits_and_what_they_saved_are_summed_and_corrected(engine: AsyncEngine):
    ledger = SqlLedger(engine)
    hit = usage_row(cache="hit", usd=Decimal(0), saved_usd=Decimal("0.000000000001"))
    miss = usage_row("dec_2", cache="miss")
    estimate = usage_row("dec_3", cache="hit", source="estimated", saved_usd=Decimal(5))
    await ledger.record([hit, miss, estimate])
    true = usage_row("dec_3", cache="hit", saved_usd=Decimal("0.25"))
    await ledger.record([true])
    assert set(await UsageReports(engine).recent(10)) == {hit, miss, true}
    await assert_rollups_equal(engine, [hit, miss, true])
    [spend] = await UsageReports(engine).spend("2026-11")
    assert (spend.requests, spend.cache_hits) == (3, 2)
    assert spend.saved_usd == Decimal("0.250000000001")


async def test_every_bucket_of_tokens_is_kept_summed_and_corrected(engine: AsyncEngine):
    ledger = SqlLedger(engine)
    buckets = {
        "input_tokens": 900,
        "cached_input_tokens": 100,
        "cache_write_tokens": 50,
        "input_audio_tokens": 20,
        "input_image_tokens": 258,
        "output_tokens": 300,
        "reasoning_tokens": 40,
        "output_audio_tokens": 60,
        "cached_audio_tokens": 15,
    }
    heard, text = usage_row(**buckets), usage_row("dec_2")
    guessed = usage_row("dec_3", source="estimated", input_audio_tokens=9)
    await ledger.record([heard, text, guessed])
    await assert_rollups_equal(engine, [heard, text, guessed])
    true = usage_row("dec_3", input_audio_tokens=5, output_audio_tokens=0, cached_audio_tokens=2)
    await ledger.record([true])
    assert set(await UsageReports(engine).recent(10)) == {heard, text, true}
    await assert_rollups_equal(engine, [heard, text, true])
    [sums] = await stored_rollups(engine)
    assert (sums["input_audio_tokens"], sums["output_audio_tokens"]) == (25, 60)
    assert (sums["input_image_tokens"], sums["cached_audio_tokens"]) == (258, 17)


async def test_a_row_recorded_again_changes_nothing(engine: AsyncEngine):
    ledger, row = SqlLedger(engine), usage_row()
    await ledger.record([row, row])
    await ledger.record([usage_row(usd=Decimal(9)), usage_row(source="estimated", usd=Decimal(8))])
    assert await UsageReports(engine).recent(10) == (row,)
    await assert_rollups_equal(engine, [row])


async def test_the_true_figure_replaces_an_estimate_and_corrects_the_rollups(engine: AsyncEngine):
    ledger = SqlLedger(engine)
    estimate = usage_row(source="estimated", usd=Decimal("1.5"), served_model=None, total_ms=None)
    other = usage_row("dec_2")
    await ledger.record([estimate, other])
    await assert_rollups_equal(engine, [estimate, other])
    true = usage_row(usd=Decimal("0.25"), http_status=499)
    await ledger.record([true])
    assert set(await UsageReports(engine).recent(10)) == {true, other}
    await assert_rollups_equal(engine, [true, other])
    assert await spent(ledger, "team:search", NOW) == Decimal("0.25") + other.usd


async def test_a_correction_among_more_new_estimates_than_it_takes_away(engine: AsyncEngine):
    ledger = SqlLedger(engine)
    await ledger.record([usage_row("dec_1", source="estimated")])
    rows = [
        usage_row("dec_1"),
        usage_row("dec_2", source="estimated"),
        usage_row("dec_3", source="estimated"),
    ]
    await ledger.record(rows)
    assert await stored_rollups(engine) == hourly_changes(Change(row, 1) for row in rows)


async def test_an_estimate_and_its_true_figure_in_one_batch_are_one_row(engine: AsyncEngine):
    true = usage_row()
    await SqlLedger(engine).record([usage_row(source="estimated", usd=Decimal(7)), true])
    assert await UsageReports(engine).recent(10) == (true,)
    await assert_rollups_equal(engine, [true])


async def test_awkward_decimals_add_up_exactly(engine: AsyncEngine):
    ledger = SqlLedger(engine)
    for number, usd in enumerate(AWKWARD * 10):
        await ledger.record([usage_row(f"dec_{number}", usd=usd)])
    exact = sum(AWKWARD, Decimal(0)) * 10
    for node in NODES:
        assert await spent(ledger, node, NOW) == exact


async def test_a_batch_larger_than_one_statement_takes_is_recorded_whole(engine: AsyncEngine):
    rows = [usage_row(f"dec_{number:05}", source="estimated") for number in range(2500)]
    ledger = SqlLedger(engine)
    await ledger.record(rows)
    true = [usage_row(row.decision_id, usd=Decimal("0.5")) for row in rows]
    await ledger.record(true)
    await assert_rollups_equal(engine, true)


async def test_text_that_a_database_refuses_does_not_keep_a_row_out(engine: AsyncEngine):
    odd = usage_row(served_model="gpt\x00-\N{PILE OF POO}" + "x" * 5000)
    await SqlLedger(engine).record([odd])
    (stored,) = await UsageReports(engine).recent(1)
    assert stored.served_model == "gpt-\N{PILE OF POO}" + "x" * 5000


async def test_many_tasks_that_record_the_same_rows_count_each_once(engine: AsyncEngine):
    ledger = SqlLedger(engine)
    rows = [usage_row(f"dec_{number}", team=f"team-{number % 3}") for number in range(40)]
    await asyncio.gather(
        *(ledger.record(rows[start:] + rows[:start]) for start in range(0, 40, 5)),
    )
    await assert_rollups_equal(engine, rows)


async def test_many_tasks_that_bring_the_true_figure_correct_the_rollups_once(engine: AsyncEngine):
    ledger = SqlLedger(engine)
    every: list[UsageRow] = []
    for attempt in range(5):  # whether two of them meet is chance
        true = [usage_row(f"dec_{attempt}_{n}", usd=Decimal(n)) for n in range(20)]
        every += true
        await ledger.record(
            [usage_row(row.decision_id, source="estimated", usd=Decimal(99)) for row in true]
        )
        await asyncio.gather(*(ledger.record(true) for _ in range(6)))
        await assert_rollups_equal(engine, every)


async def test_processes_that_record_the_same_rows_count_each_once(
    engine: AsyncEngine, database_url: str
):
    total = 60
    root = Path(__file__).parents[3]
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", ledger_writer.__name__, database_url, str(total), str(first)),
            cwd=root,
        )
        for first in (0, 20, 40)
    ]
    assert await asyncio.gather(*(writer.wait() for writer in writers)) == [0, 0, 0]
    rows = await UsageReports(engine).recent(1000)
    assert len(rows) == total
    assert {row.source for row in rows} == {"provider"}
    assert sum(row.usd for row in rows) == Decimal("0.000000000007") * sum(range(total))
    await assert_rollups_equal(engine, rows)


async def test_a_ledger_is_ready_with_the_schema_it_was_written_for(engine: AsyncEngine):
    assert await SqlLedger(engine).ready()


async def test_of_many_decisions_the_written_ones_are_known(engine: AsyncEngine):
    ledger = SqlLedger(engine)
    rows = [usage_row(f"dec_{number}") for number in range(0, 3000, 2)]
    await ledger.record(rows)
    written = await ledger.written([f"dec_{number}" for number in range(3000)])
    assert written == {row.decision_id for row in rows}
    assert await ledger.written([]) == frozenset()


async def test_who_pays_and_what_for_keeps_roll_ups_apart(engine: AsyncEngine):
    rows = [
        usage_row("dec_1", cost_centre="cc-1", use_case="chat", priority="batch"),
        usage_row("dec_2", cost_centre="cc-2", use_case="chat"),
        usage_row("dec_3", cost_centre="cc-1", use_case="search"),
        usage_row("dec_4", cost_centre="cc-1", use_case="chat", http_status=429),
        usage_row("dec_5", cost_centre="cc-1", use_case="chat", user=None),
        usage_row("dec_6", cost_centre="cc-1", use_case="chat", application=None),
    ]
    await SqlLedger(engine).record(rows)
    assert set(await UsageReports(engine).recent(10)) == set(rows)
    assert len(await stored_rollups(engine)) == 6
    await assert_rollups_equal(engine, rows)
