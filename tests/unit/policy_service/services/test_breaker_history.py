import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from llm_core.catalogue import Catalogue
from llm_core.errors import PolicyUnavailable
from llm_core.routing.facts import BreakerState
from llm_core.routing.transitions import Cause, Transition
from policy_service.ports.breakers import BreakerTransition, TransitionFilter
from policy_service.services.breaker_history import BreakerHistory, BreakerRetention
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.samples import CATALOGUE


def opened(second: int) -> Transition:
    return Transition(
        NOON + timedelta(seconds=second),
        BreakerState.CLOSED,
        BreakerState.OPEN,
        Cause.FAILURE_SHARE,
        "provider",
    )


class FakeLog:
    """Implements `BreakerLog`; like the real one it has each id once."""

    def __init__(self) -> None:
        self.rows: dict[str, BreakerTransition] = {}
        self.batches: list[int] = []
        self.is_down = False
        self.hangs = False
        self.forgotten: list[datetime] = []
        self.came = asyncio.Event()

    async def record(self, transitions: Sequence[BreakerTransition]) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_down:
            raise PolicyUnavailable("down")
        self.batches.append(len(transitions))
        for one in transitions:
            self.rows.setdefault(one.id, one)
        self.came.set()

    async def read(
        self,
        wanted: TransitionFilter,
        *,
        after: tuple[datetime, str] | None = None,
        limit: int,
    ) -> Sequence[BreakerTransition]:
        raise NotImplementedError

    async def forget(self, before: datetime) -> int:
        self.forgotten.append(before)
        return 1

    @property
    def seconds(self) -> list[float]:
        return [(one.at - NOON).total_seconds() for one in self.rows.values()]


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


async def test_a_step_is_written_with_what_the_catalogue_knows(log: FakeLog) -> None:
    history = BreakerHistory(log, CATALOGUE)
    deployment = CATALOGUE.models[0].deployments[0]
    history.note(deployment.id, [opened(1)])
    history.note("gone", [opened(1)])
    await history.write()
    known, gone = log.rows.values()
    assert (known.provider, known.model) == (deployment.provider_name, deployment.model)
    assert (gone.provider, gone.model) == ("", "")
    assert (known.reason, known.error_class) == (Cause.FAILURE_SHARE, "provider")
    assert known.id != gone.id


async def test_two_processes_that_tell_of_a_step_write_one_row(log: FakeLog) -> None:
    histories = [BreakerHistory(log, Catalogue(())) for _ in range(2)]
    for history in histories:
        history.note("d", [opened(1), opened(2)])
        await history.write()
    assert log.seconds == [1, 2]


async def test_an_outage_loses_none_and_keeps_their_order(log: FakeLog) -> None:
    history = BreakerHistory(log, Catalogue(()))
    history.note("d", [opened(1), opened(2)])
    log.is_down = True
    with pytest.raises(PolicyUnavailable):
        await history.write()
    await history.finish()
    history.note("d", [opened(3)])
    log.is_down = False
    await history.finish()
    assert log.seconds == [1, 2, 3]


async def test_what_waits_is_bounded_and_the_oldest_give_way(log: FakeLog) -> None:
    history = BreakerHistory(log, Catalogue(()), most=3)
    history.note("d", [opened(second) for second in range(5)])
    log.is_down = True
    with pytest.raises(PolicyUnavailable):
        await history.write()
    log.is_down = False
    await history.write()
    assert log.seconds == [2, 3, 4]
    assert history.lost == 2


async def test_many_are_written_in_batches(log: FakeLog) -> None:
    history = BreakerHistory(log, Catalogue(()))
    history.note("d", [opened(second) for second in range(1200)])
    await history.write()
    assert log.batches == [500, 500, 200]


async def test_it_writes_in_the_background_and_what_a_stop_interrupts_is_written_at_the_end(
    log: FakeLog,
) -> None:
    history = BreakerHistory(log, Catalogue(()))
    running = asyncio.create_task(history.run())
    history.note("d", [opened(1)])
    await asyncio.wait_for(log.came.wait(), 10)
    log.hangs = True
    history.note("d", [opened(2)])
    while history._waiting:  # noqa: ASYNC110 - nothing tells that the writing hangs
        await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    log.hangs = False
    await history.finish()
    assert log.seconds == [1, 2]


async def test_old_steps_are_dropped(log: FakeLog) -> None:
    assert await BreakerRetention(log, FakeClock(), kept_days=30).once() == 1
    assert log.forgotten == [NOON - timedelta(days=30)]
