"""Placeholders for what was found, and the words again.

A placeholder is `<EMAIL_ADDRESS_1>`. The same value has the same one throughout a call. What stands
for what lives as long as the call, and nowhere else.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]*_[0-9]+>")


class Finding(NamedTuple):
    """Something found in a text.

    Args:
        start: In code points.
        end: Behind its last.
        kind: For example `EMAIL_ADDRESS`.
        score: How sure it is, 0 to 1.
    """

    start: int
    end: int
    kind: str
    score: float = 1.0


def resolved(findings: Iterable[Finding]) -> list[Finding]:
    """Findings that do not overlap, in order.

    Those that overlap become one that covers them all, so that no end of any stays in the text. It
    has the kind of the longest; among equals of the surest, then of the first by name.
    """
    ordered = sorted(findings)
    merged: list[Finding] = []
    group: list[Finding] = []
    end = -1
    for one in ordered:
        if group and one.start >= end:
            merged.append(_one_of(group))
            group = []
            end = -1
        group.append(one)
        end = max(end, one.end)
    return [*merged, _one_of(group)] if group else merged


def _one_of(group: Sequence[Finding]) -> Finding:
    best = min(group, key=lambda one: (one.start - one.end, -one.score, one.kind))
    return Finding(
        min(one.start for one in group), max(one.end for one in group), best.kind, best.score
    )


@dataclass(slots=True)
class Placeholders:
    """What stands for what in one call.

    Args:
        taken: Placeholders that the caller wrote: they are words, and stand for nothing.
    """

    taken: set[str] = field(default_factory=set)
    _by_value: dict[tuple[str, str], str] = field(default_factory=dict)
    _values: dict[str, str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def avoid(self, text: str) -> None:
        """Never give out a placeholder that stands in `text` already."""
        self.taken.update(_PLACEHOLDER.findall(text))

    @property
    def values(self) -> Mapping[str, str]:
        """The values by their placeholders, so far."""
        return dict(self._values)

    def redacted(self, text: str, findings: Sequence[Finding]) -> str:
        """The text with placeholders for what was found in it.

        Args:
            text: The words.
            findings: In order, none over another.
        """
        pieces: list[str] = []
        at = 0
        for one in findings:
            pieces += [text[at : one.start], self._of(one.kind, text[one.start : one.end])]
            at = one.end
        return "".join([*pieces, text[at:]])

    def outside(self, text: str, findings: Iterable[Finding]) -> list[Finding]:
        """The findings that do not lie inside of a placeholder of this call."""
        own = [
            match.span() for match in _PLACEHOLDER.finditer(text) if match.group() in self._values
        ]
        return [
            one
            for one in findings
            if not any(start <= one.start and one.end <= end for start, end in own)
        ]

    def _of(self, kind: str, value: str) -> str:
        known = self._by_value.get((kind, value))
        if known is not None:
            return known
        number = self._counts.get(kind, 0) + 1
        while f"<{kind}_{number}>" in self.taken:
            number += 1
        self._counts[kind] = number
        made = f"<{kind}_{number}>"
        self._by_value[kind, value] = made
        self._values[made] = value
        return made


@dataclass(frozen=True, slots=True)
class Restorer:
    """Puts the words back.

    Args:
        values: By their placeholders; no other placeholder is touched.
    """

    values: Mapping[str, str]

    def __call__(self, text: str) -> str:
        """The text with the words in it again."""
        return _PLACEHOLDER.sub(lambda match: self.values.get(match.group(), match.group()), text)

    def certain(self, text: str) -> int:
        """How many characters at the beginning of a growing text hold no unfinished placeholder."""
        at = text.rfind("<")
        if at < 0 or not any(known.startswith(text[at:]) for known in self.values):
            return len(text)
        return len(text) if text[at:] in self.values else at
