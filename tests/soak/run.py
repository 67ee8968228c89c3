"""One run: start everything, ask and strike, come to rest, hold everything against everything."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from policy_service.digests import Digests
from tests.soak.books import Books
from tests.soak.chaos import Chaos
from tests.soak.checks import (
    Check,
    answered_right,
    budget_held,
    cases,
    ledger_exact,
    reached_decided,
)
from tests.soak.faults import Fault, Trouble, schedule
from tests.soak.leaks import leaks, searched_for
from tests.soak.questions import question
from tests.soak.served import read_records
from tests.soak.stack import Stack, start_stack
from tests.soak.traffic import Traffic
from tests.soak.verdicts import Answer, End
from tests.soak.watch import Life, growth, watch, write_down

_TELLS_EVERY_S = 15.0
_ALL_IS_WELL = 25
"""So many answers one after the other without a failure."""
_WARM_WITHIN_S = 90.0
_FAILURE = 500
_CALM_S = 8.0
"""At the end all is well for so long: it is seen that nothing stays broken."""


@dataclass
class Report:
    """What came of a run."""

    seed: int
    length_s: float
    asked: int
    faults: int
    folder: Path
    checks: list[Check] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether every check holds."""
        return all(check.is_good for check in self.checks)

    def lines(self) -> list[str]:
        """The table, and what to look at."""
        lines = [
            f"seed {self.seed}: {self.asked} requests and {self.faults} faults in "
            f"{self.length_s:.0f} s"
        ]
        for check in self.checks:
            lines.append(f"{'good ' if check.is_good else 'WRONG'}  {check.name:<10} {check.told}")
            lines += [f"         {fault}" for fault in check.shown()]
        if not self.is_good:
            lines.append(
                f"Again: make soak SEED={self.seed} MINUTES={self.length_s / 60:g}; "
                f"logs, records and configuration: {self.folder}"
            )
        return lines


async def soak(
    folder: Path, *, seed: int, length_s: float, rate: float, tell: Callable[[str], object]
) -> Report:
    """Do it.

    Args:
        folder: For everything that is written; nothing is removed.
        seed: Fixes faults and questions.
        length_s: Of traffic and faults.
        rate: Questions a second.
        tell: Is told how it goes.
    """
    faults = schedule(seed, length_s - _CALM_S)
    tell(f"seed {seed}: {len(faults)} faults in {length_s:.0f} s, {rate:g} requests a second")
    async with start_stack(folder) as stack:
        tell("everything runs")
        traffic = Traffic(stack.url, stack.keys, seed, rate)
        chaos = Chaos(stack, tell)
        lives: dict[tuple[str, int], Life] = {}
        start_s = time.monotonic()
        watching = asyncio.create_task(watch(stack, lives))
        telling = asyncio.create_task(_tell(traffic, chaos, tell, start_s))
        try:
            async with traffic.running():
                await _warmed(traffic, chaos, start_s)
                await _strike(chaos, faults, length_s)
        finally:
            watching.cancel()
            telling.cancel()
            await asyncio.gather(watching, telling, return_exceptions=True)
        tell(f"{traffic.asked} requests are answered; waiting until the books are at rest")
        report = Report(seed, length_s, traffic.asked, len(faults), folder)
        report.checks = await _checks(stack, traffic, chaos, lives, start_s)
    found = leaks(_written(stack), searched_for(stack.secrets))
    report.checks.append(Check("secrets", f"{len(list(_written(stack)))} files searched", found))
    every = [f"{check.name}: {fault}" for check in report.checks for fault in check.faults]
    (folder / "wrong.txt").write_text("\n".join(every), encoding="utf-8")
    return report


async def _warmed(traffic: Traffic, chaos: Chaos, start_s: float) -> None:
    """Wait until all is well; first calls are slow, on a busy machine for seconds."""
    while True:
        await asyncio.sleep(0.5)
        stayed = [one for one in list(traffic.answers.values()) if one.end is not End.LEFT]
        latest = stayed[-_ALL_IS_WELL:]
        if len(latest) == _ALL_IS_WELL and not any(map(_is_failure, latest)):
            chaos.troubles.append(Trouble(start_s, time.monotonic(), None))
            return
        if time.monotonic() - start_s > _WARM_WITHIN_S:
            raise RuntimeError(f"calls fail before anything was struck; logs: {chaos.stack.logs}")


def _is_failure(answer: Answer) -> bool:
    return answer.status is None or answer.status >= _FAILURE


async def _strike(chaos: Chaos, faults: tuple[Fault, ...], length_s: float) -> None:
    end_s = time.monotonic() + length_s
    await chaos.follow(faults)
    await asyncio.sleep(max(end_s - time.monotonic(), _CALM_S))


async def _tell(
    traffic: Traffic, chaos: Chaos, tell: Callable[[str], object], start_s: float
) -> None:
    while True:
        await asyncio.sleep(_TELLS_EVERY_S)
        ends = Counter(
            str(answer.status) if answer.end is End.WHOLE else str(answer.end)
            for answer in traffic.answers.values()
        )
        counts = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
        tell(
            f"{time.monotonic() - start_s:.0f} s: {chaos.done} faults mended, {traffic.asked} "
            f"asked, {traffic.under_way} under way: {counts}"
        )


async def _checks(
    stack: Stack,
    traffic: Traffic,
    chaos: Chaos,
    lives: dict[tuple[str, int], Life],
    start_s: float,
) -> list[Check]:
    books = Books(stack)
    waits = await books.at_rest()
    rows = await books.rows()
    record = read_records(stack.records)
    digests = Digests.from_secret(stack.secrets["POLICY_TICKET_SECRET"])
    questions = [question(traffic.seed, number) for number in sorted(traffic.answers)]
    found = cases(questions, traffic.answers, rows, record, digests)
    logged = await books.logged()
    counted = {name: used for name, used in (await books.under_way()).items() if used}
    counters, verified = await books.ledger_check(), await books.audit_verify()
    missing = logged - await books.chained()
    write_down(lives, stack.folder / "processes.csv", start_s)
    grown = [told for life in lives.values() if (told := growth(life)) is not None]
    return [
        answered_right(found, chaos.troubles, start_s),
        reached_decided(found, record, logged, chaos.kills_s),
        ledger_exact(found, rows, await books.summed()),
        budget_held(rows),
        Check("counters", _last(counters.text), [] if counters.is_good else [counters.text]),
        Check(
            "at rest",
            "no reservation open, no row or event waiting",
            [*([waits] if waits else []), *(f"{key}: {used}" for key, used in counted.items())],
        ),
        Check(
            "audit",
            _last(verified.text),
            [
                *([] if verified.is_good else [verified.text]),
                *(f"{one} is logged and not in the chain" for one in sorted(missing)),
            ],
        ),
        Check(
            "memory",
            f"{len(grown)} of {len(lives)} processes lived long enough",
            [str(one) for one in grown if not one.is_flat],
        ),
    ]


def _last(text: str) -> str:
    return text.splitlines()[-1] if text else "(nothing was said)"


def _written(stack: Stack) -> "list[Path]":
    """Logs, and what lies about in Kong's folder: the journal, the state."""
    places = (stack.logs, stack.prefix)
    return [file for place in places for file in sorted(place.rglob("*")) if file.is_file()]
