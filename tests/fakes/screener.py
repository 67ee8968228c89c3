"""Looks at words in this process: our own finders and compliance's lists, without presidio."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from llm_core.errors import ScreeningUnavailable
from llm_core.policy.decision import Reservation
from llm_core.screening.redact import Finding
from llm_core.screening.words import Word
from policy_service.adapters.screening.lists import read_lists
from policy_service.adapters.screening.looking import Looking, UnknownName
from policy_service.ports.screening import Guarded, Moderation


class FakeScreener:
    """Implements `Screener`.

    Args:
        fails_after: So many questions are answered, and none after them.
        looked_at: Every text that was looked at.
    """

    def __init__(
        self, content: Mapping[str, Any] | None = None, *, fails_after: int | None = None
    ) -> None:
        self._looking = Looking(read_lists(content or {}))
        self.fails_after = fails_after
        self.looked_at: list[str] = []
        self.questions = 0

    async def find(self, texts: Sequence[str], kinds: Sequence[str]) -> list[list[Finding]]:
        """What is in each text."""
        await self._asked()
        self.looked_at += texts
        try:
            return self._looking.find(texts, kinds)
        except UnknownName:
            raise ScreeningUnavailable("unknown") from None

    async def guard(self, profile: str, words: Sequence[Word]) -> Guarded:
        """What a profile says."""
        await self._asked()
        try:
            told = self._looking.guard(profile, [(one.text, one.source) for one in words])
        except UnknownName:
            raise ScreeningUnavailable("unknown") from None
        moderation = told["moderation"]
        return Guarded(
            tuple(told["refused"]), None if moderation is None else Moderation(**moderation)
        )

    async def _asked(self) -> None:
        await asyncio.sleep(0)
        self.questions += 1
        if self.fails_after is not None and self.questions > self.fails_after:
            raise ScreeningUnavailable("The call could not be screened, so it went no further.")


class FakeFindingsLog:
    """Implements `FindingsLog`; keeps what it was told."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, dict[str, int]]] = []

    def note(self, reservation: Reservation, findings: Mapping[str, int]) -> None:
        """Take it in."""
        self.noted.append((reservation.decision_id, dict(findings)))
