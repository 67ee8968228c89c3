"""What a vendor's stand-in must be able to do; `exchange.py` does the rest for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from sandbox.refusal import Refusal
from sandbox.wishes import Wishes

KEY_PREFIX = "sk-sandbox"
"""Every credential that begins so is good; no other is."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event; `tokens` say how much of the pace it uses up."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """A request whose body is a JSON object.

    Args:
        headers: Lower-case names.
        query: Query parameters.
        deployment: Azure's, from the path.
        payload: The body.
        wishes: What the sandbox itself is asked for.
    """

    headers: Mapping[str, str]
    query: Mapping[str, str]
    deployment: str | None
    payload: dict[str, Any]
    wishes: Wishes


class Reply(Protocol):
    """An answer, ready to be sent in either form. Both forms say the same and cost the same."""

    @property
    def output_tokens(self) -> int:
        """For the pace of a whole answer."""
        ...

    def whole(self, *, has_usage: bool) -> dict[str, Any]:
        """The answer as one document."""
        ...

    def events(self, *, has_usage: bool) -> Sequence[Event]:
        """The answer as a stream."""
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it came over the wire, for what depends on its very bytes.

    Args:
        path: Still percent-encoded.
        query: Still percent-encoded; empty when there is none.
    """

    method: str
    path: str
    query: str
    body: bytes


class Wire(Protocol):
    """One vendor's wire format."""

    provider: str
    stream_type: str
    """Content type of a streamed answer."""

    def authenticate(self, headers: Mapping[str, str], sent: Sent) -> None:
        """Check the credential.

        Raises:
            Refusal: The vendor's 401.
        """
        ...

    def is_streaming(self, payload: Mapping[str, Any], path: str) -> bool:
        """Whether the answer is asked for as a stream."""
        ...

    def asked_model(self, payload: Mapping[str, Any], deployment: str | None) -> str:
        """The model as the request names it, wishes included; empty when it names none."""
        ...

    def reply(self, received: Received) -> Reply:
        """Check the request as the vendor would, and answer.

        Raises:
            Refusal: The vendor's 400 or 404.
        """
        ...

    def invalid(self, message: str) -> Refusal:
        """The vendor's 400 with this message."""
        ...

    def not_json(self) -> Refusal:
        """The vendor's answer to a body that is no JSON object."""
        ...

    def failure(self, status: int, retry_after_s: float | None, model: str) -> Refusal:
        """The vendor's own error of that status."""
        ...

    def error_event(self) -> Event:
        """The vendor's error in the middle of a stream."""
        ...

    def malformed(self, event: Event) -> Event:
        """The event, framed well, with a document in it that is no JSON."""
        ...

    def headers(self, number: int, wishes: Wishes) -> dict[str, str]:
        """Response headers of the `number`-th call."""
        ...


class SseWire:
    """What vendors share who stream server-sent events when the body says `stream`."""

    stream_type = "text/event-stream; charset=utf-8"

    def is_streaming(self, payload: Mapping[str, Any], path: str) -> bool:
        """Whether the body says so."""
        return payload.get("stream") is True

    def malformed(self, event: Event) -> Event:
        """The event with its document's end cut off."""
        return Event(event.data.rstrip()[:-8] + b"\n\n")


def data_event(document: Mapping[str, Any], tokens: int = 0) -> Event:
    """Encode an event as OpenAI does: data only."""
    return Event(b"data: " + msgspec.json.encode(document) + b"\n\n", tokens)


def named_event(document: Mapping[str, Any], tokens: int = 0) -> Event:
    """Encode an event as Anthropic does: named after the document's `type`."""
    name = str(document["type"]).encode()
    return Event(b"event: " + name + b"\ndata: " + msgspec.json.encode(document) + b"\n\n", tokens)
