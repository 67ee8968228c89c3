"""Chains made in memory, with real signatures, and their exports."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec

from llm_core.audit.event import (
    GENESIS,
    Checkpoint,
    Event,
    Head,
    Header,
    NewEvent,
    Span,
    linked,
    rfc3339,
)
from llm_core.audit.findings import Finding
from llm_core.audit.verify import Verifier, verify_lines
from policy_service.adapters.ed25519 import Ed25519PublicKeys, Ed25519Signer, new_key_pair

STARTED = datetime(2026, 11, 20, 12, tzinfo=UTC)
Line = Event | Checkpoint | Header


@cache
def key_pair(number: int = 0) -> tuple[Ed25519Signer, Ed25519PublicKeys]:
    """A key pair; the same for the same number."""
    private, public = new_key_pair()
    return Ed25519Signer(private), Ed25519PublicKeys([public])


def new_event(number: int, chain: str = "org:acme", **changes: Any) -> NewEvent:
    """Something that happened."""
    fields: dict[str, Any] = {
        "id": f"evt_{chain}_{number}",
        "chain": chain,
        "at": STARTED + timedelta(seconds=number),
        "kind": "decision",
        "actor": f"user:u{number}",
        "subject": f"decision:dec_{number}",
        "payload": {"allow": number % 2 == 0, "number": number},
    }
    return NewEvent(**fields | changes)


def chain_of(news: Iterable[NewEvent], head: Head | None = None) -> list[Event]:
    """Link them up, one after another."""
    events: list[Event] = []
    for number, new in enumerate(news):
        event, head = linked(head or Head(new.chain), new, f"{number:032x}")
        events.append(event)
    return events


def checkpoint(
    event: Event, before: Checkpoint | None = None, signer: Ed25519Signer | None = None
) -> Checkpoint:
    """Seal a chain up to this event."""
    signer = signer or key_pair()[0]
    unsigned = Checkpoint(
        chain=event.chain,
        seq=event.seq,
        hash=event.hash,
        at=rfc3339(STARTED),
        previous=GENESIS if before is None else before.digest,
        key_id=signer.key_id,
    )
    return msgspec.structs.replace(unsigned, signature=signer.sign(unsigned.signed_bytes))


def export(events: Sequence[Event], seals: Sequence[int] = ()) -> list[Line]:
    """One chain's export, with checkpoints behind the events of these numbers."""
    lines: list[Line] = []
    last: Checkpoint | None = None
    for event in events:
        lines.append(event)
        if event.seq in seals:
            last = checkpoint(event, last)
            lines.append(last)
    return lines


def header(*lines: Line) -> Header:
    """What stands at the top of an export of these."""
    spans: dict[str, Span] = {}
    for line in lines:
        if isinstance(line, Event):
            known = spans.get(line.chain, Span(line.seq, line.seq))
            spans[line.chain] = Span(known.first, max(known.last, line.seq))
    return Header(at=rfc3339(STARTED), chains=spans)


def verified(
    lines: Iterable[Line], kept: Iterable[Checkpoint] = (), *, with_key: bool = True
) -> tuple[Finding, ...]:
    """Write the lines down, and verify what was written."""
    keys = key_pair()[1]

    def is_genuine(one: Checkpoint) -> bool:
        return keys.is_genuine(one.key_id, one.signed_bytes, one.signature)

    verifier = Verifier(is_genuine if with_key else None, kept)
    for _ in verify_lines((msgspec.json.encode(line) for line in lines), verifier):
        pass
    return verifier.finish()
