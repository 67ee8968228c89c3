"""What a policy would have said to past decisions: asked again, in parallel, from the decision log.

Everything that policy was told is in the log: budgets, time, approvals as they were. So the only
difference is the policy.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import Obligations
from llm_core.policy.difference import (
    DifferenceKind,
    PolicyAnswer,
    changes_access,
    differences,
)
from policy_service.adapters.policies.askers import Asker, askers
from policy_service.adapters.policies.shadow import answer_of
from policy_service.adapters.policy_answer import policy_result
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.ports.decision_log import LoggedDecision

MOST_EXAMPLES = 20
_PAGES_WAITING = 4
_NO_REASON = "-"


@dataclass(frozen=True, slots=True)
class Changed:
    """A past decision that would be another one."""

    decision: LoggedDecision
    kinds: tuple[DifferenceKind, ...]
    before: PolicyAnswer
    after: PolicyAnswer

    @property
    def codes(self) -> tuple[str, ...]:
        """The reasons that came or went."""
        return tuple(sorted(set(self.before.codes) ^ set(self.after.codes))) or (_NO_REASON,)


@dataclass(slots=True)
class Replayed:
    """What a replay came to.

    Args:
        decisions: How many were looked at, all in all.
        changed: Would be allowed or denied otherwise, or go elsewhere.
        obligations: The same access, and something else would have to be done.
        reasons: The same access, for other reasons.
        erased: Cannot be asked again, since what was asked has been erased.
        not_asked: Were refused before policy was asked, as for an unknown model.
        failed: The policy gives no answer.
        by_team: `changed` by team and kind.
        by_reason: `changed` by reason that came or went, and kind.
        examples: Some of `changed`, the earliest first.
        other_examples: Some that only differ in obligations.
    """

    decisions: int = 0
    changed: int = 0
    obligations: int = 0
    reasons: int = 0
    erased: int = 0
    not_asked: int = 0
    failed: int = 0
    by_team: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_reason: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[Changed] = field(default_factory=list)
    other_examples: list[Changed] = field(default_factory=list)

    def add(self, decision: LoggedDecision, after: PolicyAnswer | None) -> None:
        """Count one decision; `after` is `None` where the policy gave no answer."""
        self.decisions += 1
        if after is None:
            self.failed += 1
            return
        before = logged_answer(decision)
        kinds = differences(before, after)
        if not kinds:
            return
        changed = Changed(decision, kinds, before, after)
        if DifferenceKind.OBLIGATIONS in kinds:
            self.obligations += 1
        if not changes_access(kinds):
            self.reasons += DifferenceKind.OBLIGATIONS not in kinds
            if DifferenceKind.OBLIGATIONS in kinds and len(self.other_examples) < MOST_EXAMPLES:
                self.other_examples.append(changed)
            return
        self.changed += 1
        kind = kinds[0].value
        self.by_team[decision.team, kind] += 1
        for code in changed.codes:
            self.by_reason[code, kind] += 1
        self.examples.append(changed)
        if len(self.examples) > 2 * MOST_EXAMPLES:
            self._keep_the_earliest()

    def finish(self) -> None:
        """Pages come back in any order."""
        self._keep_the_earliest()

    def _keep_the_earliest(self) -> None:
        self.examples = sorted(self.examples, key=lambda one: one.decision.at)[:MOST_EXAMPLES]


async def replay(
    bundle: PolicyBundle,
    pages: AsyncIterator[Sequence[LoggedDecision]],
    *,
    at_once: int,
    opa: str | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Replayed:
    """Ask a policy all over again.

    Args:
        bundle: The policy.
        pages: Past decisions.
        at_once: How many pages are evaluated at the same time.
        opa: Where OPA's program is; `None` for the embedded engine.
        tell: Is told how many decisions were done since it was told last.

    Raises:
        BrokenBundle: It does not compile, or allows the empty question.
        PolicyUnavailable: The database failed, or OPA does not come up.
    """
    waiting: asyncio.Queue[Sequence[LoggedDecision] | None] = asyncio.Queue(_PAGES_WAITING)
    found = Replayed()

    async def work(asker: Asker) -> None:
        while (page := await waiting.get()) is not None:
            await _ask(asker, page, found)
            tell(len(page))

    async def read() -> None:
        async for page in pages:
            await waiting.put(page)
        for _ in range(at_once):
            await waiting.put(None)

    async with askers(bundle, at_once, opa=opa) as some:
        reading = asyncio.create_task(read())
        working = [asyncio.create_task(work(asker)) for asker in some]
        try:
            await asyncio.gather(reading, *working)
        finally:
            for task in (reading, *working):
                task.cancel()
            await asyncio.gather(reading, *working, return_exceptions=True)
    found.finish()
    return found


def logged_answer(decision: LoggedDecision) -> PolicyAnswer:
    """What of a logged decision can be compared."""
    result = decision.result
    return PolicyAnswer(
        allow=bool(result["allow"]),
        permitted=tuple(result["permitted"] or result.get("models") or ()),
        codes=tuple(sorted(decision.codes)),
        obligations=_obligations(result.get("obligations") or {}),
    )


def _obligations(logged: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """What was logged before an obligation was invented did not oblige to it."""
    return msgspec.to_builtins(msgspec.convert(logged, Obligations))


async def _ask(asker: Asker, page: Sequence[LoggedDecision], found: Replayed) -> None:
    """Ask all of a page, and count what came of it."""
    there = [one for one in page if one.input is not None]
    not_asked = sum(one.input is None and not one.revision for one in page)
    found.not_asked += not_asked
    found.erased += len(page) - len(there) - not_asked
    found.decisions += len(page) - len(there)
    answers = await asker.answers([one.input or {} for one in there]) if there else []
    if answers is None and len(there) > 1:
        for one in there:  # to find the one that it is
            await _ask(asker, [one], found)
        return
    for one, answer in zip(there, answers or [None], strict=True) if there else ():
        found.add(one, _read(answer, one))


def _read(answer: object, one: LoggedDecision) -> PolicyAnswer | None:
    try:
        result = policy_result(answer, one.input or {})
    except PolicyUnavailable:
        return None
    return answer_of(result, has_models="models" in one.result)
