"""What the worker does with what it is sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_core.screening.finders import OWN
from llm_core.screening.finders.base import Finder
from llm_core.screening.phrases import Phrases, plain
from llm_core.screening.redact import Finding, resolved
from policy_service.adapters.screening.listed import (
    REGEX_TIMEOUT_S,
    DenyListFinder,
    RecogniserFinder,
)
from policy_service.adapters.screening.lists import GuardProfile, Lists, compiled


class UnknownName(ValueError):
    """Policy names a kind or a profile that nobody here knows."""


@dataclass(frozen=True, slots=True)
class _Guard:
    """A profile, its patterns compiled."""

    profile: GuardProfile
    deny: Sequence[tuple[str, Any]]
    allow: Sequence[Any]


class Looking:
    """Finds, and guards.

    Args:
        lists: Compliance's.
        libraries: Finders of others.
    """

    def __init__(self, lists: Lists, libraries: Iterable[Finder] = ()) -> None:
        """Compile everything."""
        self._finders: tuple[Finder, ...] = (
            *OWN,
            *libraries,
            *map(RecogniserFinder, lists.recognisers),
            *map(DenyListFinder, lists.deny_lists),
        )
        self._phrases = Phrases(lists.injection_phrases)
        self._guards = {name: _compiled(name, one) for name, one in lists.guards.items()}

    @property
    def kinds(self) -> frozenset[str]:
        """Everything that can be found."""
        return frozenset(finder.kind for finder in self._finders)

    def find(self, texts: Sequence[str], kinds: Sequence[str]) -> list[list[Finding]]:
        """What is in each text, none over another.

        Raises:
            UnknownName: Nobody looks for one of `kinds`.
            TimeoutError: A pattern does not come to an end.
        """
        wanted = frozenset(kinds)
        if wanted - self.kinds:
            raise UnknownName("a kind")
        finders = [one for one in self._finders if not wanted or one.kind in wanted]
        return [
            resolved(found for finder in finders for found in finder.find(text)) for text in texts
        ]

    def guard(self, name: str, words: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
        """What a profile says about words.

        Args:
            name: Of the profile.
            words: Each with whose it is.

        Raises:
            UnknownName: There is no such profile.
            TimeoutError: A pattern does not come to an end.
        """
        guard = self._guards.get(name)
        if guard is None:
            raise UnknownName("a profile")
        profile = guard.profile
        refused = set(_too_long(profile, words))
        for text, source in words:
            if source in profile.applies_to:
                refused.update(self._refused(guard, text, source))
        moderation = profile.moderation
        return {
            "refused": sorted(refused),
            "moderation": None
            if moderation is None
            else {
                "model": moderation.model,
                "instructions": moderation.instructions,
                "passes": moderation.passes,
                "max_output_tokens": moderation.max_output_tokens,
            },
        }

    def _refused(self, guard: _Guard, text: str, source: str) -> Iterable[str]:
        forms = {text, plain(text)}
        for kind, pattern in guard.deny:
            if any(_matches(pattern, form) for form in forms):
                yield kind
        is_limited = guard.allow and source == "user" and text.strip()
        if is_limited and not any(_matches(one, form) for one in guard.allow for form in forms):
            yield "NOT_ALLOWED"
        if guard.profile.injections and self._phrases.stand_in(text):
            yield "INJECTION"


def _compiled(name: str, profile: GuardProfile) -> _Guard:
    return _Guard(
        profile,
        [(one.kind, compiled(one.pattern, f"guards.{name}.deny")) for one in profile.deny],
        [compiled(one, f"guards.{name}.allow") for one in profile.allow],
    )


def _too_long(profile: GuardProfile, words: Sequence[tuple[str, str]]) -> Iterable[str]:
    sizes = [len(text) for text, _ in words]
    all_, each = profile.max_chars, profile.max_text_chars
    if (all_ is not None and sum(sizes) > all_) or (
        each is not None and max(sizes, default=0) > each
    ):
        yield "TOO_LONG"


def _matches(pattern: Any, text: str) -> bool:  # noqa: ANN401 - untyped
    return pattern.search(text, timeout=REGEX_TIMEOUT_S) is not None
