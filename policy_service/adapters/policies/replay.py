"""What a policy would have said to past decisions: asked again, in parallel, from the decision log.

Everything that policy was told is in the log: budgets, time, approvals as they were. So the only
difference is the policy. Inputs go to processes of the embedded engine a page at a time.
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
from policy_service.adapters.policies.shadow import answer_of
from policy_service.adapters.policies.trial import compiled
from policy_service.adapters.policy_answer import policy_result
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.adapters.regopy_process import RegopyProcess
from policy_service.adapters.regopy_text import from_rego, rego_term
from policy_service.ports.decision_log import LoggedDecision

MOST_EXAMPLES = 20
_TIMEOUT_S = 60.0
"""For a page of questions."""
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
    processes: int,
    tell: Callable[[int], None] = lambda _: None,
) -> Replayed:
    """Ask a policy all over again.

    Args:
        bundle: The policy.
        pages: Past decisions.
        processes: How many evaluate at the same time.
        tell: Is told how many decisions were done since it was told last.

    Raises:
        BrokenBundle: It does not compile, or allows the empty question.
        PolicyUnavailable: The database failed.
    """
    await (await compiled(bundle)).close()
    waiting: asyncio.Queue[Sequence[LoggedDecision] | None] = asyncio.Queue(_PAGES_WAITING)
    found = Replayed()

    async def work() -> None:
        asker = _Asker(bundle)
        try:
            while (page := await waiting.get()) is not None:
                await asker.ask(page, found)
                tell(len(page))
        finally:
            asker.close()

    async def read() -> None:
        async for page in pages:
            await waiting.put(page)
        for _ in range(processes):
            await waiting.put(None)

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        for _ in range(processes):
            group.create_task(work())
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


class _Asker:
    """One process of the engine; one that ends is started again."""

    def __init__(self, bundle: PolicyBundle) -> None:
        self._bundle = bundle
        self._process: RegopyProcess | None = None

    async def ask(self, page: Sequence[LoggedDecision], found: Replayed) -> None:
        """Ask all of a page, and count what came of it."""
        there = [one for one in page if one.input is not None]
        not_asked = sum(one.input is None and not one.revision for one in page)
        found.not_asked += not_asked
        found.erased += len(page) - len(there) - not_asked
        found.decisions += len(page) - len(there)
        answers = await self._answers(there)
        if answers is None and len(there) > 1:
            # One of them ends the process, or takes for ever: find out which.
            for one in there:
                await self.ask([one], found)
            return
        for one, content in zip(there, answers or [b"null"] * len(there), strict=True):
            found.add(one, _read(content, one))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    async def _answers(self, asked: Sequence[LoggedDecision]) -> list[bytes] | None:
        """As the process wrote them; `None` when it did not get through."""
        if not asked:
            return []
        if self._process is None:
            self._process = await asyncio.to_thread(RegopyProcess, self._bundle)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._process.ask_all([rego_term(one.input) for one in asked])
        except (OSError, EOFError, ValueError):
            self.close()
            return None


def _read(content: bytes, one: LoggedDecision) -> PolicyAnswer | None:
    try:
        answer = msgspec.json.decode(content, type=list[Any] | None)
        result = policy_result(from_rego(answer[0]) if answer else None, one.input or {})
    except (PolicyUnavailable, msgspec.DecodeError):
        return None
    return answer_of(result, has_models="models" in one.result)
