"""Which trace a call belongs to, as HTTP headers say it.

Source:
    https://www.w3.org/TR/trace-context/#traceparent-header (checked 2026-11-29)
"""

import hashlib
import re
from typing import Final

TRACEPARENT: Final = "traceparent"

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_ZEROS = frozenset("0")


def parts(header: str | None) -> tuple[str, str, str] | None:
    """Trace id, span id and flags, hex; `None` when the header is none or not well formed."""
    found = _FORM.fullmatch(header) if header else None
    if found is None or found[1] == "ff" or _ZEROS in (set(found[2]), set(found[3])):
        return None
    return found[2], found[3], found[4]


def ids_of(decision: str) -> tuple[str, str]:
    """The trace id and span id that a decision has where nobody gave it another trace.

    Made from its id, so that everybody who knows the decision knows its trace: plugin, relay, and
    whoever books the call a minute later.
    """
    digest = hashlib.sha256(decision.encode()).hexdigest()
    return digest[:32], digest[32:48]
