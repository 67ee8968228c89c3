"""Events and checkpoints as they stand in an export, and the bytes that are hashed and signed.

Everything that is hashed is JSON in UTF-8 without spaces; members of objects are sorted by name.

- content's digest: SHA-256(salt ‖ `{"actor":…,"payload":…,"subject":…}`)
- event's hash: SHA-256(`["gatehouse audit event v1",chain,seq,id,at,kind,digest,previous]`)
- checkpoint's signed bytes:
  `["gatehouse audit checkpoint v1",chain,seq,hash,at,previous,key id]`
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

GENESIS = "0" * 64
"""What comes before the first event, and before the first checkpoint."""

ERASURE = "erasure"
"""The kind of the event that names erased ones, in its payload's `erased`."""

LOST = "lost"
"""The kind of the event that says how many others could not be kept, in its payload's `events`."""

PLATFORM_CHAIN = "platform"
FORMAT = "gatehouse audit"
_EVENT = "gatehouse audit event v1"
_CHECKPOINT = "gatehouse audit checkpoint v1"
_ERASED = msgspec.Raw(b"null")
_USER = re.compile(r"(?:^|\s)user:(\S+)$")
_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What happened, before it has its place in a chain.

    Args:
        id: Its own; an event that comes twice is taken once.
        chain: `org:<organisation>`, or `platform` for what is no organisation's.
        at: When, UTC-aware.
        kind: A word, such as `decision`, `key.revoke`, `sign_in`.
        actor: Who did it, such as `user:alice`.
        subject: What it is about, `<kind>:<id>`.
        payload: In JSON's types; no words of callers, no secrets.
    """

    id: str
    chain: str
    at: datetime
    kind: str
    actor: str
    subject: str
    payload: dict[str, Any]

    @property
    def person(self) -> str | None:
        """The user that this is about, beside whoever did it; what an erasure looks for."""
        if (found := _USER.search(self.subject)) is not None:
            return found[1]
        parts: list[Any] = [self.payload, self.payload.get("after"), self.payload.get("before")]
        named = (part.get("user") for part in parts if isinstance(part, Mapping))
        return next((one for one in named if isinstance(one, str) and one), None)


class Event(msgspec.Struct, frozen=True, tag_field="type", tag="event"):
    """A link of a chain, as a line of an export.

    Args:
        at: RFC 3339 in UTC, with microseconds.
        content: `{"actor", "payload", "subject"}` as it was hashed; `null` once it is erased.
        salt: 32 hexadecimal digits; `None` once the content is erased.
        payload_digest: Of salt and content.
        previous: The hash of the event before; `GENESIS` for the first.
        hash: Of everything but content and salt.
    """

    chain: str
    seq: int
    id: str
    at: str
    kind: str
    payload_digest: str
    previous: str
    hash: str
    content: msgspec.Raw = _ERASED
    salt: str | None = None

    @property
    def is_erased(self) -> bool:
        """Whether its content is gone."""
        return bytes(self.content) == b"null"


class Checkpoint(msgspec.Struct, frozen=True, tag_field="type", tag="checkpoint"):
    """A signed statement of what a chain was, as a line of an export.

    Args:
        seq: The last event that it seals, with all before it.
        hash: Of that event.
        previous: The digest of the checkpoint before; `GENESIS` for the first.
        key_id: Names the key that signed.
        signature: Ed25519 over `signed_bytes`, hex.
    """

    chain: str
    seq: int
    hash: str
    at: str
    previous: str
    key_id: str
    signature: str = ""

    @property
    def signed_bytes(self) -> bytes:
        """What is signed."""
        return _encode(
            [_CHECKPOINT, self.chain, self.seq, self.hash, self.at, self.previous, self.key_id]
        )

    @property
    def digest(self) -> str:
        """What the next checkpoint has as `previous`."""
        return hashlib.sha256(self.signed_bytes).hexdigest()


@dataclass(frozen=True, slots=True)
class Span:
    """Which events of a chain an export has.

    Args:
        first: The number of the first.
        last: The number of the last when the export was made.
    """

    first: int
    last: int


class Header(msgspec.Struct, frozen=True, tag_field="type", tag="header"):
    """The first line of an export."""

    at: str
    chains: dict[str, Span]
    format: str = FORMAT
    version: int = 1


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends."""

    chain: str
    seq: int = 0
    hash: str = GENESIS


def chain_of(organisation: str | None) -> str:
    """The chain of an organisation, or of what is no organisation's."""
    return f"org:{organisation}" if organisation else PLATFORM_CHAIN


def rfc3339(at: datetime) -> str:
    """The one way in which times are written here."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def content_of(actor: str, subject: str, payload: Mapping[str, Any]) -> bytes:
    """An event's content as it is hashed.

    Raises:
        ValueError: The payload is not made of JSON's types, or is too deep.
    """
    try:
        return _encode({"actor": actor, "payload": payload, "subject": subject})
    except (TypeError, OverflowError, RecursionError, UnicodeEncodeError) as fault:
        raise ValueError(f"no payload that can be written down: {fault}") from fault


def content_digest(salt: str, content: bytes) -> str:
    """The digest of a content; the salt's bytes come first."""
    return hashlib.sha256(bytes.fromhex(salt) + content).hexdigest()


def event_hash(event: Event) -> str:
    """What `event.hash` has to be."""
    return hashlib.sha256(
        _encode(
            [
                _EVENT,
                event.chain,
                event.seq,
                event.id,
                event.at,
                event.kind,
                event.payload_digest,
                event.previous,
            ]
        )
    ).hexdigest()


def linked(head: Head, new: NewEvent, salt: str) -> tuple[Event, Head]:
    """Put an event at the end of its chain.

    Args:
        head: Where the chain ends now.
        new: What happened.
        salt: 32 hexadecimal digits from a source that nobody can guess.

    Returns:
        The link, and where the chain ends with it.

    Raises:
        ValueError: The payload is not made of JSON's types.
    """
    content = content_of(new.actor, new.subject, new.payload)
    unhashed = Event(
        chain=head.chain,
        seq=head.seq + 1,
        id=new.id,
        at=rfc3339(new.at),
        kind=new.kind,
        payload_digest=content_digest(salt, content),
        previous=head.hash,
        hash="",
        content=msgspec.Raw(content),
        salt=salt,
    )
    event = msgspec.structs.replace(unhashed, hash=event_hash(unhashed))
    return event, Head(head.chain, event.seq, event.hash)
