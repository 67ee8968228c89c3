"""The content log on both databases: written once, listed in pages, dropped in time."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.errors import GatewayFault, NotServed
from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.adapters.content_keys import ContentKeys, new_content_key
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.content_log import SqlContentLog
from policy_service.ports.content import ContentRow, Part
from policy_service.services.content_reader import ContentReader
from tests.fakes.clock import FakeClock

START = datetime(2026, 11, 20, tzinfo=UTC)
NOW = START + timedelta(hours=1)
OLGA = Actor("user:olga", "oidc", (Grant(Role.AUDITOR, PLATFORM),))
WHY = "complaint 4711, as agreed"


def line(number: int, **changes: object) -> ContentRow:
    row = ContentRow(
        decision_id=f"dec_{number:026d}",
        at=START + timedelta(seconds=number // 3),
        organisation="acme",
        department="sales",
        team="emea" if number % 2 else "apac",
        user="ada" if number % 2 else None,
        asked_model="chat",
        level="redacted",
        kept_until=START + timedelta(days=1 + number),
        error_class="none",
        request_digest="ab" * 32,
        request_bytes=10**12,
        question='{"a":"\\u0000 <PERSON_1>"}',
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def sealed(number: int, keys: ContentKeys, words: bytes = b'{"said":"Blue Heron"}') -> ContentRow:
    row = line(number, level="full", question=None)
    return replace(
        row,
        key_id=keys.key_id(row.organisation),
        sealed_question=keys.seal(row.organisation, row.decision_id, Part.QUESTION, words),
        sealed_answer=keys.seal(row.organisation, row.decision_id, Part.ANSWER, words),
    )


async def test_what_is_recorded_twice_is_there_once_as_it_was(engine: AsyncEngine) -> None:
    log = SqlContentLog(engine)
    await log.record([])
    await log.record([line(1), sealed(2, ContentKeys({"default": new_content_key()}))])
    await log.record([line(1, question="other")])
    assert await log.find(line(1).decision_id, NOW) == line(1)
    assert await log.find("dec_other", NOW) is None


async def test_lines_are_listed_newest_first_in_pages(engine: AsyncEngine) -> None:
    log = SqlContentLog(engine)
    await log.record([line(number) for number in range(20)])
    seen: list[str] = []
    before = None
    while page := await log.facts(NOW, before=before, limit=7):
        seen += [one.decision_id for one in page]
        before = (page[-1].at, page[-1].decision_id)
    assert seen == [line(number).decision_id for number in reversed(range(20))]


async def test_lines_are_chosen_by_team_user_time_and_node(engine: AsyncEngine) -> None:
    log = SqlContentLog(engine)
    await log.record([line(number) for number in range(6)])
    assert len(await log.facts(NOW, team="emea")) == 3
    assert len(await log.facts(NOW, user="ada")) == 3
    assert len(await log.facts(NOW, since=START + timedelta(seconds=1))) == 3
    assert len(await log.facts(NOW, until=START + timedelta(seconds=1))) == 3
    assert len(await log.facts(NOW, nodes=frozenset({"team:apac"}))) == 3
    assert len(await log.facts(NOW, nodes=frozenset({"organisation:acme"}))) == 6
    assert await log.facts(NOW, nodes=frozenset({"organisation:other", "key:k"})) == ()


async def test_what_is_over_is_gone_for_readers_at_once_and_then_deleted(
    engine: AsyncEngine,
) -> None:
    log = SqlContentLog(engine)
    await log.record([line(number) for number in range(10)])
    later = START + timedelta(days=5)
    assert await log.find(line(4).decision_id, later) is None
    assert await log.find(line(5).decision_id, later) is not None
    assert len(await log.facts(later)) == 5
    assert await log.drop_old(later) == 5
    assert await log.drop_old(later) == 0
    assert await log.drop_old(later, most_days=30) == 0
    assert await log.drop_old(later, most_days=2) == 5
    assert await log.facts(START) == ()


async def test_a_reading_is_in_the_audit_log_before_anything_is_told(engine: AsyncEngine) -> None:
    log, keys = SqlContentLog(engine), ContentKeys({"default": new_content_key()})
    await log.record([sealed(1, keys)])
    reader = ContentReader(log, keys, FakeClock(NOW))
    told = await reader.read(line(1).decision_id, OLGA, WHY, lambda _: None)
    assert told.question == told.answer == {"said": "Blue Heron"}
    [entry] = await AuditLog(engine).entries()
    assert (entry.action, entry.actor, entry.organisation) == ("content.read", "user:olga", "acme")
    assert entry.subject == f"content:{line(1).decision_id}"
    assert entry.after == {"reason": WHY, "level": "full", "team": "emea"}


async def test_rows_that_were_swapped_or_changed_do_not_open(engine: AsyncEngine) -> None:
    log, keys = SqlContentLog(engine), ContentKeys({"default": new_content_key()})
    one, two = sealed(1, keys), sealed(2, keys, b'{"said":"other"}')
    swapped = replace(one, sealed_question=two.sealed_question)
    turned = replace(two, sealed_question=two.sealed_answer)
    moved = replace(sealed(3, keys), organisation="other")
    await log.record([swapped, turned, moved])
    reader = ContentReader(log, keys, FakeClock(NOW))
    for row in (swapped, turned, moved):
        with pytest.raises(GatewayFault, match="changed"):
            await reader.read(row.decision_id, OLGA, WHY, lambda _: None)
    assert len(await AuditLog(engine).entries(action="content.read")) == 3


async def test_without_its_key_a_line_stays_closed(engine: AsyncEngine) -> None:
    log = SqlContentLog(engine)
    await log.record([sealed(1, ContentKeys({"default": new_content_key()}))])
    for keys in (None, ContentKeys({"default": new_content_key()})):
        reader = ContentReader(log, keys, FakeClock(NOW))
        with pytest.raises(GatewayFault, match="is not here"):
            await reader.read(line(1).decision_id, OLGA, WHY, lambda _: None)


async def test_what_nobody_may_read_is_not_written_down_as_read(engine: AsyncEngine) -> None:
    log = SqlContentLog(engine)
    await log.record([line(1)])
    reader = ContentReader(log, None, FakeClock(NOW))

    def never(_row: ContentRow) -> None:
        raise NotServed("no")

    with pytest.raises(NotServed):
        await reader.read(line(1).decision_id, OLGA, WHY, never)
    with pytest.raises(NotServed):
        await reader.read("dec_other", OLGA, WHY, lambda _: None)
    assert await AuditLog(engine).entries() == ()


async def test_lines_are_sealed_anew_a_batch_at_a_time(engine: AsyncEngine) -> None:
    log, keys = SqlContentLog(engine), ContentKeys({"default": new_content_key()})
    await log.record([*(sealed(number, keys) for number in range(5)), line(9)])
    newest = ContentKeys({"default": new_content_key()}).key_id("acme") or ""
    found = await log.sealed_with_others(None, newest, "", 3)
    assert [row.decision_id for row in found] == [line(number).decision_id for number in range(3)]
    await log.reseal([replace(row, key_id=newest, sealed_answer=b"new") for row in found])
    left = await log.sealed_with_others("acme", newest, "", 10)
    assert [row.decision_id for row in left] == [line(number).decision_id for number in (3, 4)]
    assert await log.sealed_with_others("other", newest, "", 10) == ()
    changed = await log.find(line(0).decision_id, NOW)
    assert changed is not None
    assert (changed.sealed_answer, changed.key_id) == (b"new", newest)
    assert changed.sealed_question == found[0].sealed_question


async def test_many_write_at_once(engine: AsyncEngine) -> None:
    log = SqlContentLog(engine)
    await asyncio.gather(*(log.record([line(n) for n in range(30)]) for _ in range(5)))
    assert len(await log.facts(NOW, limit=1000)) == 30
