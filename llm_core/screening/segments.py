"""Cuts a growing text into segments that can be judged by themselves.

Where it is cut depends on the text alone and never on how it came: a streamed answer and the same
answer whole are cut alike, so that the same is found in both. A segment ends

- behind a line's end;
- behind the blank after a sentence: after `!` and `?`, and after a full stop behind five letters
  or more, since `Dr. Meier` is one thing;
- at the latest after `MOST_CHARS`: at the last comma or bracket with a blank behind it, else at the
  last blank between two letters, else at the last blank, else right there.
"""

import re
from dataclasses import dataclass

MOST_CHARS = 1_000
"""How much of an answer is held back at most."""

_END = re.compile(r"\n|(?:(?<=\w{5}[.])|(?<=[!?]))[\"')\]»”]*\s|[\u3002\uff01\uff1f]")
_SOFT = (
    re.compile(r"[,;:)\]}»”]\s"),
    re.compile(r"(?<=[^\W\d_])\s(?=[^\W\d_])"),
    re.compile(r"\s"),
)


@dataclass(slots=True)
class Segmenter:
    """One text, as it comes."""

    _rest: str = ""

    def feed(self, text: str) -> list[str]:
        """The segments that `text` completes; joined with `end` they are the whole text."""
        self._rest += text
        segments: list[str] = []
        at = 0
        while (cut := _cut(self._rest, at)) is not None:
            segments.append(self._rest[at:cut])
            at = cut
        self._rest = self._rest[at:]
        return segments

    def end(self) -> str:
        """What is left when nothing more comes."""
        rest, self._rest = self._rest, ""
        return rest


def _cut(text: str, start: int) -> int | None:
    """Where the segment from `start` on ends; `None` when that is not certain yet."""
    limit = start + MOST_CHARS
    # Looks behind itself no further than the segment's beginning.
    window = text[start:limit]
    found = _END.search(window)
    if found is not None:
        return start + found.end()
    if len(text) < limit:
        return None
    for soft in _SOFT:
        if ends := [match.end() for match in soft.finditer(window)]:
            return start + ends[-1]
    return limit
