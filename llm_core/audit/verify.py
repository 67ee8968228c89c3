"""Verifies chains as their events and checkpoints come by, in the order of an export.

Memory does not grow with the number of events: of each chain the end is kept, beside what is
missing, what was erased and the checkpoints whose events are still to come.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from llm_core.audit.event import (
    ERASURE,
    GENESIS,
    LOST,
    Checkpoint,
    Event,
    Header,
    content_digest,
    content_of,
    event_hash,
)
from llm_core.audit.findings import Fault, Finding
from llm_core.audit.ranges import Ranges

IsGenuine = Callable[[Checkpoint], bool]
"""Whether a trusted key has signed a checkpoint."""

_MOST_FINDINGS = 1000


@dataclass(slots=True)
class Chain:
    """What is known of one chain so far; what a report about it says.

    Args:
        first: The number of the first event seen.
        last: The number of the last.
        sealed: The last event under a genuine checkpoint that agrees with it; 0 for none.
        lost: How many events the chain itself says were lost before they came to it.
        erased: How many events have no content any more.
    """

    name: str
    first: int = 0
    last: int = 0
    events: int = 0
    sealed: int = 0
    lost: int = 0
    erased: int = 0
    hash: str = GENESIS
    checkpoint: Checkpoint | None = None
    missing: Ranges = field(default_factory=Ranges)
    without_content: Ranges = field(default_factory=Ranges)
    named_erased: Ranges = field(default_factory=Ranges)
    awaited: dict[int, list[Checkpoint]] = field(default_factory=dict)


class Verifier:
    """Takes what an export holds, and says what is wrong with it.

    Args:
        is_genuine: Checks signatures; `None` when nobody has a public key: then what the file says
            is held against itself only, and checkpoints prove nothing.
        kept: Checkpoints that were kept elsewhere. The chains must reach and match them.
    """

    def __init__(self, is_genuine: IsGenuine | None, kept: Iterable[Checkpoint] = ()) -> None:
        self._is_genuine = is_genuine
        self._chains: dict[str, Chain] = {}
        self._header: Header | None = None
        self._found: list[Finding] = []
        self.further = 0
        """How many findings there are beyond those that `findings` lists."""
        for checkpoint in kept:
            if self._trusts(checkpoint):
                self._await(self._chain(checkpoint.chain), checkpoint)

    @property
    def chains(self) -> tuple[Chain, ...]:
        """Every chain that was met, by name."""
        return tuple(self._chains[name] for name in sorted(self._chains))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, so far; complete after `finish`."""
        return tuple(self._found)

    def header(self, header: Header) -> None:
        """Take what a file says it has."""
        self._header = header

    def event(self, event: Event) -> None:
        """Take the next event."""
        chain = self._chains.get(event.chain) or self._chain(event.chain)
        self._check_itself(event)
        expected = chain.last + 1
        if event.seq != expected and not self._is_beginning(chain, event):
            if event.seq < expected:
                self._out_of_place(chain, event)
                return
            chain.missing.add(expected, event.seq - 1)
        elif event.seq == expected and event.previous != chain.hash:
            self._find(Fault.BROKEN_LINK, chain.name, event.seq)
        chain.last, chain.hash = event.seq, event.hash
        chain.first = chain.first or event.seq
        chain.events += 1
        if chain.awaited:
            for checkpoint in chain.awaited.pop(event.seq, ()):
                self._compare(chain, checkpoint)

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Take the next checkpoint; it comes behind the event that it seals."""
        chain = self._chain(checkpoint.chain)
        if not self._trusts(checkpoint):
            return
        before = GENESIS if chain.checkpoint is None else chain.checkpoint.digest
        is_known = chain.checkpoint is not None or self._starts_at(chain) == 1
        if is_known and checkpoint.previous != before:
            self._find(Fault.MISSING_CHECKPOINT, chain.name, checkpoint.seq)
        chain.checkpoint = checkpoint
        if checkpoint.seq == chain.last:
            self._compare(chain, checkpoint)
        elif checkpoint.seq > chain.last:
            self._await(chain, checkpoint)
        else:
            self._find(Fault.MISPLACED_CHECKPOINT, chain.name, checkpoint.seq)

    def unreadable(self, line: int, why: str) -> None:
        """Take note of a line that nobody can read."""
        self._find(Fault.UNREADABLE, "", line, detail=why)

    def finish(self) -> tuple[Finding, ...]:
        """Say what can be said only at the end; gives all findings."""
        if self._header is not None:
            for name in self._header.chains:
                self._chain(name)
        for chain in self.chains:
            self._finish(chain)
        return self.findings

    def _finish(self, chain: Chain) -> None:
        for first, last in chain.missing:
            self._find(Fault.DELETED, chain.name, first, last)
        early = min(chain.awaited, default=chain.first)
        if early < chain.first and early not in chain.missing:
            detail = f"a checkpoint knows event {early}, the first one here is {chain.first}"
            self._find(Fault.DELETED, chain.name, early, chain.first - 1, detail)
        awaited = max(chain.awaited, default=0)
        promised = 0
        if self._header is not None and chain.name in self._header.chains:
            promised = self._header.chains[chain.name].last
        if awaited > chain.last:
            detail = f"a checkpoint knows event {awaited}, the last one here is {chain.last}"
            self._find(Fault.TRUNCATED, chain.name, chain.last + 1, awaited, detail)
        elif promised > chain.last:
            detail = f"the file was made with {promised} events, the last one here is {chain.last}"
            self._find(Fault.TRUNCATED, chain.name, chain.last + 1, promised, detail)
        for first, last in chain.without_content.outside(chain.named_erased):
            self._find(Fault.ERASED_WITHOUT_RECORD, chain.name, first, last)
        if self._is_genuine is not None and chain.events and not chain.sealed:
            self._find(Fault.UNSEALED, chain.name, chain.first, chain.last)
        self._find_restored(chain)

    def _find_restored(self, chain: Chain) -> None:
        """What an erasure names and still has its content; what is not in the file is no matter."""
        start = self._starts_at(chain)
        for first, last in chain.named_erased.outside(chain.without_content):
            seen = Ranges([(max(first, start), last)] if last >= start else [])
            for low, high in seen.outside(chain.missing):
                if low <= chain.last:
                    self._find(Fault.NOT_ERASED, chain.name, low, min(high, chain.last))

    def _check_itself(self, event: Event) -> None:
        chain = self._chains[event.chain]
        content = bytes(event.content)
        if event.salt is None or content == b"null":
            if event.salt is None and content == b"null" and event.kind != ERASURE:
                chain.without_content.add(event.seq, event.seq)
                chain.erased += 1
            else:
                self._find(Fault.EDITED, event.chain, event.seq, detail="content or salt is gone")
        elif not _fits(event, content):
            self._find(Fault.EDITED, event.chain, event.seq, detail="its content")
        if event_hash(event) != event.hash:
            self._find(Fault.EDITED, event.chain, event.seq, detail="a field beside its content")
        if event.kind in {ERASURE, LOST}:
            self._heed(chain, event.kind, content)

    def _heed(self, chain: Chain, kind: str, content: bytes) -> None:
        try:
            payload: dict[str, Any] = msgspec.json.decode(content)["payload"]
            if kind == LOST:
                chain.lost += int(payload["events"])
                return
            for first, last in payload["erased"]:
                chain.named_erased.add(int(first), int(last))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            return  # then it was edited, which is found already

    def _out_of_place(self, chain: Chain, event: Event) -> None:
        if event.seq in chain.missing:
            chain.missing.discard(event.seq)
            chain.events += 1
            self._find(Fault.REORDERED, chain.name, event.seq)
        elif event.seq < chain.first:
            self._find(Fault.REORDERED, chain.name, event.seq)
        else:
            self._find(Fault.REPEATED, chain.name, event.seq)

    def _compare(self, chain: Chain, checkpoint: Checkpoint) -> None:
        if checkpoint.hash != chain.hash:
            self._find(Fault.REWRITTEN, chain.name, checkpoint.seq)
        elif self._is_genuine is not None:
            chain.sealed = max(chain.sealed, checkpoint.seq)

    def _trusts(self, checkpoint: Checkpoint) -> bool:
        if self._is_genuine is None or self._is_genuine(checkpoint):
            return True
        detail = f"key {checkpoint.key_id}"
        self._find(Fault.FORGED_CHECKPOINT, checkpoint.chain, checkpoint.seq, detail=detail)
        return False

    def _starts_at(self, chain: Chain) -> int:
        if self._header is not None and chain.name in self._header.chains:
            return self._header.chains[chain.name].first
        return 1

    def _is_beginning(self, chain: Chain, event: Event) -> bool:
        """Whether this is the first one of an export that leaves out what came earlier."""
        return chain.events == 0 and event.seq == self._starts_at(chain)

    def _await(self, chain: Chain, checkpoint: Checkpoint) -> None:
        chain.awaited.setdefault(checkpoint.seq, []).append(checkpoint)

    def _chain(self, name: str) -> Chain:
        return self._chains.setdefault(name, Chain(name))

    def _find(
        self, fault: Fault, chain: str, seq: int, last: int | None = None, detail: str = ""
    ) -> None:
        if len(self._found) >= _MOST_FINDINGS:
            self.further += 1
            return
        self._found.append(Finding(fault, chain, seq, last, detail))


_Line = Event | Checkpoint | Header
_decode = msgspec.json.Decoder(_Line).decode


def verify_lines(lines: Iterable[bytes], verifier: Verifier) -> Iterator[int]:
    """Feed an export's lines to a verifier; afterwards `verifier.finish()` has to be called.

    Yields:
        After each thousand lines and at the end: how many have been read.
    """
    number = 0
    for number, line in enumerate(lines, start=1):
        try:
            read = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            if line.strip():
                verifier.unreadable(number, str(fault))
            continue
        if isinstance(read, Event):
            verifier.event(read)
        elif isinstance(read, Checkpoint):
            verifier.checkpoint(read)
        else:
            verifier.header(read)
        if number % 1000 == 0:
            yield number
    yield number


def _fits(event: Event, content: bytes) -> bool:
    if event.salt is None:
        return False
    try:
        if content_digest(event.salt, content) == event.payload_digest:
            return True
        # Somebody may have set the file anew, with spaces or in another order.
        read = msgspec.json.decode(content)
        anew = content_of(read["actor"], read["subject"], read["payload"])
        return read.keys() == {"actor", "subject", "payload"} and (
            content_digest(event.salt, anew) == event.payload_digest
        )
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return False
