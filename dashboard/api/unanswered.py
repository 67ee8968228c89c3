"""Idempotency keys of what was sent and not answered.

Whoever presses a button again because no answer came sends the same request with the same key, so
the service does it once. What was answered is done with: pressed again, it is a new request.
"""

from hashlib import sha256
from threading import Lock
from uuid import uuid4

_MOST = 1000


class Unanswered:
    """The keys, for all sessions."""

    def __init__(self) -> None:
        """Nothing was sent yet."""
        self._keys: dict[str, str] = {}
        self._lock = Lock()

    def key_of(self, *sent: str | bytes) -> tuple[str, str]:
        """What a request is known by here, and its key: the one that got no answer, or a new one.

        Args:
            sent: Who sends it, where to, and the body.
        """
        parts = (one if isinstance(one, bytes) else one.encode() for one in sent)
        known = sha256(b"\0".join(parts)).hexdigest()
        with self._lock:
            # While it is under way nobody else has its key: two people may want the same.
            return known, self._keys.pop(known, None) or str(uuid4())

    def keep(self, known: str, key: str) -> None:
        """No answer came: the same request has this key when it is sent again."""
        with self._lock:
            while len(self._keys) >= _MOST:
                del self._keys[next(iter(self._keys))]
            self._keys[known] = key
