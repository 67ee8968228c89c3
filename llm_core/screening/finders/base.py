"""What a finder is."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llm_core.screening.redact import Finding

_BEFORE_CHARS = 40
_BEHIND_CHARS = 20


class Finder(Protocol):
    """Looks for one kind."""

    @property
    def kind(self) -> str:
        """What it finds, for example `EMAIL_ADDRESS`."""
        ...

    def find(self, text: str) -> Iterable[Finding]:
        """All of it in `text`; findings may overlap those of other finders."""
        ...


@dataclass(frozen=True, slots=True)
class Cues:
    """Words that make a weak pattern a finding when they stand near it.

    Args:
        words: In any language; case does not matter.
    """

    words: tuple[str, ...]
    _pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        anyone = "|".join(map(re.escape, sorted(self.words, key=len, reverse=True)))
        object.__setattr__(self, "_pattern", re.compile(rf"(?<!\w)(?:{anyone})", re.IGNORECASE))

    def are_near(self, text: str, start: int, end: int) -> bool:
        """Whether one stands shortly before `start` or behind `end`, on the same line.

        What begins a line may have its cue on the line before, as in a form.
        """
        before = text[max(start - _BEFORE_CHARS, 0) : start].rstrip().rpartition("\n")[2]
        behind = text[end : end + _BEHIND_CHARS].partition("\n")[0]
        return bool(self._pattern.search(before) or self._pattern.search(behind))


def _is_fine(_text: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class PatternFinder:
    """Finds what a pattern matches; implements `Finder`.

    Args:
        pattern: Its group `value` is the finding, or all of it when there is no such group.
        is_valid: Holds the matched text to more than the pattern can say: check digits, dates.
        cues: One of these must stand near it.
        score: How sure a finding is.
    """

    kind: str
    pattern: re.Pattern[str]
    is_valid: Callable[[str], bool] = _is_fine
    cues: Cues | None = None
    score: float = 0.9

    def find(self, text: str) -> Iterator[Finding]:
        """All of it in `text`."""
        group: str | int = "value" if "value" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text):
            start, end = match.span(group)
            if self.is_valid(text[start:end]) and (
                self.cues is None or self.cues.are_near(text, start, end)
            ):
                yield Finding(start, end, self.kind, self.score)


def digits_of(text: str) -> str:
    """The digits and letters of a number that may be written in groups; letters in capitals."""
    return "".join(one for one in text if one.isalnum()).upper()


def luhn(digits: Sequence[int]) -> bool:
    """The check of card numbers (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled  # noqa: PLR2004 - the sum of its digits
    return total % 10 == 0
