import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.ids import sortable_id
from policy_service.ports.changes import Change, ChangeKind, Logged
from policy_service.services.changes import Changes, Listener

ALL = Change(ChangeKind.ALL)
IDS = [sortable_id("key", number, 0) for number in range(5)]


def key(number: int) -> Change:
    return Change(ChangeKind.KEY, IDS[number])


class FakeLog:
    """Implements `ChangeLog`; entries may become visible in any order."""

    def __init__(self) -> None:
        self.entries: dict[int, Logged] = {}
        self.is_down = False
        self.was_asked = asyncio.Event()

    def put(self, seq: int, subject: str, action: str = "change") -> None:
        self.entries[seq] = Logged(seq, action, subject)

    def put_key(self, seq: int, number: int = 0) -> None:
        self.put(seq, f"key:{IDS[number]}")

    async def newest(self, most: int) -> Sequence[Logged]:
        return [self.entries[seq] for seq in sorted(self.entries, reverse=True)[:most]]

    async def after(self, seq: int, most: int) -> Sequence[Logged]:
        self.was_asked.set()
        if self.is_down:
            raise PolicyUnavailable("down")
        return [self.entries[one] for one in sorted(self.entries) if one > seq][:most]


async def told(listener: Listener) -> set[Change]:
    return set(await listener.next(within_s=0) or ())


async def test_who_listens_is_told_what_comes_after_and_nothing_twice() -> None:
    log = FakeLog()
    log.put_key(1)
    changes = Changes(log)
    await changes.look()
    with changes.listening() as one, changes.listening() as other:
        log.put_key(2, 1)
        log.put_key(3, 2)
        await changes.look()
        await changes.look()
        assert await told(one) == await told(other) == {key(1), key(2)}
        assert await told(one) == set()


@pytest.mark.parametrize(
    ("subject", "action", "expected"),
    [
        (f"key:{IDS[0]}", "key.revoke", {key(0)}),
        ("key:search/laptop", "remove", {ALL}),
        ("team:search", "change", {ALL}),
        (f"limit:key:{IDS[0]}:usd_per_month", "add", {ALL}),
        ("something_newer:x", "add", {ALL}),
        ("admin_token:at_1", "admin_token.issue", set()),
        ("content:dec_1", "content.read", set()),
        ("erasure:ers_1", "privacy.erased", set()),
        ("chargeback:acme", "chargeback.rules", set()),
        ("report:weekly", "report.set", set()),
        ("user:ada", "privacy.export", set()),
        ("user:alice", "sign_in", set()),
    ],
)
async def test_what_is_not_a_keys_own_may_have_changed_anybody(
    subject: str, action: str, expected: set[Change]
) -> None:
    log = FakeLog()
    changes = Changes(log)
    await changes.look()
    with changes.listening() as listener:
        log.put(1, subject, action)
        await changes.look()
        assert await told(listener) == expected


async def test_an_entry_that_became_visible_late_is_found_and_may_have_brought_others() -> None:
    log = FakeLog()
    changes = Changes(log)
    await changes.look()
    with changes.listening() as listener:
        log.put_key(50)
        await changes.look()
        assert await told(listener) == {key(0)}
        log.put_key(49, 1)  # began earlier, was committed later
        await changes.look()
        assert await told(listener) == {key(1), ALL}


async def test_more_than_one_read_is_told_whole() -> None:
    log = FakeLog()
    log.put_key(1)
    changes = Changes(log)
    await changes.look()
    with changes.listening() as listener:
        for seq in range(2, 3000):
            log.put_key(seq, 1)
        log.put_key(3000, 2)
        for _ in range(5):
            await changes.look()
        assert {key(1), key(2)} <= await told(listener)


async def test_a_listener_who_is_slow_is_told_anybody() -> None:
    listener = Listener()
    listener.tell(Change(ChangeKind.KEY, f"key_{number}") for number in range(2000))
    assert await told(listener) == {ALL}


async def test_after_an_outage_what_happened_meanwhile_is_told() -> None:
    log = FakeLog()
    changes = Changes(log, poll_s=0.01)
    await changes.look()
    running = asyncio.create_task(changes.run())
    try:
        with changes.listening() as listener:
            log.is_down = True
            log.was_asked.clear()
            await asyncio.wait_for(log.was_asked.wait(), 10)
            log.put_key(1)
            log.is_down = False
            async with asyncio.timeout(10):
                while not (heard := await listener.next(within_s=1)):
                    pass
            assert heard == (key(0),)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_whoever_changed_something_has_it_looked_for_at_once() -> None:
    log = FakeLog()
    changes = Changes(log, poll_s=3600)
    await changes.look()
    running = asyncio.create_task(changes.run())
    try:
        with changes.listening() as listener:
            await asyncio.wait_for(log.was_asked.wait(), 10)
            log.put_key(1)
            await changes.announce()
            assert await listener.next(within_s=10) == (key(0),)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_when_the_service_stops_every_listener_is_let_go() -> None:
    changes = Changes(FakeLog())
    with changes.listening() as listener:
        waiting = asyncio.create_task(listener.next(within_s=3600))
        await asyncio.sleep(0)
        changes.end()
        assert await asyncio.wait_for(waiting, 10) is None
    with changes.listening() as late:
        assert await late.next(within_s=3600) is None
