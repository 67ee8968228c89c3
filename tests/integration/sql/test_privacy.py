"""A person is taken out on both databases: nobody is named, and every sum stays."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.errors import MalformedRequest
from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.adapters.sql import privacy
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.content_log import SqlContentLog
from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.partitions import SqlUpkeep
from policy_service.adapters.sql.privacy import SqlPersonalData
from policy_service.adapters.sql.tables import Base
from policy_service.services.erasure import Erasures
from tests.fakes.privacy import FakeAuditChain
from tests.integration.sql.test_content_log import line
from tests.integration.sql.test_decision_log import logged
from tests.integration.sql.usage_rows import days_of, stored_days, stored_rollups, usage_row

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
DPO = Actor("user:dora", "oidc", (Grant(Role.ORG_ADMIN, "organisation:acme"),))
WHY = "request 2026-17 by post"
PLACES = ("content_log", "decisions", "usage", "usage_hourly")


async def fill(engine: AsyncEngine, calls: int = 60) -> None:
    """Calls, decisions and words of ada and of bob, every second one."""
    rows = [
        usage_row(
            f"dec_{number:026d}",
            at=AT + timedelta(minutes=7 * number),
            user="ada" if number % 2 else "bob",
            usd=Decimal(number) / 1000,
            total_ms=float(number),
            source="estimated" if number % 5 == 0 else "provider",
            input_audio_tokens=number % 7 or None,
            input_image_tokens=number % 11 or None,
            output_audio_tokens=number % 13 or None,
            cached_audio_tokens=number % 5 or None,
        )
        for number in range(calls)
    ]
    await SqlLedger(engine).record(rows)
    await SqlDecisionLog(engine).record(
        [replace(logged(n), user="ada" if n % 2 else "bob") for n in range(calls)]
    )
    lines = [replace(line(n), user="ada" if n % 2 else "bob") for n in range(calls)]
    await SqlContentLog(engine).record(lines)


async def sums(engine: AsyncEngine) -> list[dict[str, Any]]:
    """The roll-ups without the person, added up."""
    totals: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in await stored_rollups(engine):
        amounts = {name: row[name] for name in privacy.SUMS}
        key = tuple(row[name] for name in privacy.GROUP if name != "user")
        known = totals.setdefault(key, dict.fromkeys(privacy.SUMS, 0))
        for name, amount in amounts.items():
            known[name] += amount
    return [totals[key] for key in sorted(totals, key=str)]


async def named(engine: AsyncEngine, word: str) -> dict[str, int]:
    """In how many rows of a table a word stands, in whichever column."""
    found = {}
    async with reading(engine) as connection:
        for table in Base.metadata.sorted_tables:
            rows = (await connection.execute(select(table))).all()
            found[table.name] = sum(word in repr(tuple(row)) for row in rows)
    return {name: count for name, count in found.items() if count}


async def test_nobody_is_named_any_more_and_every_sum_stays(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "_ROWS_AT_ONCE", 7)
    monkeypatch.setattr(privacy, "_GROUPS_AT_ONCE", 4)
    await fill(engine)
    before, whole = await sums(engine), await _spent(engine)
    progress: list[tuple[str, int]] = []
    done = await Erasures(SqlPersonalData(engine)).erase(
        "ada", DPO, WHY, told=lambda place, count: progress.append((place, count))
    )
    assert done.pseudonym is not None
    assert done.pseudonym.startswith("erased:")
    assert {place: done.found[place] for place in PLACES[:3]} == dict.fromkeys(PLACES[:3], 30)
    assert await named(engine, "'ada'") == {}
    assert await sums(engine) == before
    assert await _spent(engine) == whole
    assert len(progress) > 4
    # The roll-ups are those that the rows give, bucket by bucket.
    moved, days = await stored_rollups(engine), await stored_days(engine)
    await SqlUpkeep(engine).remake_rollups("2026-11")
    assert await stored_rollups(engine) == moved
    assert await stored_days(engine) == days
    assert {row["user"] for row in moved} == {"bob", done.pseudonym}


async def test_decisions_lose_what_was_asked_and_words_are_deleted(engine: AsyncEngine) -> None:
    await fill(engine, 10)
    done = await Erasures(SqlPersonalData(engine)).erase("ada", DPO, WHY)
    pages = [page async for page in SqlDecisionLog(engine).read(AT - timedelta(days=1), AT)]
    theirs = [one for page in pages for one in page if one.user != "bob"]
    assert len(theirs) == 5
    assert {(one.user, one.input) for one in theirs} == {(done.pseudonym, None)}
    assert all(one.input_digest and one.result for one in theirs)
    others = await SqlContentLog(engine).facts(AT, limit=1000)
    assert {one.user for one in others} == {"bob"}


async def test_the_audit_log_names_the_pseudonym_and_not_the_person(engine: AsyncEngine) -> None:
    await fill(engine, 10)
    chain = FakeAuditChain({"ada": 3})
    erasures = Erasures(SqlPersonalData(engine), chain)
    done = await erasures.erase("ada", DPO, WHY, organisation="acme")
    entry, begun = await AuditLog(engine).entries()
    assert (begun.action, begun.subject) == ("privacy.erase", f"erasure:{done.id}")
    assert begun.after is not None
    assert begun.after["pseudonym"] == done.pseudonym
    assert (entry.action, entry.subject) == ("privacy.erased", f"erasure:{done.id}")
    assert (entry.actor, entry.organisation, entry.before) == ("user:dora", "acme", None)
    assert entry.after == {"pseudonym": done.pseudonym, "rows": dict(done.found), "reason": WHY}
    assert done.found["audit_chain"] == 3
    assert chain.asked == [("ada", "user:dora", WHY)]
    assert "ada" not in repr((entry, begun))


async def test_doing_it_again_finds_what_has_come_since(engine: AsyncEngine) -> None:
    await fill(engine, 10)
    erasures = Erasures(SqlPersonalData(engine), FakeAuditChain({}))
    first = await erasures.erase("ada", DPO, WHY)
    again = await erasures.erase("ada", DPO, WHY)
    assert (again.is_empty, again.pseudonym) == (True, None)
    assert len(await AuditLog(engine).entries()) == 2
    await SqlLedger(engine).record([usage_row("dec_late", at=AT, user="ada")])
    late = await erasures.erase("ada", DPO, WHY)
    assert late.found["usage"] == late.found["usage_hourly"] == 1
    assert late.pseudonym not in (None, first.pseudonym)


async def test_a_service_that_goes_on_writing_loses_and_doubles_nothing(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "_ROWS_AT_ONCE", 5)
    monkeypatch.setattr(privacy, "_GROUPS_AT_ONCE", 3)
    await fill(engine)
    ledger = SqlLedger(engine)

    async def write(number: int) -> None:
        at = AT + timedelta(minutes=7 * number)
        late = usage_row(f"dec_{number:026d}", at=at, user="ada", usd=Decimal(1), total_ms=1.0)
        new = usage_row(f"dec_new_{number}", at=at, user="bob" if number % 2 else "ada")
        await ledger.record([late, new])

    erasing = Erasures(SqlPersonalData(engine)).erase("ada", DPO, WHY)
    await asyncio.gather(erasing, *(write(number) for number in range(5, 60, 10)))
    await Erasures(SqlPersonalData(engine)).erase("ada", DPO, WHY)
    kept, days = await stored_rollups(engine), await stored_days(engine)
    assert sum(row["requests"] for row in kept) == 66
    await SqlUpkeep(engine).remake_rollups("2026-11")
    assert await stored_rollups(engine) == kept
    assert await stored_days(engine) == days
    assert await named(engine, "'ada'") == {}


async def test_a_figure_that_comes_late_does_not_bring_the_name_back(engine: AsyncEngine) -> None:
    ledger = SqlLedger(engine)
    estimate = usage_row("dec_1", at=AT, user="ada", source="estimated", usd=Decimal(1))
    await ledger.record([estimate])
    done = await Erasures(SqlPersonalData(engine)).erase("ada", DPO, WHY)
    await ledger.record([replace(estimate, source="provider", usd=Decimal("0.25"))])
    [row] = await stored_rollups(engine)
    assert (row["user"], row["usd"], row["requests"]) == (done.pseudonym, Decimal("0.25"), 1)
    late = replace(estimate, source="provider", usd=Decimal("0.25"), user=done.pseudonym)
    assert await stored_days(engine) == days_of([late])
    assert await named(engine, "'ada'") == {}


async def test_a_figure_that_comes_between_the_calls_and_their_sums_is_not_lost(
    engine: AsyncEngine,
) -> None:
    """The call bears the pseudonym then, and its sums still the name."""
    ledger, data = SqlLedger(engine), SqlPersonalData(engine)
    estimate = usage_row("dec_1", at=AT, user="ada", source="estimated", usd=Decimal(1))
    await ledger.record([estimate])
    async with writing(engine) as connection:
        await connection.execute(text("UPDATE usage SET user_id = 'erased:1'"))
    true = replace(estimate, source="provider", usd=Decimal("0.25"))
    await ledger.record([true])
    await data.erase("ada", "erased:1", told=lambda _place, _count: None)
    assert await stored_days(engine) == days_of([replace(true, user="erased:1")])


async def test_sums_whose_calls_were_dropped_long_ago_move_too(engine: AsyncEngine) -> None:
    await fill(engine, 10)
    async with writing(engine) as connection:
        await connection.execute(text("DELETE FROM usage"))
    before = await sums(engine)
    done = await Erasures(SqlPersonalData(engine)).erase("ada", DPO, WHY)
    assert done.found["usage"] == 0
    assert done.found["usage_hourly"] > 0
    assert await sums(engine) == before


async def test_a_dry_run_counts_and_changes_nothing(engine: AsyncEngine) -> None:
    await fill(engine, 10)
    before = await stored_rollups(engine)
    seen = await Erasures(SqlPersonalData(engine)).preview("ada")
    assert {place: seen.found[place] for place in PLACES[:3]} == dict.fromkeys(PLACES[:3], 5)
    assert await stored_rollups(engine) == before
    assert await AuditLog(engine).entries() == ()


@pytest.mark.parametrize(
    ("user", "reason"),
    [("ada", None), ("ada", "short"), ("ada", "Ada asked for it"), ("", WHY), ("erased:1", WHY)],
)
async def test_a_reason_that_says_nothing_or_too_much_is_refused(
    engine: AsyncEngine, user: str, reason: str | None
) -> None:
    with pytest.raises(MalformedRequest):
        await Erasures(SqlPersonalData(engine)).erase(user, DPO, reason)


async def test_everything_that_is_held_on_a_person_is_told_without_secrets(
    engine: AsyncEngine,
) -> None:
    await fill(engine, 10)
    organisation = Organisation(engine)
    root = Actor("root_token", "root_token", (Grant(Role.PLATFORM_ADMIN, PLATFORM),))
    await organisation.put_organisation("acme")
    await organisation.put("user:ada", {"organisation": "acme", "email": "ada@acme.example"}, root)
    data = SqlPersonalData(engine)
    await data.note_export(DPO, "ada", WHY)
    held: dict[str, list[Any]] = {}
    async for place, row in data.held("ada"):
        held.setdefault(place, []).append(row)
    assert {place: len(rows) for place, rows in held.items()} == {
        "account": 1,
        "usage": 5,
        "decisions": 5,
        "content": 5,
        "audit": 2,
    }
    assert held["account"][0]["email"] == "ada@acme.example"
    assert all("question" not in row and "sealed_question" not in row for row in held["content"])
    assert {row["action"] for row in held["audit"]} >= {"privacy.export"}
    assert isinstance(held["usage"][0]["usd"], str)


async def _spent(engine: AsyncEngine) -> tuple[Any, ...]:
    usage = Base.metadata.tables["usage"]
    query = select(func.count(), func.sum(usage.c.usd), func.sum(usage.c.input_tokens))
    async with reading(engine) as connection:
        return tuple((await connection.execute(query)).one())
