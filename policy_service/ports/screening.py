"""Looking at words, and telling what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from llm_core.policy.decision import Reservation
from llm_core.screening.redact import Finding
from llm_core.screening.words import Word


@dataclass(frozen=True, slots=True)
class Moderation:
    """A model that is asked about a call's words before they go on.

    Args:
        model: An alias of the catalogue.
        instructions: Its system prompt.
        passes: What its answer begins with when the words may go on; case does not matter.
        max_output_tokens: How long its answer may be.
    """

    model: str
    instructions: str
    passes: str
    max_output_tokens: int = 16


@dataclass(frozen=True, slots=True)
class Guarded:
    """What a prompt guard's profile says about a request's words.

    Args:
        refused: Kinds of what must not go on; empty when all of it may.
        moderation: Who is to be asked beside.
    """

    refused: tuple[str, ...] = ()
    moderation: Moderation | None = None


class Screener(Protocol):
    """Finds what is in words. Never answers that nothing is there when it cannot tell."""

    async def find(self, texts: Sequence[str], kinds: Sequence[str]) -> list[list[Finding]]:
        """What is in each text, in order, none over another.

        Args:
            texts: Any number.
            kinds: Which are looked for; none for all.

        Raises:
            ScreeningUnavailable: It cannot be told, or not in time, or a kind is not known.
        """
        ...

    async def guard(self, profile: str, words: Sequence[Word]) -> Guarded:
        """Hold a request's words to a profile of the prompt guard.

        Raises:
            ScreeningUnavailable: It cannot be told, or there is no such profile.
        """
        ...


class FindingsLog(Protocol):
    """Is told what was found in a call: kinds and counts, never text."""

    def note(self, reservation: Reservation, findings: Mapping[str, int]) -> None:
        """Take it in; never waits and never raises."""
        ...
