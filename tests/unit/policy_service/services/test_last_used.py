import asyncio
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest

from llm_core.errors import PolicyUnavailable
from policy_service.services.last_used import LastUsed
from tests.fakes.clock import NOON, FakeClock


class FakeKeys:
    """Implements as much of `Keys` as is asked for here."""

    def __init__(self) -> None:
        self.written: list[tuple[set[str], datetime]] = []
        self.is_down = False
        self.came = asyncio.Event()

    async def note_used(self, key_ids: Collection[str], at: datetime) -> None:
        if self.is_down:
            raise PolicyUnavailable("down")
        self.written.append((set(key_ids), at))
        self.came.set()


def last_used(keys: Any, every_s: float = 10) -> LastUsed:
    return LastUsed(keys, FakeClock(), every_s)


async def test_each_key_is_written_once_however_often_it_was_used() -> None:
    keys = FakeKeys()
    noted = last_used(keys)
    for key_id in ("a", "b", "a"):
        noted.note(key_id)
    await noted.write()
    await noted.write()
    assert keys.written == [({"a", "b"}, NOON)]


async def test_an_outage_loses_none() -> None:
    keys = FakeKeys()
    noted = last_used(keys)
    noted.note("a")
    keys.is_down = True
    with pytest.raises(PolicyUnavailable):
        await noted.write()
    await noted.finish()
    noted.note("b")
    keys.is_down = False
    await noted.finish()
    assert keys.written == [({"a", "b"}, NOON)]


async def test_it_is_written_again_and_again() -> None:
    keys = FakeKeys()
    noted = last_used(keys, every_s=0.01)
    running = asyncio.create_task(noted.run())
    try:
        for key_id in ("a", "b"):
            keys.came.clear()
            noted.note(key_id)
            await asyncio.wait_for(keys.came.wait(), 10)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert [written for written, _ in keys.written] == [{"a"}, {"b"}]
