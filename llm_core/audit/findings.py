"""What a verification can find, where, and what it means."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Kinds of findings. Each is explained to auditors in `MEANINGS`."""

    EDITED = "edited"
    BROKEN_LINK = "broken_link"
    DELETED = "deleted"
    REORDERED = "reordered"
    REPEATED = "repeated"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"
    FORGED_CHECKPOINT = "forged_checkpoint"
    MISSING_CHECKPOINT = "missing_checkpoint"
    MISPLACED_CHECKPOINT = "misplaced_checkpoint"
    UNSEALED = "unsealed"
    ERASED_WITHOUT_RECORD = "erased_without_record"
    NOT_ERASED = "not_erased"
    UNREADABLE = "unreadable"


MEANINGS = {
    Fault.EDITED: "The event is not what was written: its content, or a field, was changed.",
    Fault.BROKEN_LINK: "The event does not follow the one before it: one of the two was exchanged.",
    Fault.DELETED: "Events that were there are missing.",
    Fault.REORDERED: "The event stands in another place than the one it was written at.",
    Fault.REPEATED: "A second event has this number.",
    Fault.TRUNCATED: "The chain ends before an event that it is known to have had.",
    Fault.REWRITTEN: "A signed checkpoint knows another history up to here.",
    Fault.FORGED_CHECKPOINT: "The checkpoint was not signed by a key that you trust.",
    Fault.MISSING_CHECKPOINT: "Checkpoints that were there before this one are missing.",
    Fault.MISPLACED_CHECKPOINT: "The checkpoint stands behind later events, so it proves nothing.",
    Fault.UNSEALED: "No checkpoint of a key that you trust seals anything of this chain.",
    Fault.ERASED_WITHOUT_RECORD: "The content is gone, and no erasure names this event.",
    Fault.NOT_ERASED: "An erasure names this event, and its content is still there.",
    Fault.UNREADABLE: "The line is no event and no checkpoint, or the file is not whole.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Args:
        fault: What kind.
        chain: Where; empty when it is about the whole file.
        seq: At which event; the first of several.
        last: The last of several; `None` for one.
        detail: What is known beyond the meaning.
    """

    fault: Fault
    chain: str
    seq: int
    last: int | None = None
    detail: str = ""

    def __str__(self) -> str:
        """One line: where, what, and what it means."""
        where = f"{self.chain} {self.seq}" if self.chain else f"line {self.seq}"
        if self.last is not None and self.last != self.seq:
            where += f" to {self.last}"
        detail = f" ({self.detail})" if self.detail else ""
        return f"{where}: {self.fault}: {MEANINGS[self.fault]}{detail}"
