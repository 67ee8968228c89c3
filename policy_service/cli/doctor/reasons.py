"""Why something cannot be reached or used, in words that hold no address and so no password."""

import os
import socket
import sqlite3
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

# Faults are known by their names: a host of Kong has the plugins, and no driver of databases.
_OWN_WORDS = frozenset({"NotTheOneNamed"})
"""Of `adapters.redis_following`: what they say holds no address."""
_BY_KIND = {
    "InvalidPasswordError": "the user or the password is refused",
    "InvalidAuthorizationSpecificationError": "the user is refused",
    "AuthenticationError": "the password is refused, or one is needed",
    "InvalidCatalogNameError": "there is no database of that name",
    "InsufficientPrivilegeError": "the user may not do that",
}


def reason_of(fault: BaseException) -> str:
    """Why, from the innermost fault that tells it; the kind of it where nothing better is known."""
    chain = list(_chain(fault))
    told = (_told(one) for one in reversed(chain))
    return next((one for one in told if one), type(chain[-1]).__name__)


def place_of(url: str) -> str:
    """Where a URL leads: hosts and ports, without a user or a password."""
    parts = urlsplit(url)
    # Not `hostname` and `port`: an address of Redis may name several of each.
    return parts.netloc.rpartition("@")[2] or parts.path or url.partition(":")[0]


def _chain(fault: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = fault
    while seen is not None:
        yield seen
        group = seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else None
        seen = group or seen.__cause__ or seen.__context__


def _told(fault: BaseException) -> str:
    match fault:
        case ssl.SSLCertVerificationError():
            told = f"its certificate is not trusted ({fault.verify_message})"
        case ssl.SSLError():
            told = f"TLS fails ({getattr(fault, 'reason', None) or 'no handshake'})"
        case socket.gaierror():
            told = "its name cannot be resolved"
        case sqlite3.Error():
            told = str(fault)
        case _ if type(fault).__name__ in _OWN_WORDS:
            told = str(fault)
        case OSError(errno=int() as number):
            told = os.strerror(number).lower()
        case _ if "Timeout" in type(fault).__name__:
            told = "it does not answer in time"
        case _:
            told = _BY_KIND.get(type(fault).__name__, "")
    return told
