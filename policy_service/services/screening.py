"""Screening as an obligation: what a call's words go through before they go on.

A call is screened where policy obliges it. What is found in the question is replaced or ends the
call; so is what is found in the answer. Whatever cannot be looked at does not go on.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_core.apis.ask import Ask
from llm_core.apis.registry import read_ask
from llm_core.chat.encoding import encode
from llm_core.errors import ContentBlocked, GatewayError, ScreeningUnavailable
from llm_core.operation import Operation
from llm_core.policy.decision import PiiMode, Reservation
from llm_core.screening.answer import AnswerScreen
from llm_core.screening.redact import Finding, Placeholders, Restorer
from llm_core.screening.words import (
    Source,
    Unreadable,
    Word,
    refuse_sound,
    reworded,
    words_of,
)
from policy_service.ports.screening import FindingsLog, Moderation, Screener

_log = logging.getLogger(__name__)
_Object = dict[str, Any]
Moderate = Callable[[Reservation, Moderation, str], Awaitable[bool]]
"""Whether a model lets words go on; paid for by whoever asks."""


@dataclass(frozen=True, slots=True)
class Screening:
    """Screens calls.

    Args:
        screener: Looks at words. `None`: a call that has to be screened is refused.
        moderate: Asks a moderation model. `None`: a profile that wants one refuses; the gateway's
            own calls to that model are not moderated.
        is_moderating: These are the calls to a moderation model; their words were guarded before.
        log: Is told what was found.
    """

    screener: Screener | None = None
    moderate: Moderate | None = None
    is_moderating: bool = False
    log: FindingsLog | None = None

    def of(self, reservation: Reservation) -> "CallScreen | None":
        """What has to be done to one call; `None` for nothing.

        Raises:
            ScreeningUnavailable: It has to be screened, and cannot be.
        """
        if not reservation.obligations.is_screened:
            return None
        if self.screener is None:
            raise ScreeningUnavailable("Policy wants this call screened, and nothing here can.")
        return CallScreen(self, self.screener, reservation)

    def told(self, reservation: Reservation, findings: Mapping[str, int]) -> None:
        """Tell what was found in a call that has ended."""
        if not findings:
            return
        counted = ", ".join(f"{kind} {count}" for kind, count in sorted(findings.items()))
        _log.info("%s: screening found %s", reservation.decision_id, counted)
        if self.log is not None:
            self.log.note(reservation, findings)


UNSCREENED = Screening()
"""Refuses whatever has to be screened."""


@dataclass(slots=True)
class CallScreen:
    """One call on its way through screening.

    Args:
        findings: What was found so far, by direction and kind.
    """

    screening: Screening
    screener: Screener
    reservation: Reservation
    findings: Counter[str] = field(default_factory=Counter)
    _placeholders: Placeholders = field(default_factory=Placeholders)
    _restorer: Restorer = field(default_factory=lambda: Restorer({}))

    async def asked(self, ask: Ask) -> Ask:
        """The request as it may go on.

        Raises:
            ContentBlocked: It must not.
            ScreeningUnavailable: It cannot be told whether it may.
        """
        obligations = self.reservation.obligations
        try:
            if obligations.pii.input is PiiMode.OFF and obligations.guard is None:
                refuse_sound(ask.fields)
                self._placeholders.avoid(encode(ask.fields).decode())
                return ask
            words = words_of(ask.operation, ask.fields)
        except Unreadable as fault:
            raise self._unreadable(fault) from None
        except RecursionError:
            raise ScreeningUnavailable("The request is nested too deeply to be screened.") from None
        texts = await self._replaced(words)
        if obligations.guard is not None and not self.screening.is_moderating:
            await self._guarded(obligations.guard, words, texts)
        if texts == [word.text for word in words]:
            return ask
        return read_ask(ask.operation, encode(reworded(ask.operation, ask.fields, texts)))

    @property
    def changes_answers(self) -> bool:
        """Whether the answer has to go through here as well."""
        is_embedded = self.reservation.operation is Operation.EMBEDDINGS
        return self.reservation.obligations.changes_answers and not is_embedded

    @property
    def hides_failures(self) -> bool:
        """Whether a provider's own sentences are kept from the caller: they may repeat words."""
        return self.reservation.obligations.pii.output is not PiiMode.OFF

    def answering(self) -> "Answering":
        """Start to screen an answer."""
        mode = self.reservation.obligations.pii.output
        screen = AnswerScreen(
            self._placeholders, self._restorer, is_screened=mode is not PiiMode.OFF
        )
        return Answering(self, screen)

    async def found_in_answer(self, texts: Sequence[str]) -> list[list[Finding]]:
        """What is in an answer's texts, where they are to be replaced.

        Raises:
            ContentBlocked: It must not go on.
            ScreeningUnavailable: It cannot be told.
        """
        pii = self.reservation.obligations.pii
        found = [
            self._placeholders.outside(text, findings)
            for text, findings in zip(texts, await self._find(texts), strict=True)
        ]
        self._count("output", found)
        if pii.output is PiiMode.BLOCK and any(found):
            raise _blocked("The answer", {one.kind for each in found for one in each}, "output")
        return found

    async def _replaced(self, words: Sequence[Word]) -> list[str]:
        pii = self.reservation.obligations.pii
        texts = [word.text for word in words]
        for word in words:
            if word.source is not Source.ASSISTANT:
                self._placeholders.avoid(word.text)
        if pii.input is PiiMode.OFF:
            return texts
        found = await self._find(texts)
        self._count("input", found)
        if pii.input is PiiMode.BLOCK and any(found):
            raise _blocked("The request", {one.kind for each in found for one in each}, "input")
        replaced = [
            self._placeholders.redacted(text, findings)
            for text, findings in zip(texts, found, strict=True)
        ]
        if pii.restores:
            self._restorer = Restorer(self._placeholders.values)
        return replaced

    async def _find(self, texts: Sequence[str]) -> list[list[Finding]]:
        """What is in texts; each is looked at once."""
        once = list(dict.fromkeys(text for text in texts if text.strip()))
        kinds = self.reservation.obligations.pii.kinds
        found = await self.screener.find(once, kinds) if once else []
        if len(found) != len(once):
            raise ScreeningUnavailable("The call could not be screened.")
        by_text = dict(zip(once, found, strict=True))
        return [by_text.get(text, []) for text in texts]

    async def _guarded(self, profile: str, words: Sequence[Word], texts: Sequence[str]) -> None:
        guarded = await self.screener.guard(profile, words)
        if guarded.refused:
            self.findings.update(f"guard.{kind}" for kind in guarded.refused)
            raise _blocked("The request", guarded.refused, "input")
        if guarded.moderation is None:
            return
        if self.screening.moderate is None:
            raise ScreeningUnavailable("The call could not be moderated.")
        asked = "\n\n".join(
            text
            for word, text in zip(words, texts, strict=True)
            if word.source in (Source.USER, Source.TOOL)
        )
        try:
            goes_on = await self.screening.moderate(self.reservation, guarded.moderation, asked)
        except GatewayError:
            raise ScreeningUnavailable("The call could not be moderated.") from None
        if not goes_on:
            self.findings["guard.MODERATION"] += 1
            raise _blocked("The request", ["MODERATION"], "input")

    def _count(self, direction: str, found: Sequence[Sequence[Finding]]) -> None:
        self.findings.update(f"{direction}.{one.kind}" for each in found for one in each)

    def _unreadable(self, fault: Unreadable) -> ContentBlocked:
        self.findings[f"input.{fault.what.upper()}"] += 1
        return ContentBlocked(
            "Policy wants this call screened, and it holds something that cannot be: an image, "
            "sound, a file, or token numbers. Send text.",
            kinds=[fault.what.upper()],
            param=fault.param,
        )


@dataclass(frozen=True, slots=True)
class Answering:
    """One answer on its way through screening, whole or streamed."""

    call: CallScreen
    screen: AnswerScreen

    async def through(self, chunks: Sequence[_Object], *, is_end: bool = False) -> list[_Object]:
        """What may go on, of these chunks and of what was held back before.

        Raises:
            ContentBlocked: Something in them must not.
            ScreeningUnavailable: It cannot be told.
        """
        texts = self.screen.take(chunks, is_end=is_end)
        return self.screen.give(await self.call.found_in_answer(texts) if texts else ())


def _blocked(what: str, kinds: Sequence[str] | set[str], direction: str) -> ContentBlocked:
    return ContentBlocked(
        f"{what} holds what policy does not let through: {', '.join(sorted(set(kinds)))}.",
        kinds=kinds,
        direction=direction,
    )
