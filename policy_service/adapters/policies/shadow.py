"""A policy beside the live one: what would it have said?

It is asked what the live one was asked, by an engine of its own, after the answer has gone out. It
can slow and fail nothing: what it does not keep up with is dropped, and counted as dropped.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from llm_core.errors import PolicyUnavailable
from llm_core.policy.difference import PolicyAnswer, differences
from policy_service.adapters.policies.trial import compiled
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.ports.clock import Clock
from policy_service.ports.policies import PolicyStore, ShadowCount, ShadowDifference
from policy_service.ports.policy import PolicyResult

MOST_WAITING = 500
"""Questions that wait for the shadow; about a second's work."""
FLUSH_S = 1.0
_MOST_EXAMPLES = 50
"""Differences that are written down at each flush; all are counted."""
_COUNTED = ("evaluated", "differing", "failed", "dropped")
_Key = tuple[datetime, str, str]

_log = logging.getLogger(__name__)


class Shadow:
    """Asks a second policy, and counts where it differs.

    Args:
        store: What it came to goes there, every second.
        clock: Says which hour it is.
    """

    def __init__(self, store: PolicyStore, clock: Clock) -> None:
        """There is none yet."""
        self._store = store
        self._clock = clock
        self._engine: RegopyPolicy | None = None
        self._bundle: PolicyBundle | None = None
        self._waiting: asyncio.Queue[tuple[dict[str, Any], PolicyResult]] = asyncio.Queue(
            MOST_WAITING
        )
        self._counts: dict[_Key, ShadowCount] = {}
        self._examples: list[ShadowDifference] = []
        self.run_number = 0

    @property
    def revision(self) -> str | None:
        """What is evaluated beside the live policy; `None` for nothing."""
        return self._bundle.revision if self._bundle else None

    async def serve(self, run: int, bundle: PolicyBundle | None) -> None:
        """Evaluate this one from now on.

        Raises:
            BrokenBundle: It cannot be used; there is no shadow then.
        """
        await self._flush()
        old, self._engine, self._bundle = self._engine, None, None
        self._counts, self._examples, self.run_number = {}, [], run
        self._forget_waiting()
        if old is not None:
            await old.close()
        if bundle is not None:
            self._engine, self._bundle = await compiled(bundle), bundle

    def note(self, document: dict[str, Any], result: PolicyResult) -> None:
        """Have the shadow answer too, when it comes to it. Never waits, never raises."""
        if self._engine is None:
            return
        try:
            self._waiting.put_nowait((document, result))
        except asyncio.QueueFull:
            self._count(document, dropped=1)

    async def run(self) -> None:
        """Answer what is noted, and write down what it came to, until cancelled."""
        writing = asyncio.create_task(self._write())
        try:
            while True:
                document, result = await self._waiting.get()
                try:
                    await self._compare(document, result)
                except Exception:  # noqa: BLE001 - the work must go on, whatever the fault
                    _log.exception("the shadow policy stumbled and goes on")
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing

    async def close(self) -> None:
        """Write down what there is, and end the engine."""
        await self._flush()
        if self._engine is not None:
            await self._engine.close()

    async def _compare(self, document: dict[str, Any], live: PolicyResult) -> None:
        engine = self._engine
        if engine is None:
            return
        shadow: PolicyResult | None = None
        with suppress(PolicyUnavailable):
            shadow = await engine.evaluate(document)
        if engine is not self._engine:
            return  # it was switched off meanwhile
        if shadow is None:
            self._count(document, failed=1)
            return
        before, after = answer_of(live), answer_of(shadow)
        kinds = differences(before, after)
        self._count(document, evaluated=1, differing=int(bool(kinds)))
        if kinds and len(self._examples) < _MOST_EXAMPLES:
            _, organisation, team = self._key(document)
            self._examples.append(
                ShadowDifference(
                    at=self._clock(),
                    live_revision=live.revision,
                    organisation=organisation,
                    team=team,
                    operation=_text(document, "call", "operation"),
                    asked_model=_text(document, "call", "asked_model"),
                    kinds=tuple(kind.value for kind in kinds),
                    before=msgspec.to_builtins(before),
                    after=msgspec.to_builtins(after),
                )
            )

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self._flush()

    async def _flush(self) -> None:
        """Write down what there is; it waits for the next time while the database is away."""
        if not self._counts:
            return
        counts, self._counts = self._counts, {}
        examples, self._examples = self._examples, []
        try:
            await self._store.count_shadow(self.run_number, tuple(counts.values()), examples)
        except PolicyUnavailable:
            for key, count in counts.items():
                self._counts[key] = _sum(count, self._counts.get(key))
            self._examples = [*examples, *self._examples][:_MOST_EXAMPLES]

    def _count(
        self,
        document: Mapping[str, Any],
        *,
        evaluated: int = 0,
        differing: int = 0,
        failed: int = 0,
        dropped: int = 0,
    ) -> None:
        key = self._key(document)
        count = ShadowCount(*key, evaluated, differing, failed, dropped)
        self._counts[key] = _sum(count, self._counts.get(key))

    def _key(self, document: Mapping[str, Any]) -> _Key:
        hour = self._clock().replace(minute=0, second=0, microsecond=0)
        return (hour, _text(document, "caller", "organisation"), _text(document, "caller", "team"))

    def _forget_waiting(self) -> None:
        while not self._waiting.empty():
            self._waiting.get_nowait()


def answer_of(result: PolicyResult, *, has_models: bool = True) -> PolicyAnswer:
    """What of a result can be compared; the models that may be listed only with `has_models`."""
    return PolicyAnswer(
        allow=result.allow,
        permitted=result.permitted or (result.models if has_models else ()),
        codes=tuple(sorted({reason.code for reason in result.reasons})),
        obligations=msgspec.to_builtins(result.obligations),
    )


def _sum(one: ShadowCount, other: ShadowCount | None) -> ShadowCount:
    if other is None:
        return one
    sums = {name: getattr(one, name) + getattr(other, name) for name in _COUNTED}
    return replace(one, **sums)


def _text(document: Mapping[str, Any], part: str, name: str) -> str:
    return str((document.get(part) or {}).get(name) or "")
