"""Compliance's lists about content: what is looked for, and what a prompt must not hold.

No member goes unread: one that is misspelt would protect nobody.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import regex

from llm_core.screening.words import Source

Kind = Annotated[str, msgspec.Meta(pattern="^[A-Z][A-Z0-9_]{0,39}$")]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class BrokenLists(ValueError):
    """The lists cannot be used; the message says where and why, and quotes no term."""


class Recogniser(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A pattern of the organisation's own.

    Args:
        pattern: A regular expression; its group `value` is the finding, or all of it.
        cues: When there are any, one must stand near it.
        match_case: Otherwise case does not matter.
    """

    kind: Kind
    pattern: Text
    cues: tuple[Text, ...] = ()
    match_case: bool = False


class DenyList(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Terms that are findings wherever they stand as whole words.

    Args:
        match_case: Otherwise case does not matter.
    """

    kind: Kind
    terms: tuple[Text, ...]
    match_case: bool = False


class DenyPattern(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What no request may hold."""

    kind: Kind
    pattern: Text


class Moderator(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A model that is asked beside; see `policy_service.ports.screening.Moderation`."""

    model: Text
    instructions: Text
    passes: Text = "safe"
    max_output_tokens: Count = 16


class GuardProfile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the prompt guard holds requests to.

    Args:
        applies_to: Whose words deny patterns, allow patterns and phrases are about.
        max_chars: Of all the words together.
        max_text_chars: Of each text.
        deny: None of them may match.
        allow: When there are any, one must match each text of the user's.
        injections: Look for the known injection phrases.
    """

    applies_to: tuple[Source, ...] = (Source.USER, Source.TOOL)
    max_chars: Count | None = None
    max_text_chars: Count | None = None
    deny: tuple[DenyPattern, ...] = ()
    allow: tuple[Text, ...] = ()
    injections: bool = False
    moderation: Moderator | None = None


class Lists(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """All of them."""

    recognisers: tuple[Recogniser, ...] = ()
    deny_lists: tuple[DenyList, ...] = ()
    guards: dict[str, GuardProfile] = {}
    injection_phrases: tuple[Text, ...] = ()


def read_lists(content: Mapping[str, Any]) -> Lists:
    """Read and check what stands under `content`.

    Raises:
        BrokenLists: Something in it is unknown, misspelt, or no regular expression.
    """
    try:
        lists = msgspec.convert(dict(content), Lists)
    except msgspec.ValidationError as error:
        raise BrokenLists(f"content: {error}") from None
    for index, one in enumerate(lists.recognisers):
        compiled(one.pattern, f"recognisers[{index}]")
    for name, profile in lists.guards.items():
        for index, denied in enumerate(profile.deny):
            compiled(denied.pattern, f"guards.{name}.deny[{index}]")
        for index, allowed in enumerate(profile.allow):
            compiled(allowed, f"guards.{name}.allow[{index}]")
    return lists


def compiled(pattern: str, where: str, *, match_case: bool = False) -> Any:  # noqa: ANN401 - untyped
    """A regular expression of the library that can be stopped.

    Raises:
        BrokenLists: It is none, or it matches nothing at all.
    """
    try:
        made = regex.compile(pattern, flags=0 if match_case else regex.IGNORECASE)
    except regex.error:
        raise BrokenLists(f"content: {where} is no regular expression") from None
    if re.fullmatch(r"\s*", pattern) or made.search("") is not None:
        raise BrokenLists(f"content: {where} matches an empty text")
    return made
