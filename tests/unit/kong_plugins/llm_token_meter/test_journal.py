import asyncio
import logging
from pathlib import Path

import msgspec
import pytest

from kong_plugins.llm_token_meter.journal import Journal, Waiting
from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Transport, UsageReport
from llm_core.tokens.usage import TokenUsage

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
    assert tries == ["a", "a", "a"]
    assert "a key" not in caplog.text
