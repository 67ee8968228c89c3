"""Finders made from compliance's lists."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from llm_core.screening.finders.base import Cues
from llm_core.screening.redact import Finding
from policy_service.adapters.screening.lists import DenyList, Recogniser, compiled

REGEX_TIMEOUT_S = 1.0
"""For one pattern on one text: a pattern that runs away ends the call, and not the process."""

_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")
_WIDEST_GAP = 3


class RecogniserFinder:
    """Finds what a pattern of the organisation's matches; implements `Finder`."""

    def __init__(self, recogniser: Recogniser) -> None:
        """Compile it."""
        self.kind: str = recogniser.kind
        self._cues = Cues(recogniser.cues) if recogniser.cues else None
        self._pattern: Any = compiled(
            recogniser.pattern, recogniser.kind, match_case=recogniser.match_case
        )

    def find(self, text: str) -> Iterator[Finding]:
        """All of it in `text`.

        Raises:
            TimeoutError: The pattern does not come to an end.
        """
        group = "value" if "value" in self._pattern.groupindex else 0
        for match in self._pattern.finditer(text, timeout=REGEX_TIMEOUT_S):
            start, end = match.span(group)
            if start < end and (self._cues is None or self._cues.are_near(text, start, end)):
                yield Finding(start, end, self.kind)


class DenyListFinder:
    """Finds terms as whole words; implements `Finder`.

    The time it takes does not grow with the number of terms.
    """

    def __init__(self, deny_list: DenyList) -> None:
        """Sort the terms by their first word."""
        self.kind: str = deny_list.kind
        self._match_case = deny_list.match_case
        self._terms: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for term in deny_list.terms:
            words = tuple(self._form(match.group()) for match in _WORD.finditer(term))
            if words:
                self._terms[words[0]].add(words)

    def find(self, text: str) -> Iterator[Finding]:
        """All of it in `text`; of terms that begin alike the longest."""
        spans = [match.span() for match in _WORD.finditer(text)]
        words = [self._form(text[start:end]) for start, end in spans]
        for at, word in enumerate(words):
            fits = [
                len(term)
                for term in self._terms.get(word, ())
                if tuple(words[at : at + len(term)]) == term and _are_close(spans, at, len(term))
            ]
            if fits:
                yield Finding(spans[at][0], spans[at + max(fits) - 1][1], self.kind)

    def _form(self, word: str) -> str:
        composed = unicodedata.normalize("NFKC", word)
        return composed if self._match_case else composed.casefold()


def _are_close(spans: list[tuple[int, int]], at: int, count: int) -> bool:
    return all(spans[i + 1][0] - spans[i][1] <= _WIDEST_GAP for i in range(at, at + count - 1))
