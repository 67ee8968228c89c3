"""Notices are sent once, in their order, and wait for whoever is away."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from llm_core.alerts.incident import Incident, IncidentKind, Notice, NoticeEvent, Severity
from llm_core.alerts.routing import ChannelRule, QuietHours, Routes
from llm_core.errors import PolicyUnavailable
from policy_service.ports.incidents import ChannelFailed
from policy_service.services.alerting import deliverer as module
from policy_service.services.alerting.deliverer import Deliverer
from tests.fakes.clock import NOON, FakeClock

INCIDENT = Incident(
    id="inc_1",
    kind=IncidentKind.PROVIDER_DOWN,
    node=None,
    subject="deployment:a",
    severity=Severity.WARNING,
    title="a is down",
    detail="",
    opened_at=NOON,
    last_seen_at=NOON,
)


def notice(n: int, channel: str = "ops") -> Notice:
    return Notice(f"ntc_{n}", channel, NoticeEvent.OPENED, NOON, INCIDENT)


class Box:
    """Implements `Outbox`."""

    def __init__(self, *notices: Notice) -> None:
        self.due = {one.id: (NOON, one) for one in notices}
        self.faults: list[str] = []
        self.cannot_note = False

    async def claim(
        self, channels: Collection[str], owner: str, now: datetime, until: datetime, most: int
    ) -> Sequence[Notice]:
        found = [one for at, one in self.due.values() if at <= now and one.channel in channels]
        for one in found:
            self.due[one.id] = (until, one)
        return found[:most]

    async def sent(self, notice_ids: Sequence[str], now: datetime) -> None:
        if self.cannot_note:
            raise PolicyUnavailable("away")
        for one in notice_ids:
            self.due.pop(one, None)

    async def failed(self, notice: Notice, owner: str, due_at: datetime, why: str) -> None:
        self.due[notice.id] = (due_at, replace(notice, attempts=notice.attempts + 1))
        self.faults.append(why)

    async def waiting(self) -> dict[str, int]:
        return {}

    async def forget(self, before: datetime) -> int:
        return 0


class Line:
    """Implements `Channel`."""

    kind = "webhook"

    def __init__(self, name: str = "ops") -> None:
        self.name = name
        self.sent: list[str] = []
        self.fault: Exception | None = None
        self.hangs = False

    async def send(self, notice: Notice) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        self.sent.append(notice.id)

    async def close(self) -> None:
        """Nothing to let go of."""


def made(box: Box, *lines: Line, routes: Routes | None = None) -> Deliverer:
    rules = Routes(tuple(ChannelRule(line.name) for line in lines))
    return Deliverer(box, {one.name: one for one in lines}, routes or rules, FakeClock(), "p1")


async def test_notices_are_sent_in_their_order_and_once() -> None:
    box, line = Box(notice(1), notice(2)), Line()
    deliverer = made(box, line)
    assert await deliverer.step() == 2
    assert await deliverer.step() == 0
    assert (line.sent, box.due) == (["ntc_1", "ntc_2"], {})


async def test_a_receiver_that_is_away_for_hours_loses_nothing() -> None:
    box, line, clock = Box(notice(1), notice(2)), Line(), FakeClock()
    deliverer = made(box, line)
    deliverer.clock = clock
    line.fault = ChannelFailed("it answered 503")
    tries = 0
    while clock() < NOON + timedelta(hours=6):
        tries += bool(await deliverer.step())
        clock.advance(60)
    assert 20 < tries < 40  # from 5 s to a quarter of an hour apart
    line.fault = None
    clock.advance(900)
    await deliverer.step()
    assert line.sent == ["ntc_1", "ntc_2"]
    assert set(box.faults) == {"it answered 503"}


@pytest.mark.parametrize("fault", [ChannelFailed("no"), RuntimeError("secret address")])
async def test_a_channel_that_fails_holds_up_nobody_else(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Line("bad"), Line("good")
    bad.fault = fault
    box = Box(notice(1, "bad"), notice(2, "good"))
    with caplog.at_level(logging.WARNING):
        await made(box, bad, good).step()
    assert good.sent == ["ntc_2"]
    assert box.faults == [str(fault) if isinstance(fault, ChannelFailed) else "RuntimeError"]


async def test_who_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SEND_TIMEOUT_S", 0.01)
    box, line = Box(notice(1)), Line()
    line.hangs = True
    await made(box, line).step()
    assert box.faults == ["it took too long"]


async def test_what_was_sent_and_not_noted_is_not_sent_again() -> None:
    box, line = Box(notice(1)), Line()
    deliverer = made(box, line)
    clock = FakeClock()
    deliverer.clock = clock
    box.cannot_note = True
    with pytest.raises(PolicyUnavailable):
        await deliverer.step()
    with pytest.raises(PolicyUnavailable):
        await deliverer.step()
    box.cannot_note = False
    clock.advance(3600)
    await deliverer.step()
    assert (line.sent, box.due) == (["ntc_1"], {})


async def test_a_stop_waits_for_what_is_being_sent() -> None:
    gate = asyncio.Event()

    class Slow(Line):
        async def send(self, notice: Notice) -> None:
            await gate.wait()
            await super().send(notice)

    box, line = Box(notice(1)), Slow()
    deliverer = made(box, line)
    running = asyncio.create_task(deliverer.run())
    await asyncio.sleep(0.01)
    running.cancel()
    gate.set()
    await deliverer.finish()
    assert (line.sent, box.due) == (["ntc_1"], {})


async def test_a_try_in_vain_does_not_come_back_in_quiet_hours() -> None:
    quiet = QuietHours(time(12), time(7), UTC)
    routes = Routes((ChannelRule("ops", quiet=(quiet,)),))
    box, line = Box(notice(1)), Line()
    line.fault = ChannelFailed("no")
    await made(box, line, routes=routes).step()
    assert box.due["ntc_1"][0] == NOON.replace(day=21, hour=7)
