import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from kong_plugins.llm_token_meter.journal import Journal, Waiting
from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Transport, UsageReport
from llm_core.tokens.usage import TokenUsage
from tests.fakes.clock import NOON, FakeClock
from tests.fixtures.reservations import reservation

REPORT = UsageReport("openai-mini", Transport.DIRECT, 200, usage=TokenUsage(12, output_tokens=3))


class Receiver:
    """A service that takes reports, but for some."""

    def __init__(self, *refused: str, is_down: bool = False) -> None:
        self.refused = set(refused)
        self.is_down = is_down
        self.got: list[str] = []
        self.tried: list[str] = []

    async def __call__(self, decision_id: str, report: UsageReport) -> str:
        self.tried.append(decision_id)
        if self.is_down or decision_id in self.refused:
            raise PolicyUnavailable("down")
        assert report == REPORT
        self.got.append(decision_id)
        return "settled"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "not yet there" / "usage-journal.jsonl")


def keep(journal: Journal, *decision_ids: str) -> None:
    for decision_id in decision_ids:
        journal.append(Waiting(decision_id, REPORT))


def ids(journal: Journal) -> list[str]:
    return [waiting.decision_id for waiting in journal.waiting()]


async def test_an_empty_journal_makes_no_file(journal: Journal) -> None:
    assert await journal.deliver(Receiver()) == 0
    assert not journal.path.exists()
    assert not journal.path.parent.exists()


async def test_what_waits_is_delivered_oldest_first_and_forgotten(journal: Journal) -> None:
    keep(journal, "a", "b", "c")
    receiver = Receiver()
    assert await journal.deliver(receiver) == 3
    assert receiver.got == ["a", "b", "c"]
    assert journal.waiting() == []
    assert await journal.deliver(receiver) == 0


def test_what_waits_survives_the_process(journal: Journal) -> None:
    keep(journal, "a", "b")
    assert [w.report for w in Journal(journal.path).waiting()] == [REPORT, REPORT]


async def test_while_the_service_is_down_nothing_is_forgotten_and_few_are_tried(
    journal: Journal,
) -> None:
    keep(journal, *"abcdefgh")
    receiver = Receiver(is_down=True)
    assert await journal.deliver(receiver) == 0
    assert receiver.tried == ["a", "b", "c"]
    assert ids(journal) == list("abcdefgh")


async def test_a_report_that_the_service_does_not_take_keeps_no_other_waiting(
    journal: Journal,
) -> None:
    keep(journal, "poison", "a", "b")
    receiver = Receiver("poison")
    assert await journal.deliver(receiver) == 2
    assert receiver.got == ["a", "b"]
    assert ids(journal) == ["poison"]


async def test_what_is_appended_during_a_delivery_stays(journal: Journal) -> None:
    keep(journal, "a")

    async def send(decision_id: str, report: UsageReport) -> None:
        keep(journal, "later")

    assert await journal.deliver(send) == 1
    assert ids(journal) == ["later"]


async def test_two_instances_on_one_file_lose_nothing(journal: Journal) -> None:
    """The route of chat and the route of models each have an instance; both may deliver at once."""
    other = Journal(journal.path)
    keep(journal, "a", "b")
    both_sent = asyncio.Barrier(2)

    async def send(decision_id: str, report: UsageReport) -> None:
        if decision_id == "b":
            await both_sent.wait()
            keep(other, f"new-{len(ids(other))}")

    await asyncio.gather(journal.deliver(send), other.deliver(send))
    assert len(ids(journal)) == 2
    assert all(one.startswith("new-") for one in ids(journal))


async def test_half_a_line_does_not_take_the_next_report_with_it(journal: Journal) -> None:
    """A crash in the middle of writing leaves a line without its end."""
    keep(journal, "a")
    torn = msgspec.json.encode(Waiting("torn", REPORT))[:30]
    with journal.path.open("ab") as file:
        file.write(torn)
    keep(journal, "b")
    assert ids(journal) == ["a", "b"]
    receiver = Receiver()
    assert await journal.deliver(receiver) == 2
    aside = journal.path.with_name("usage-journal.jsonl.unreadable")
    assert aside.read_bytes() == torn + b"\n"


@pytest.mark.parametrize("line", [b'{"decision_id": "d', b"\xff\xfe", b'{"a": 1}', b""])
async def test_an_unreadable_line_is_set_aside_and_told_of_once(
    journal: Journal, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    journal.path.parent.mkdir()
    journal.path.write_bytes(line + b"\n")
    keep(journal, "a")
    down = Receiver(is_down=True)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await journal.deliver(down)
    assert len(caplog.records) == 1
    aside = journal.path.with_name("usage-journal.jsonl.unreadable")
    assert aside.read_bytes() == line + b"\n"
    assert ids(journal) == ["a"]


async def test_delivering_goes_on_whatever_happens(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    keep(journal, "a")
    done = asyncio.Event()
    tries: list[str] = []

    async def send(decision_id: str, report: UsageReport) -> None:
        tries.append(decision_id)
        if len(tries) == 1:
            raise RuntimeError("a key that must not be logged")
        if len(tries) == 2:
            raise OSError("the disk")
        done.set()

    task = asyncio.create_task(journal.keep_delivering(send, every_s=0.001))
    try:
        async with asyncio.timeout(10):
            await done.wait()
    finally:
        task.cancel()
    assert tries[:3] == ["a", "a", "a"]
    assert "a key" not in caplog.text


async def test_when_all_is_delivered_the_last_report_is_sent_again_to_say_so(
    journal: Journal,
) -> None:
    """The last one waited itself when it was sent: the service would think so for ever."""
    keep(journal, "a", "b")
    told: list[tuple[str, int]] = []
    done = asyncio.Event()

    async def send(decision_id: str, report: UsageReport) -> None:
        standing = journal.gauge.standing()
        assert standing is not None
        told.append((decision_id, standing.waiting))
        if standing.is_calm:
            done.set()
            raise PolicyUnavailable("what comes of it is no matter")

    task = asyncio.create_task(journal.keep_delivering(send, every_s=3600))
    try:
        async with asyncio.timeout(10):
            await done.wait()
    finally:
        task.cancel()
    assert told == [("a", 2), ("b", 2), ("b", 0)]


async def test_it_knows_since_when_reports_wait_also_after_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    journal = Journal(tmp_path / "journal", clock)
    keep(journal, "a")
    clock.advance(60)
    keep(journal, "b")
    standing = journal.gauge.standing()
    assert standing is not None
    assert (standing.waiting, standing.oldest_s, standing.is_full) == (2, 60, False)
    clock.advance(5)
    later = Journal(journal.path, clock)
    assert later.gauge.standing() is None
    await later.deliver(Receiver("a"))
    standing = later.gauge.standing()
    assert standing is not None
    assert (standing.waiting, standing.oldest_s) == (1, 65)


async def test_a_line_of_an_earlier_version_waits_since_its_decision(tmp_path: Path) -> None:
    clock = FakeClock()
    journal = Journal(tmp_path / "journal", clock)
    decided = reservation("a", at=NOON)
    line = {"decision_id": "a", "report": replace(REPORT, reservation=decided)}
    journal.path.write_bytes(msgspec.json.encode(line) + b"\n")
    clock.advance(7)
    await journal.deliver(Receiver(is_down=True))
    standing = journal.gauge.standing()
    assert standing is not None
    assert (standing.waiting, standing.oldest_s) == (1, 7)


async def test_that_another_instance_emptied_it_is_seen_at_once_and_told_for_a_while(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    journal = Journal(tmp_path / "journal", clock)
    keep(journal, "a")
    await Journal(journal.path).deliver(Receiver())
    standing = journal.gauge.standing()
    assert standing is not None
    assert standing.is_calm
    clock.advance(601)
    assert journal.gauge.standing() is None


async def test_a_journal_that_cannot_be_written_is_full_until_a_round_finds_room(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "journals"
    folder.write_text("a file where the folder should be")
    journal = Journal(folder / "journal")
    assert journal.gauge.standing() is None
    with pytest.raises(OSError, match="journals"):
        keep(journal, "a")
    with pytest.raises(OSError, match="journals"):
        await journal.deliver(Receiver())
    standing = journal.gauge.standing()
    assert standing is not None
    assert (standing.waiting, standing.is_full) == (0, True)
    folder.unlink()
    journal.path.mkdir(parents=True)
    with pytest.raises(OSError, match="journals"):
        await journal.deliver(Receiver())
    assert journal.gauge.is_full
    journal.path.rmdir()
    await journal.deliver(Receiver())
    standing = journal.gauge.standing()
    assert standing is not None
    assert standing.is_calm
    assert [one.name for one in folder.iterdir()] == ["journal"]
    assert journal.waiting() == []
