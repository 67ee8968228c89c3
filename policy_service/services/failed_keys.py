"""Lets nobody try one key after another.

A key has 256 random bits and nobody finds one by trying. But somebody who tries costs the database
a question each time, and one who holds a list of stolen keys finds out which of them are good.

Counted are different keys that failed, by the address they came from: an application that
sends the same wrong key for ever is one. Who calls from the same address with a key that this
process has known as good goes on. Tokens are not counted: where Kong's own plugins know their
clients by tokens, each of these is asked about here first, and fails.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from llm_core.policy.credential import Credential
from policy_service.ports.callers import Unknown
from policy_service.ports.clock import Clock
from policy_service.ports.observing import UNOBSERVED, Observer
from policy_service.services.identify import IdentifyAnswer

_WINDOW = timedelta(minutes=1)
_MOST_SOURCES = 10_000
_MOST_GOOD = 50_000
_SITE_BITS = 64
"""Whoever has an IPv6 address has all of its /64."""

_UNPROVEN = (Unknown.UNKNOWN, Unknown.MISTYPED, Unknown.REVOKED)
"""An expired key, or one without a team, is no attempt to get in."""


@dataclass(slots=True)
class _Source:
    since: datetime
    failed: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class FailedKeys:
    """What failed lately, in this process; at most 10,000 sources, the oldest give way.

    Args:
        most: So many different credentials of one source may fail within a minute; 0: any number.
        clock: Says when a minute is over.
        observer: Counts what failed.
    """

    most: int
    clock: Clock
    observer: Observer = UNOBSERVED
    _sources: OrderedDict[str, _Source] = field(default_factory=OrderedDict)
    _good: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    def refusal(self, asked: Credential) -> IdentifyAnswer | None:
        """The answer for a source that has failed too often; `None`: look the credential up."""
        source, text = _site_of(asked.source_ip), asked.api_key
        if not self.most or source is None or text is None:
            return None
        found = self._sources.get(source)
        if found is None or len(found.failed) < self.most:
            return None
        if self.clock() >= found.since + _WINDOW:
            del self._sources[source]
            return None
        if _digest(text) in self._good:
            return None
        self.observer.not_identified(Unknown.TOO_MANY_FAILURES)
        return IdentifyAnswer(unknown=Unknown.TOO_MANY_FAILURES)

    def note(self, asked: Credential, answer: IdentifyAnswer) -> None:
        """What looking it up came to."""
        if answer.unknown is not None:
            self.observer.not_identified(answer.unknown)
        source, text = _site_of(asked.source_ip), asked.api_key
        if not self.most or source is None or text is None:
            return
        if answer.caller is not None:
            self._good[_digest(text)] = None
            self._good.move_to_end(_digest(text))
            if len(self._good) > _MOST_GOOD:
                self._good.popitem(last=False)
        elif answer.unknown in _UNPROVEN:
            self._count(source, text)

    def _count(self, source: str, text: str) -> None:
        now = self.clock()
        found = self._sources.get(source)
        if found is None or now >= found.since + _WINDOW:
            self._sources.pop(source, None)
            found = self._sources[source] = _Source(now)
            if len(self._sources) > _MOST_SOURCES:
                self._sources.popitem(last=False)
        if len(found.failed) < self.most:
            found.failed.add(_digest(text))


def _site_of(address: str | None) -> str | None:
    """What is counted together; `None` for what is no address."""
    if address is None:
        return None
    try:
        found = ip_address(address)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ip_network((found.packed, _SITE_BITS), strict=False))
    return str(found)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
