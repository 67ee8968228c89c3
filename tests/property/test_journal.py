"""Whatever crashes and whatever fails: no report is lost, and each counts once."""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kong_plugins.llm_token_meter.journal import Journal, Waiting
from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Transport, UsageReport

steps = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 5)),
    # A crash in the middle of an append, so many parts in a hundred of its line written.
    st.tuples(st.just("crash"), st.integers(0, 99)),
    # A round of deliveries in which the service fails at these tries.
    st.tuples(st.just("deliver"), st.sets(st.integers(0, 6))),
    # The same, and the plugin server dies before it can forget what arrived.
    st.tuples(st.just("deliver and die"), st.sets(st.integers(0, 6))),
)


class Died(BaseException):
    """The plugin server is gone."""


class World:
    """A journal, and a service that books each decision once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        self.kept: set[str] = set()
        self.torn: set[str] = set()
        self.booked: dict[str, int] = {}
        self.made = 0

    def waiting(self) -> Waiting:
        self.made += 1
        report = UsageReport("openai-mini", Transport.DIRECT, 200, total_ms=float(self.made))
        return Waiting(f"dec_{self.made}", report)

    def append(self) -> None:
        entry = self.waiting()
        Journal(self.path).append(entry)
        self.kept.add(entry.decision_id)

    def crash(self, percent: int) -> None:
        entry = self.waiting()
        line = msgspec.json.encode(entry) + b"\n"
        with self.path.open("ab") as file:
            file.write(line[: len(line) * percent // 100])
        self.torn.add(entry.decision_id)

    async def deliver(self, fails_at: set[int], *, dies: bool = False) -> None:
        tries = 0

        async def send(decision_id: str, report: UsageReport) -> None:
            nonlocal tries
            tries += 1
            if tries - 1 in fails_at:
                raise PolicyUnavailable("down")
            assert decision_id == f"dec_{report.total_ms:.0f}"
            self.booked[decision_id] = self.booked.get(decision_id, 0) + 1
            if dies and tries == 2:
                raise Died

        with suppress(Died):
            await Journal(self.path).deliver(send)


@settings(max_examples=30, deadline=None)
@given(st.lists(steps, max_size=12))
def test_every_report_that_was_kept_arrives(script: list[tuple[str, object]]) -> None:
    async def play(world: World) -> None:
        for step, detail in script:
            match step, detail:
                case "append", int(count):
                    for _ in range(count):
                        world.append()
                case "crash", int(percent):
                    world.crash(percent)
                case "deliver", set(fails_at):
                    await world.deliver(fails_at)
                case _, set(fails_at):
                    await world.deliver(fails_at, dies=True)
        await world.deliver(set())
        # Nothing that was kept is missing, and nothing came that nobody wrote.
        assert world.kept <= set(world.booked) <= world.kept | world.torn
        assert Journal(world.path).waiting() == []

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(World(Path(folder))))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=5))
def test_without_a_crash_every_report_arrives_once(rounds: list[set[int]]) -> None:
    async def play(world: World) -> None:
        for fails_at in rounds:
            for _ in range(3):
                world.append()
            await world.deliver(fails_at)
        await world.deliver(set())
        assert world.booked == dict.fromkeys(world.kept, 1)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(World(Path(folder))))
