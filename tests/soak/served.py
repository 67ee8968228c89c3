"""What the sandboxes have served, from their records."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.calls import Ended
from tests.soak.questions import mark_in

_OK = 200


@dataclass(slots=True)
class Served:
    """One call that reached a provider.

    Args:
        input_tokens: With `output_tokens`, what the whole answer would say.
        ended: `open` too where the process was killed meanwhile.
    """

    mark: str | None
    provider: str
    status: int | None = None
    ended: Ended = Ended.OPEN
    sent_events: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def is_whole(self) -> bool:
        """The provider gave its whole answer, and will bill it."""
        return self.status == _OK and self.ended is Ended.COMPLETE

    @property
    def tokens(self) -> tuple[int, int]:
        """In and out."""
        return self.input_tokens, self.output_tokens


@dataclass
class Record:
    """All of them.

    Args:
        by_mark: The calls that one question made.
        unmarked: Calls without a question of ours.
    """

    by_mark: dict[str, list[Served]] = field(default_factory=dict)
    unmarked: int = 0

    @property
    def calls(self) -> int:
        """How many there were."""
        return sum(map(len, self.by_mark.values())) + self.unmarked


def read_records(files: Iterable[Path]) -> Record:
    """Read what the sandboxes wrote."""
    record = Record()
    for file in files:
        calls: dict[str, Served] = {}
        for line in file.read_bytes().splitlines():
            said = json.loads(line)
            if "body" in said:
                call = calls[said["call"]] = Served(mark_in(said["body"]), said["provider"])
                if call.mark is None:
                    record.unmarked += 1
                else:
                    record.by_mark.setdefault(call.mark, []).append(call)
                continue
            call = calls[said["call"]]
            call.status, call.sent_events = said["status"], said["sent_events"]
            call.ended = Ended(said["ended"])
            call.input_tokens, call.output_tokens = tokens_of(said["usage"] or {})
    return record


def tokens_of(told: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens in and out, from a vendor's own words; read apart from how the gateway reads them."""
    usage = told.get("usage") or told.get("usageMetadata") or told.get("meta") or {}
    usage = usage.get("billed_units") or usage
    return _first(usage, "prompt", "input"), _first(usage, "completion", "output", "candidates")


def _first(usage: Mapping[str, Any], *begins: str) -> int:
    """The first count whose name begins so; `inputTokens` and `input_tokens` are the same."""
    for begin in begins:
        for name in (f"{begin}_tokens", f"{begin}Tokens", f"{begin}TokenCount"):
            if name in usage:
                return int(usage[name])
    return 0
