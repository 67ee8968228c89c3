"""A month in which everything goes wrong once: each kind is told once, and that it is over once.

Two processes watch and deliver, receivers are real servers, one of them is away for hours, one
channel has quiet hours, and in the middle of the month both processes are exchanged. It takes
seconds: it is a whole month.
"""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.alerts.incident import IncidentKind
from policy_service.adapters.sql.outbox import SqlOutbox
from policy_service.adapters.sql.tables import LimitRow, OrganisationUnit
from policy_service.services import degraded as degraded_module
from tests.fixtures.alert_receivers import http_receiver, mail_server
from tests.integration.sql.alerting_world import (
    ALONE,
    END,
    HOUR,
    JOURNAL,
    MINUTE,
    MONTH,
    ODD_HOUR,
    QUIET,
    START,
    World,
    spending,
)

MORNING = datetime(2026, 11, 25, 6, tzinfo=UTC)  # 7 o'clock in Berlin, after the backlog's night
TWICE = {"degraded"}
"""That limits are away is one incident, that one was overspent meanwhile another."""


@pytest.fixture
async def world(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(degraded_module, "_LOOK_EVERY_S", 0.001)
    async with engine.begin() as connection:
        await connection.execute(insert(OrganisationUnit), {"id": "acme", "name": "Acme"})
        for limit in (MONTH, ALONE):
            row = {"node": limit.node, "scope": "", "measure": limit.measure.value}
            amounts = {"amount": limit.amount, "interactive_share": Decimal(0)}
            await connection.execute(insert(LimitRow), {**row, **amounts})
    async with mail_server() as mailbox, http_receiver() as hook, http_receiver() as slack:
        made = World(engine, mailbox, hook, slack)
        yield made
        for channel in made.channels.values():
            await channel.close()


async def test_everything_that_goes_wrong_is_told_once_and_is_over_once(world: World) -> None:
    happenings, rows = world.happenings(), spending()
    noon, days = START + 12 * HOUR, (END - START).days
    times = {datetime(2026, 12, 1, tzinfo=UTC), *(noon + n * 24 * HOUR for n in range(days))}
    for at in happenings:
        times |= {at, at + 2 * MINUTE, at + 20 * MINUTE}
    times |= {MORNING - MINUTE, MORNING}
    for at in sorted(times):
        world.clock.now = at
        past = [row for row in rows if row.at <= at]
        if past:
            await world.ledger.record(past)
            rows = rows[len(past) :]
        if at in happenings:
            await happenings[at]()
        await world.step()
    kinds = [*(kind.value for kind in IncidentKind), *TWICE]
    once_each = Counter(
        (kind, event) for kind in kinds for event in ("incident.opened", "incident.recovered")
    )
    hooked = [(one["incident"]["kind"], one["event"]) for one in world.hook.bodies]
    assert Counter(hooked) == once_each
    assert all(world.hook.is_signed)
    assert len(set(world.hook.ids)) == len(world.hook.ids) == len(world.slack.bodies)
    assert len(world.mailbox.messages) == len(hooked)
    told = [one["Subject"] for one in world.mailbox.messages]
    assert len(set(told)) == len(told)
    assert sum("over: " in one for one in told) == len(kinds)
    assert {tuple(one) for one in world.mailbox.recipients} == {
        ("finance@example.com", "cfo@example.com")
    }
    assert await SqlOutbox(world.engine).waiting() == {}
    assert await world.incidents.listed(is_open=True) == ()
    odd = next(one for one in world.hook.bodies if one["incident"]["kind"] == "spend_anomaly")
    assert datetime.fromisoformat(odd["incident"]["facts"]["hour"]) == ODD_HOUR
    over = {one["incident"]["subject"]: one["incident"] for one in world.hook.bodies}
    [budget] = [one for one in over.values() if one["kind"] == "budget"]
    assert budget["recovered_at"] == "2026-12-01T00:00:00Z"
    alone = over[f"limit:{ALONE.key}"]
    assert (alone["severity"], alone["node"]) == ("critical", ALONE.node)
    assert Decimal(alone["facts"]["used"]) == 15
    assert over["journals:usage"]["facts"]["journals"] == [JOURNAL]
    tells_in_the_night(world)


def tells_in_the_night(world: World) -> None:
    """What is critical is told at once, the rest of a night in the morning, and all of it."""
    heard = list(zip(world.chat_at, map(str, world.slack.bodies), strict=True))
    at_night = [told for at, told in heard if QUIET.end_after(at) is not None]
    assert len(at_night) == 2
    assert all("audit chain" in told for told in at_night)
    waited = [at for at, told in heard if "wait to be written into the ledger" in told]
    assert waited == [MORNING] * 2
    hooked = [one for one in world.hook.bodies if one["incident"]["kind"] == "backlog"]
    assert [one["at"] for one in hooked] == ["2026-11-24T22:00:00Z", "2026-11-25T02:00:00Z"]
