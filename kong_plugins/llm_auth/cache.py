"""Remembering who is who for a few seconds."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum, auto

from kong_plugins._runtime.policy_client import Identity

_MOST_KNOWN = 50_000
_MOST_UNKNOWN = 10_000


class Freshness(Enum):
    """What a remembered answer is good for."""

    FRESH = auto()
    STALE = auto()
    """Only good while the policy service cannot be asked."""
    ABSENT = auto()


@dataclass(frozen=True, slots=True)
class _Entry:
    """An answer; times are of any one steady clock, in seconds.

    Args:
        asked_s: When the question was put.
        ends_s: When the credential ends; nobody is known by it any longer.
    """

    identity: Identity
    asked_s: float
    ends_s: float


class CallerCache:
    """The answers last had, by digest of the credential.

    Whoever is known and whoever is not are kept apart: a flood of wrong keys displaces none of the
    callers that are known.

    Args:
        ttl_s: How long a known caller is fresh.
        negative_ttl_s: How long "unknown" is fresh; it is never used stale.
        stale_if_error_s: How long a known caller is kept beyond that.
    """

    def __init__(self, ttl_s: float, negative_ttl_s: float, stale_if_error_s: float) -> None:
        self._ttl_s = ttl_s
        self._negative_ttl_s = negative_ttl_s
        self._stale_s = max(stale_if_error_s, ttl_s)
        self._known: OrderedDict[str, _Entry] = OrderedDict()
        self._unknown: OrderedDict[str, _Entry] = OrderedDict()
        self._digests: dict[str, set[str]] = {}
        self._changed_s = float("-inf")
        self._key_changed_last_s = float("-inf")
        self._key_changed_s: OrderedDict[str, float] = OrderedDict()

    def look_up(self, digest: str, now_s: float) -> tuple[Freshness, Identity | None]:
        """What is remembered at `now_s`."""
        entry = self._known.get(digest)
        if entry is None:
            return self._look_up_unknown(digest, now_s)
        age_s = now_s - entry.asked_s
        if now_s < entry.ends_s:
            if age_s < self._ttl_s and entry.asked_s > self._changed_s:
                return Freshness.FRESH, entry.identity
            if age_s < self._stale_s:
                return Freshness.STALE, entry.identity
        self._forget(digest)
        return Freshness.ABSENT, None

    def remember(
        self, digest: str, identity: Identity, *, asked_s: float, ends_s: float = float("inf")
    ) -> None:
        """Keep an answer; the oldest gives way when there are too many.

        Args:
            digest: Of the credential.
            identity: The answer.
            asked_s: When it was asked for: what has changed since then is not in it.
            ends_s: When the credential ends.
        """
        entry = _Entry(identity, asked_s, ends_s)
        self._forget(digest)
        if identity.caller is None:
            self._unknown[digest] = entry
            if len(self._unknown) > _MOST_UNKNOWN:
                self._unknown.popitem(last=False)
            return
        key_id = identity.caller.key_id
        if key_id is not None:
            if self._key_changed_s.get(key_id, float("-inf")) >= asked_s:
                return
            # While it is being rotated, a key has two texts.
            self._digests.setdefault(key_id, set()).add(digest)
        self._known[digest] = entry
        if len(self._known) > _MOST_KNOWN:
            self._forget(next(iter(self._known)))

    def forget_key(self, key_id: str, now_s: float) -> None:
        """A key has changed: it is not known any more, in an outage neither."""
        self._key_changed_last_s = now_s
        self._key_changed_s[key_id] = now_s
        self._key_changed_s.move_to_end(key_id)
        if len(self._key_changed_s) > _MOST_UNKNOWN:
            self._key_changed_s.popitem(last=False)
        for digest in tuple(self._digests.get(key_id, ())):
            self._forget(digest)

    def ask_anew(self, now_s: float) -> None:
        """Anything may have changed: nothing that was learned before now is fresh."""
        self._changed_s = now_s

    def has_heard_nothing_since(self, asked_s: float) -> bool:
        """Whether what was asked then is asked as of now: no change has been told of since."""
        return asked_s > max(self._changed_s, self._key_changed_last_s)

    def _look_up_unknown(self, digest: str, now_s: float) -> tuple[Freshness, Identity | None]:
        entry = self._unknown.get(digest)
        if entry is None:
            return Freshness.ABSENT, None
        if now_s - entry.asked_s < self._negative_ttl_s and entry.asked_s > self._changed_s:
            return Freshness.FRESH, entry.identity
        del self._unknown[digest]
        return Freshness.ABSENT, None

    def _forget(self, digest: str) -> None:
        self._unknown.pop(digest, None)
        entry = self._known.pop(digest, None)
        if entry is not None and entry.identity.caller is not None:
            key_id = entry.identity.caller.key_id
            digests = self._digests.get(key_id or "", set())
            digests.discard(digest)
            if key_id is not None and not digests:
                self._digests.pop(key_id, None)
