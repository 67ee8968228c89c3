"""The chain in a database: contiguous, each event once, whatever is given twice or at once."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.alerts.rules import AuditCheck
from llm_core.audit.event import Checkpoint, Event, NewEvent
from llm_core.audit.findings import Fault
from llm_core.errors import PolicyUnavailable
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.audit import record
from policy_service.adapters.sql.audit_chain import SqlAuditChain
from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.adapters.sql.engine import open_engine, reading, writing
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.schema import upgrade
from policy_service.ports.audit import AuditFilter, Noted, UnwritableEvents
from policy_service.ports.decision_log import LoggedDecision
from policy_service.services.alerting.audit_chain import AuditChainWatcher
from policy_service.services.alerting.watch import Sight
from policy_service.services.decision_retention import DecisionRetention
from tests.fakes.audit_chains import key_pair, new_event
from tests.fixtures.verified_chains import exported_lines, parsed, verified

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SIGNER, KEYS = key_pair()
OFFICER = Actor("user:officer", "oidc")


def chain_on(engine: AsyncEngine) -> SqlAuditChain:
    return SqlAuditChain(engine, lambda: NOW)


def logged(number: int, **changes: Any) -> LoggedDecision:
    fields: dict[str, Any] = {
        "decision_id": f"dec_{number}",
        "at": NOW + timedelta(seconds=number),
        "organisation": "acme",
        "department": "engineering",
        "team": "search",
        "user": "sam",
        "operation": "chat.completions",
        "asked_model": "mini",
        "allow": True,
        "codes": (),
        "revision": "rev-7",
        "engine": "opa",
        "duration_ms": 0.5,
        "input_digest": "d" * 64,
        "input": {"caller": {"user": "sam"}},
        "result": {"allow": True},
    }
    return LoggedDecision(**fields | changes)


def noted(*numbers: int, chain: str = "org:acme", **changes: Any) -> list[Noted]:
    return [Noted(new_event(number, chain, **changes)) for number in numbers]


async def seal(engine: AsyncEngine, at: datetime = NOW) -> int:
    return await chain_on(engine).seal(SIGNER, at, least=1, age_s=0)


async def run(engine: AsyncEngine, *statements: str) -> None:
    async with writing(engine) as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def faults(engine: AsyncEngine, kept: Sequence[Checkpoint] = ()) -> set[Fault]:
    found, _ = await verified(engine, KEYS, kept)
    return {one.fault for one in found}


async def test_what_was_appended_verifies_and_reads_back(engine: AsyncEngine) -> None:
    chain = chain_on(engine)
    payload = {"é": [1, 2.5, None, {"b": 1, "a": "\x00"}], "A": 10**15, "f": 1e22}
    await chain.append([*noted(1, payload=payload), *noted(1, 2, chain="platform")])
    assert await chain.append(noted(2, 3)) == 2
    await seal(engine)
    found, chains = await verified(engine, KEYS)
    assert found == ()
    assert {name: (one.events, one.sealed) for name, one in chains.items()} == {
        "org:acme": (3, 3),
        "platform": (2, 2),
    }
    [first] = await chain.rows(AuditFilter(["org:acme"]), before_seq=2)
    assert (first.payload, first.actor, first.at) == (payload, "user:u1", new_event(1).at)


async def test_an_event_that_comes_again_is_taken_once(engine: AsyncEngine) -> None:
    chain = chain_on(engine)
    both = [Noted(one.event, logged(1)) for one in noted(1)]
    assert await chain.append([*both, *both]) == 1
    assert await chain.append([*both, *noted(2)]) == 1
    assert await chain.append(both) == 0
    assert [head.seq for head in await chain.heads()] == [2]
    assert await SqlDecisionLog(engine).count(NOW, NOW + timedelta(days=1)) == 1


async def test_many_who_append_at_once_make_one_chain(database_url: str) -> None:
    engines = [open_engine(database_url) for _ in range(3)]
    await upgrade(engines[0])

    async def append(who: int) -> None:
        for part in range(5):
            start = who * 1000 + part * 10
            await chain_on(engines[who]).append(noted(*range(start, start + 10)))

    await asyncio.gather(*(append(who) for who in range(3)))
    await seal(engines[0])
    found, chains = await verified(engines[0], KEYS)
    assert found == ()
    assert chains["org:acme"].events == 150
    for engine in engines:
        await engine.dispose()


async def fail_after_recording(engine: AsyncEngine) -> None:
    with suppress(PolicyUnavailable):
        async with writing(engine) as connection:
            await record(connection, OFFICER, "never", "policy:rev-9", None, None)
            await connection.execute(text("SELECT nonsense"))


async def test_a_change_and_its_event_are_committed_together(engine: AsyncEngine) -> None:
    chain = chain_on(engine)
    organisation = Organisation(engine)
    await organisation.put_organisation("acme")
    async with writing(engine) as connection:
        await record(connection, OFFICER, "policy.activate", "policy:rev-8", None, {"by": "x"})
    await fail_after_recording(engine)
    assert await chain.has_outbox()
    await chain.append([])
    assert not await chain.has_outbox()
    rows = await chain.rows(AuditFilter())
    assert [(row.chain, row.kind, row.actor) for row in rows] == [
        ("org:acme", "organisation.add", "gatehouse"),
        ("platform", "policy.activate", "user:officer"),
    ]
    assert await chain.append([]) == 0
    assert (await verified(engine))[0] == ()


async def test_what_the_database_never_takes_is_told_apart_from_an_outage(
    engine: AsyncEngine,
) -> None:
    [bad] = noted(1)
    with pytest.raises(UnwritableEvents):
        await chain_on(engine).append([Noted(new_event(1, payload={"x": object()}))])
    if engine.dialect.name == "postgresql":
        with pytest.raises(UnwritableEvents):
            await chain_on(engine).append(noted(1, subject="nul\0"))
    assert await chain_on(engine).append([bad]) == 1


TAMPERING = {
    "edit": ("UPDATE audit_chain SET kind = 'other' WHERE seq = 3", {Fault.EDITED}),
    "edit a payload": (
        "UPDATE audit_chain SET payload = '{\"allow\": true}' WHERE seq = 3",
        {Fault.EDITED},
    ),
    "edit who": ("UPDATE audit_chain SET actor = 'user:x' WHERE seq = 3", {Fault.EDITED}),
    "delete": ("DELETE FROM audit_chain WHERE seq = 3", {Fault.DELETED}),
    "truncate": ("DELETE FROM audit_chain WHERE seq > 3", {Fault.TRUNCATED, Fault.UNSEALED}),
    "erase": (
        "UPDATE audit_chain SET payload = NULL, salt = NULL, actor = NULL WHERE seq = 3",
        {Fault.ERASED_WITHOUT_RECORD},
    ),
    "forge": (
        "UPDATE audit_checkpoints SET seq = 4 WHERE seq = 5",
        {Fault.FORGED_CHECKPOINT, Fault.UNSEALED},
    ),
}


@pytest.mark.parametrize("how", TAMPERING)
async def test_tampering_with_the_tables_is_found(engine: AsyncEngine, how: str) -> None:
    await chain_on(engine).append(noted(1, 2, 3, 4, 5))
    await seal(engine)
    statement, expected = TAMPERING[how]
    await run(engine, statement)
    assert await faults(engine) == expected


async def test_events_that_change_places_are_found(engine: AsyncEngine) -> None:
    await chain_on(engine).append(noted(1, 2, 3, 4, 5))
    await seal(engine)
    move = "UPDATE audit_chain SET seq = :there WHERE seq = :here"
    async with writing(engine) as connection:
        for here, there in ((3, 99), (4, 3), (99, 4)):
            await connection.execute(text(move), {"here": here, "there": there})
    assert Fault.EDITED in await faults(engine)


async def test_a_tail_that_is_cut_with_all_its_traces_is_found_by_a_checkpoint_kept_elsewhere(
    engine: AsyncEngine,
) -> None:
    await chain_on(engine).append(noted(1, 2, 3))
    await seal(engine)
    await chain_on(engine).append(noted(4, 5))
    await seal(engine)
    kept = await chain_on(engine).checkpoints(["org:acme"], limit=1)
    await run(
        engine,
        "UPDATE audit_heads SET seq = 3, hash = (SELECT hash FROM audit_chain WHERE seq = 3)",
        "DELETE FROM audit_chain WHERE seq > 3",
        "DELETE FROM audit_checkpoints WHERE seq > 3",
    )
    assert await faults(engine) == set()
    assert await faults(engine, kept) == {Fault.TRUNCATED}
    # The cut chain goes on, and looks whole again.
    await chain_on(engine).append(noted(6, 7, 8))
    await seal(engine)
    assert await faults(engine) == set()
    assert await faults(engine, kept) == {Fault.REWRITTEN}


async def test_a_chain_that_was_taken_out_is_missed_as_long_as_a_trace_is_left(
    engine: AsyncEngine,
) -> None:
    await chain_on(engine).append([*noted(1, 2), *noted(1, chain="platform")])
    await seal(engine)
    kept = await chain_on(engine).checkpoints(["org:acme"])
    await run(engine, "DELETE FROM audit_chain WHERE chain = 'org:acme'")
    assert await faults(engine) == {Fault.TRUNCATED}
    await run(engine, "DELETE FROM audit_heads WHERE chain = 'org:acme'")
    assert await faults(engine) == {Fault.TRUNCATED}
    await run(engine, "DELETE FROM audit_checkpoints WHERE chain = 'org:acme'")
    assert await faults(engine, kept) == {Fault.TRUNCATED}


async def test_checkpoints_come_after_so_many_events_or_so_long(engine: AsyncEngine) -> None:
    chain = chain_on(engine)

    async def seal_as_set(at: datetime) -> int:
        return await chain.seal(SIGNER, at, least=3, age_s=60)

    await chain.append(noted(1))
    assert await seal_as_set(NOW) == 1  # the first
    assert await seal_as_set(NOW + timedelta(hours=1)) == 0  # nothing new
    await chain.append(noted(2, 3))
    assert await seal_as_set(NOW + timedelta(seconds=59)) == 0
    await chain.append(noted(4))
    assert await seal_as_set(NOW + timedelta(seconds=59)) == 1
    await chain.append(noted(5))
    assert await seal_as_set(NOW + timedelta(seconds=60)) == 0
    assert await seal_as_set(NOW + timedelta(seconds=119)) == 1
    assert [one.seq for one in await chain.checkpoints(None)] == [5, 4, 1]


async def test_a_new_key_goes_on_where_the_old_one_ended(engine: AsyncEngine) -> None:
    other, _ = key_pair(1)
    await chain_on(engine).append(noted(1))
    await seal(engine)
    await chain_on(engine).append(noted(2))
    await chain_on(engine).seal(other, NOW, least=1, age_s=0)
    assert await faults(engine) == {Fault.FORGED_CHECKPOINT}  # only the old key is trusted


async def test_erasing_a_user_leaves_the_chain_verifiable(engine: AsyncEngine) -> None:
    chain = chain_on(engine)
    await chain.append(
        [
            *noted(1, actor="user:sam"),
            *noted(2, actor="user:alice", payload={"after": {"user": "sam"}}),
            *noted(3, actor="user:samantha"),
            *noted(4, actor="user:alice", subject="role:approver@team:search user:sam"),
            *noted(5, chain="platform", subject="user:sam", kind="sign_in"),
        ]
    )
    async with writing(engine) as connection:
        await record(connection, Actor("user:sam", "oidc"), "sign_in", "user:sam", None, None)
    assert await chain.erase("sam", OFFICER, "asked for on 2026-11-20") == 5
    await seal(engine)
    found, chains = await verified(engine, KEYS)
    assert found == ()
    assert (chains["org:acme"].erased, chains["platform"].erased) == (3, 2)
    lines = b"\n".join(await exported_lines(engine))
    assert b"sam" not in lines.replace(b"samantha", b"")
    [record_of_it] = await chain.rows(AuditFilter(["org:acme"], kind="erasure"))
    assert record_of_it.actor == "user:officer"
    assert record_of_it.payload == {
        "erased": [[1, 2], [4, 4]],
        "events": 3,
        "reason": "asked for on 2026-11-20",
    }
    # Again, there is nothing left; and who erased is not erased themselves.
    assert await chain.erase("sam", OFFICER, "again") == 0
    assert await chain.erase("officer", OFFICER, "wants to be forgotten") == 0
    assert await faults(engine) == set()


async def test_an_export_from_some_day_on_verifies_alone(engine: AsyncEngine) -> None:
    chain = chain_on(engine)
    for number in range(1, 6):
        await chain.append(noted(number))
        await seal(engine)
    found, chains = await verified(engine, KEYS, since=new_event(3).at)
    assert found == ()
    assert (chains["org:acme"].first, chains["org:acme"].last) == (3, 5)
    assert await exported_lines(engine, chains=["org:globex"])
    assert len(await exported_lines(engine, since=NOW + timedelta(days=1))) == 1


async def test_the_newest_part_verifies_alone_and_says_where_it_does_not(
    engine: AsyncEngine,
) -> None:
    chain = chain_on(engine)
    for number in range(1, 8):
        await chain.append(noted(number))
        if number % 3 == 0:
            await seal(engine)
    [public_key] = KEYS._keys.values()
    assert SIGNER.public_pem == public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def is_genuine(one: Checkpoint) -> bool:
        return KEYS.is_genuine(one.key_id, one.signed_bytes, one.signature)

    watcher = AuditChainWatcher(chain, AuditCheck(newest=4), is_genuine)
    assert await watcher.look(NOW, {}) == Sight()
    await run(engine, "UPDATE audit_chain SET actor = 'user:forged' WHERE seq = 2")
    assert await watcher.look(NOW, {}) == Sight()  # it is older than what is looked at
    await run(engine, "UPDATE audit_chain SET kind = 'forged' WHERE seq = 5")
    [trouble] = (await watcher.look(NOW, {})).troubles
    assert (trouble.subject, trouble.facts["first_seq"]) == ("chain:org:acme", 5)


async def test_an_export_holds_what_it_began_with(engine: AsyncEngine) -> None:
    """A long export goes on while events come: its header promises what it has."""
    chain = chain_on(engine)
    await chain.append(noted(*range(1, 1501)))
    parts = chain.export()
    first = await anext(parts)
    if engine.dialect.name == "postgresql":
        await chain.append(noted(1501))
    rest = [line async for part in parts for line in part if isinstance(line, Event)]
    assert first == {"org:acme": first["org:acme"]}  # type: ignore[call-overload]
    assert [line.seq for line in rest] == list(range(1, 1501))


async def test_a_lease_has_one_holder_until_it_ends(engine: AsyncEngine) -> None:
    chain = chain_on(engine)
    later = NOW + timedelta(seconds=6)
    assert await chain.hold("work", "a", NOW, 5)
    assert not await chain.hold("work", "b", NOW, 5)
    assert await chain.hold("work", "a", NOW + timedelta(seconds=4), 5)
    assert not await chain.hold("work", "b", later, 5)
    assert await chain.hold("other work", "b", NOW, 5)
    assert await chain.hold("work", "b", later + timedelta(seconds=4), 5)
    await chain.release("b")
    assert await chain.hold("work", "a", NOW, 5)


async def test_what_policy_was_asked_is_forgotten_in_time_and_the_chain_is_untouched(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    log, chain = SqlDecisionLog(engine), chain_on(engine)
    await chain.append([Noted(new_event(n), logged(n * 86_400)) for n in (0, 5, 10)])
    now = NOW + timedelta(days=12)
    assert await DecisionRetention(log, lambda: now, kept_days=6).once() == 2
    assert await DecisionRetention(log, lambda: now, kept_days=6).once() == 0
    kept = [one async for part in log.read(NOW, now) for one in part]
    assert [one.input is None for one in kept] == [True, True, False]
    assert all(one.result == {"allow": True} for one in kept)
    assert (await verified(engine))[0] == ()


async def test_a_sink_gets_each_chain_in_order_with_its_checkpoints(engine: AsyncEngine) -> None:
    chain = chain_on(engine)
    await chain.append([*noted(1, 2, 3), *noted(1, chain="platform")])
    await seal(engine)
    got: list[Event | Checkpoint] = []
    while lines := await chain.next("sink", 2):
        got.extend(lines)
        await chain.sent("sink", lines)
    assert [(type(line).__name__, line.chain, line.seq) for line in got] == [
        ("Event", "org:acme", 1),
        ("Event", "org:acme", 2),
        ("Event", "org:acme", 3),
        ("Checkpoint", "org:acme", 3),
        ("Event", "platform", 1),
        ("Checkpoint", "platform", 1),
    ]
    await chain.append(noted(4))
    assert [line.seq for line in await chain.next("sink", 2)] == [4]
    assert len(await chain.next("another sink", 10)) == 5
    # Chains take turns, so that a busy one keeps no other waiting.
    for after, turn in (("", "org:acme"), ("org:acme", "platform"), ("platform", "org:acme")):
        assert (await chain.next("another sink", 10, after=after))[0].chain == turn
    await chain.sent("sink", await chain.next("sink", 2))
    await seal(engine)
    [late] = await chain.next("sink", 10)
    assert isinstance(late, Checkpoint)
    await chain.sent("sink", [late])
    assert await chain.next("sink", 10) == []


async def test_the_lines_of_an_export_are_what_is_in_the_tables(engine: AsyncEngine) -> None:
    await chain_on(engine).append(noted(1))
    _, event = parsed(await exported_lines(engine))
    assert isinstance(event, Event)
    async with reading(engine) as connection:
        row = (await connection.execute(text("SELECT * FROM audit_chain"))).mappings().one()
    assert (event.hash, event.salt, event.previous) == (row["hash"], row["salt"], "0" * 64)


def test_an_events_person_is_whom_an_erasure_must_find() -> None:
    def person(**changes: Any) -> str | None:
        new: NewEvent = new_event(1, **changes)
        return new.person

    assert person(payload={"user": "sam"}) == "sam"
    assert person(payload={"before": {"user": "sam"}, "after": None}) == "sam"
    assert person(subject="user:sam") == "sam"
    assert person(subject="role:approver@team:search user:sam") == "sam"
    assert person(subject="key:key_1", payload={"user": None}) is None
