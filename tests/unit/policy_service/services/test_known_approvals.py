import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.approvals import ApprovalGrant
from policy_service.ports.approvals import OpenRequest, Standing
from policy_service.ports.changes import Logged
from policy_service.services import known_approvals
from policy_service.services.changes import Changes
from policy_service.services.known_approvals import KnownApprovals
from tests.fakes.approvals import FakeApprovals
from tests.fakes.changes import QuietLog
from tests.fixtures.policy_inputs import CALLER

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINE = ApprovalGrant("apr_1", "user:ada", ("chat",), NOW + HOUR, Decimal(5))
TEAMS = ApprovalGrant("apr_2", "team:emea-sales", ("chat", "big"), NOW + 2 * HOUR)
OTHERS = ApprovalGrant("apr_3", "user:sam", ("chat",), NOW + HOUR)


def known(store: FakeApprovals) -> KnownApprovals:
    return KnownApprovals(store.as_port(), Changes(QuietLog()))


async def test_nothing_is_known_before_it_was_read() -> None:
    assert known(FakeApprovals(Standing((MINE,)))).of(CALLER, NOW) == ()


async def test_grants_of_the_callers_own_nodes_are_good_for_it() -> None:
    approvals = known(FakeApprovals(Standing((MINE, TEAMS, OTHERS))))
    await approvals.read()
    assert approvals.of(CALLER, NOW) == (TEAMS, MINE)
    assert approvals.of(replace(CALLER, user="kim"), NOW) == (TEAMS,)
    assert approvals.of(replace(CALLER, user=None, team="other"), NOW) == ()


async def test_a_grant_ends_by_the_clock_without_being_read_again() -> None:
    approvals = known(FakeApprovals(Standing((MINE,))))
    await approvals.read()
    assert approvals.of(CALLER, NOW + HOUR) == ()


async def test_while_the_database_is_away_what_is_known_goes_on() -> None:
    store = FakeApprovals(Standing((MINE,)))
    approvals = known(store)
    await approvals.read()
    store.is_down = True
    with pytest.raises(PolicyUnavailable):
        await approvals.read()
    assert approvals.of(CALLER, NOW) == (MINE,)


async def test_the_oldest_request_that_would_help_is_told() -> None:
    newer = OpenRequest("apr_8", "user:ada", ("chat",), NOW)
    older = OpenRequest("apr_9", "team:emea-sales", ("big", "chat"), NOW - HOUR)
    other = OpenRequest("apr_7", "user:sam", ("chat",), NOW - 2 * HOUR)
    approvals = known(FakeApprovals(Standing((), (newer, older, other))))
    await approvals.read()
    assert approvals.waiting(CALLER, "chat") == older
    assert approvals.waiting(CALLER, "zeta") is None


async def test_a_change_of_approvals_is_read_at_once_and_nobody_else_is_told_to_forget() -> None:
    class Log(QuietLog):
        entries: tuple[Logged, ...] = ()

        async def after(self, seq: int, most: int) -> tuple[Logged, ...]:
            return self.entries

    store, log = FakeApprovals(), Log()
    changes = Changes(log)
    approvals = KnownApprovals(store.as_port(), changes)
    await changes.look()
    running = asyncio.create_task(approvals.run())
    try:
        await store.was_read.wait()
        store.was_read.clear()
        store.now = Standing((MINE,))
        log.entries = (Logged(1, "approval.grant", "approval:apr_1"),)
        with changes.listening() as plugin:
            await changes.look()
            async with asyncio.timeout(known_approvals.READ_AGAIN_S / 2):
                await store.was_read.wait()
            told = await plugin.next(0)
            assert approvals.of(CALLER, NOW) == (MINE,)
        assert told is not None
        assert [change.kind.value for change in told] == ["approvals"]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
