"""Holds against each other what clients saw, what sandboxes served, and what the ledger says."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from policy_service.digests import Digests
from tests.soak.books import Row
from tests.soak.company import INPUT_USD, OUTPUT_USD, POOR_USD
from tests.soak.faults import Trouble, is_troubled
from tests.soak.questions import MOST_OUTPUT, Kind, Question
from tests.soak.served import Record, Served
from tests.soak.verdicts import Answer, End, excuses, wrong

_OK = 200
_SHOWN = 12
_HANDED_OVER_S = 30.0
"""A decision takes this long at most, the longest outage of Redis in a run counted in."""


@dataclass
class Check:
    """One line of the report.

    Args:
        faults: What is wrong; empty when the check holds.
        told: What was looked at, in a sentence.
    """

    name: str
    told: str
    faults: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether it holds."""
        return not self.faults

    def shown(self) -> list[str]:
        """The first faults, and how many more there are."""
        more = len(self.faults) - _SHOWN
        return self.faults[:_SHOWN] + ([f"and {more} more"] if more > 0 else [])


@dataclass(frozen=True)
class Case:
    """A question with all that is known of it.

    Args:
        answer: As its client saw it.
        rows: Of the ledger; one at most is right.
        calls: That reached a provider for it.
    """

    question: Question
    answer: Answer
    rows: tuple[Row, ...]
    calls: tuple[Served, ...]

    def __str__(self) -> str:
        asked, answer = self.question, self.answer
        way = "streamed" if asked.is_streaming else "whole"
        rows = ", ".join(
            f"{row.decision_id} {row.source}/{row.error_class} {row.deployment} {row.tokens} "
            f"{row.usd}"
            for row in self.rows
        )
        calls = ", ".join(
            f"{one.provider} {one.status} {one.ended} after {one.sent_events} events {one.tokens}"
            for one in self.calls
        )
        return (
            f"question {asked.number} ({asked.model}, {way}, {asked.kind}): client {answer.status} "
            f"{answer.end} {answer.decision_id} after {answer.until_s - answer.from_s:.1f} s; "
            f"ledger [{rows}]; provider [{calls}]"
        )


def cases(
    questions: Iterable[Question],
    answers: Mapping[int, Answer],
    rows: Sequence[Row],
    record: Record,
    digests: Digests,
) -> list[Case]:
    """Put together what belongs together: by the ledger's digest and by the question's mark."""
    by_digest: dict[str | None, list[Row]] = {}
    for row in rows:
        by_digest.setdefault(row.digest, []).append(row)
    return [
        Case(
            one,
            answers[one.number],
            tuple(by_digest.get(one.digest(digests), ())),
            tuple(record.by_mark.get(one.mark, ())),
        )
        for one in questions
    ]


def answered_right(found: Sequence[Case], troubles: Sequence[Trouble], start_s: float) -> Check:
    """Every request answered or refused correctly, none left hanging."""
    ends = Counter(
        f"{case.answer.status or ''} {case.answer.end}".strip() for case in found
    ).most_common()
    check = Check("answers", ", ".join(f"{count} {end}" for end, count in ends))
    calm = 0
    for case in found:
        answer = case.answer
        troubled = is_troubled(excuses(troubles, case.question), answer.from_s, answer.until_s)
        calm += not troubled
        if fault := wrong(case.question, answer, is_troubled=troubled):
            check.faults.append(f"at {answer.from_s - start_s:.1f} s: {fault}; {case}")
    check.told += f"; {calm} of {len(found)} while nothing was out of order"
    return check


def reached_decided(
    found: Sequence[Case], record: Record, logged: set[str], kills_s: Sequence[float]
) -> Check:
    """No provider was reached without a decision that allowed it.

    Each has a row in the ledger, which is made from the decision. The decision log and the audit
    chain have it as well, but for what a process of the service had not handed over to Redis when
    it was killed: it does that some 20 ms after the decision, or when Redis is back.

    Args:
        kills_s: When processes of the service were killed.
    """
    check = Check("decided", "")
    unlogged = 0
    if record.unmarked:
        check.faults.append(f"{record.unmarked} calls carry no question of ours")
    for case in found:
        if not case.calls:
            continue
        if case.question.kind not in (Kind.SERVED, Kind.POOR):
            check.faults.append(f"reached, and should have been refused: {case}")
        elif not case.rows:
            check.faults.append(f"reached without a row: {case}")
        elif case.rows[0].decision_id not in logged:
            unlogged += 1
            asked_s = case.answer.from_s
            if not any(asked_s <= kill_s <= asked_s + _HANDED_OVER_S for kill_s in kills_s):
                check.faults.append(f"reached, and the decision log does not know why: {case}")
    check.told = (
        f"{record.calls} calls reached a provider; {unlogged} decisions died with their process"
    )
    return check


def ledger_exact(found: Sequence[Case], rows: Sequence[Row], summed: tuple[int, Decimal]) -> Check:
    """One row for each call that was let in, with what was served, to the token and the cent."""
    sources = Counter(row.source for row in rows)
    known = {row.decision_id for case in found for row in case.rows}
    estimated = sum((row.usd for row in rows if row.source == "estimated"), Decimal(0))
    told = ", ".join(f"{count} rows {source}" for source, count in sources.most_common())
    lost = sum(_was_lost(case, one) for case in found for one in case.calls)
    check = Check(
        "ledger", f"{told}; {estimated} USD estimated; {lost} answers lost on the way to us"
    )
    check.faults += [f"a row of no question: {row}" for row in rows if row.decision_id not in known]
    for case in found:
        check.faults += [f"{fault}; {case}" for fault in _faults_of(case)]
    if summed != (len(rows), sum((row.usd for row in rows), Decimal(0))):
        check.faults.append(f"the hourly sums say {summed}")
    return check


def _faults_of(case: Case) -> Iterable[str]:
    answer = case.answer
    if len(case.rows) > 1:
        yield "more than one row"
    if answer.status == _OK and not case.rows:
        yield "200 without a row"
    for row in case.rows:
        if answer.status == _OK and row.decision_id != answer.decision_id:
            yield "the row is of another decision than the client was told"
        if row.team != ("poor" if case.question.kind is Kind.POOR else "team"):
            yield f"the row is of {row.team}"
        if row.source == "provider" and Decimal(answer.cost_usd or row.usd) != row.usd:
            yield f"the client was told {answer.cost_usd} USD"
        if row.usd != row.tokens[0] * INPUT_USD + row.tokens[1] * OUTPUT_USD:
            yield "the price is not that of its tokens"
        yield from _faults_of_row(case, row)


def _faults_of_row(case: Case, row: Row) -> Iterable[str]:
    answer, begun = case.answer, [one for one in case.calls if one.status == _OK]
    match row.source:
        case "provider" if row.usd:
            if row.tokens not in [one.tokens for one in begun]:
                yield "no provider served these tokens"
            elif answer.end is End.WHOLE and answer.status == _OK and answer.output_tokens:
                told = (answer.input_tokens, answer.output_tokens)
                if told != row.tokens:
                    yield f"the client was told {told}"
        case "provider" | "counted" | "estimated" if not row.usd:
            if answer.status == _OK and answer.end is End.WHOLE:
                yield "an answer for nothing"
        case "counted" | "estimated":
            # Whose client left is charged for what came from the provider until then.
            has_left = row.error_class == "client_gone"
            served = [one.tokens for one in begun if one.is_whole and not has_left]
            # A token has a byte at least.
            if row.tokens[1] > MOST_OUTPUT or row.tokens[0] > len(case.question.body):
                yield "more than the call could take at worst"
            if row.source == "estimated" and any(
                tokens[0] > row.tokens[0] or tokens[1] > row.tokens[1] for tokens in served
            ):
                yield "estimated at less than what was served"
        case source:
            yield f"a source that is none: {source}"


def _was_lost(case: Case, call: Served) -> bool:
    """A provider gave a whole answer that nobody is charged for: the way to us broke."""
    return call.is_whole and not any(
        row.tokens == call.tokens or row.source != "provider" for row in case.rows if row.usd
    )


def budget_held(rows: Sequence[Row]) -> Check:
    """The team whose budget runs out has not spent more than it had."""
    spent = sum((row.usd for row in rows if row.team == "poor"), Decimal(0))
    check = Check("budget", f"the poor team used {spent} of {POOR_USD} USD")
    if spent > POOR_USD:
        check.faults.append("that is more than it had")
    return check
