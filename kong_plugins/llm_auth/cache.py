"""Remembering who is who for a few seconds."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum, auto

from llm_core.policy.caller import Caller

_MOST = 50_000


class Freshness(Enum):
    """What a remembered answer is good for."""

    FRESH = auto()
    STALE = auto()
    """Only good while the policy service cannot be asked."""
    ABSENT = auto()


@dataclass(frozen=True, slots=True)
class _Entry:
    caller: Caller | None
    learned_s: float


class CallerCache:
    """The callers last seen, by digest of their credential.

    Args:
        ttl_s: How long a known caller is fresh.
        negative_ttl_s: How long "unknown" is fresh; it is never used stale.
        stale_if_error_s: How long a known caller is kept beyond that.
    """

    def __init__(self, ttl_s: float, negative_ttl_s: float, stale_if_error_s: float) -> None:
        self._ttl_s = ttl_s
        self._negative_ttl_s = negative_ttl_s
        self._stale_s = max(stale_if_error_s, ttl_s)
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def look_up(self, digest: str, now_s: float) -> tuple[Freshness, Caller | None]:
        """What is remembered at `now_s` (any steady clock)."""
        entry = self._entries.get(digest)
        if entry is None:
            return Freshness.ABSENT, None
        age_s = now_s - entry.learned_s
        fresh_s = self._negative_ttl_s if entry.caller is None else self._ttl_s
        if age_s < fresh_s:
            return Freshness.FRESH, entry.caller
        if entry.caller is not None and age_s < self._stale_s:
            return Freshness.STALE, entry.caller
        del self._entries[digest]
        return Freshness.ABSENT, None

    def remember(self, digest: str, caller: Caller | None, now_s: float) -> None:
        """Keep an answer; the oldest gives way when there are too many."""
        self._entries[digest] = _Entry(caller, now_s)
        self._entries.move_to_end(digest)
        if len(self._entries) > _MOST:
            self._entries.popitem(last=False)
