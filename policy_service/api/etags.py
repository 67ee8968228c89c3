"""ETags of what administrators change, and `If-Match`: nobody overwrites what they have not seen.

A tag is a digest of what is shown, so that two states never share one. `If-Match` is looked at in
the transaction that makes the change (`ports.organisation.Check`). Without it a change is made
whatever the state: a script that says how something shall be need not ask first.

Source:
    https://www.rfc-editor.org/rfc/rfc9110#name-if-match (checked 2026-11-29)
"""

import hashlib
from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from fastapi import Depends, Header

from llm_core.errors import ChangedMeanwhile, MalformedRequest
from policy_service.ports.organisation import Check

T = TypeVar("T")
_ANY = "*"
_LONGEST = 4000
_DIGEST_CHARS = 32


def etag_of(shown: object) -> str:
    """The strong tag of something, quotes included; equal for what is equal in JSON."""
    packed = msgspec.json.encode(shown, order="sorted")
    return f'"{hashlib.sha256(packed).hexdigest()[:_DIGEST_CHARS]}"'


class Match:
    """What a client's `If-Match` asks for.

    Args:
        tags: As they were sent; empty when there is no such header, which lets everything pass.
    """

    def __init__(self, tags: frozenset[str] = frozenset()) -> None:
        self._tags = tags

    def require(self, current: object | None) -> None:
        """Let nobody change what is in another state than they think.

        Args:
            current: As `etag_of` takes it; `None` when it is not there.

        Raises:
            ChangedMeanwhile: It is in another state, or is not there.
        """
        if not self._tags:
            return
        if current is None:
            raise ChangedMeanwhile("There is nothing (any more) that `If-Match` could match.")
        tag = etag_of(current)
        if tag not in self._tags and _ANY not in self._tags:
            raise ChangedMeanwhile(
                f"It has changed since you read it: its ETag is {tag} now. Read it again, then "
                "send your change with that one in `If-Match`."
            )

    def check(self, shown: Callable[[T], object]) -> "Check[T] | None":
        """The same for the transaction; `shown` makes of what is stored what the tag is of."""
        if not self._tags:
            return None
        return lambda stored: self.require(None if stored is None else shown(stored))


async def _match(
    if_match: Annotated[
        str | None,
        Header(
            max_length=_LONGEST,
            description="The ETag that it has to have; left out: whatever it is now.",
        ),
    ] = None,
) -> Match:
    if if_match is None:
        return Match()
    tags = frozenset(tag.strip() for tag in if_match.split(",") if tag.strip())
    if not tags or any(tag != _ANY and not _is_strong(tag) for tag in tags):
        raise MalformedRequest(
            '`If-Match` holds ETags as they were sent, quotes included (`"..."`), or `*`.',
            param="If-Match",
        )
    return Match(tags)


def _is_strong(tag: str) -> bool:
    return len(tag) > 1 and tag[0] == tag[-1] == '"'


IfMatch = Annotated[Match, Depends(_match)]
"""For a handler's signature."""
