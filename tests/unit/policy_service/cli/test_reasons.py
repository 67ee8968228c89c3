"""Why something cannot be used, as the doctor says it."""

import socket
import sqlite3
import ssl
from itertools import pairwise

import pytest

from policy_service.cli.doctor.reasons import place_of, reason_of


class InvalidPasswordError(Exception):
    """As asyncpg names it."""


def behind(*faults: BaseException) -> BaseException:
    """The first, caused by the second, and so on."""
    for outer, inner in pairwise(faults):
        outer.__cause__ = inner
    return faults[0]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ConnectionRefusedError(111, "x"), "connection refused"),
        (behind(RuntimeError("p4ss"), OSError("p4ss"), OSError(113, "p4ss")), "no route to host"),
        (OSError("all failed", [OSError(111, "x")]), "OSError"),
        (behind(RuntimeError(), ExceptionGroup("", [OSError(111, "")])), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "its name cannot be resolved"),
        (TimeoutError(), "it does not answer in time"),
        (sqlite3.OperationalError("database is locked"), "database is locked"),
        (behind(ValueError("p4ss"), InvalidPasswordError("p4ss")), "the password is refused"),
        (ssl.SSLError(1, "x"), "TLS fails"),
        (ssl.SSLCertVerificationError(1, "x"), "its certificate is not trusted"),
        (ValueError("p4ss"), "ValueError"),
    ],
)
def test_the_innermost_fault_that_tells_why_is_told_without_its_text(
    fault: BaseException, told: str
) -> None:
    if isinstance(fault, ssl.SSLCertVerificationError):
        fault.verify_message = "self-signed certificate"
    reason = reason_of(fault)
    assert told in reason
    assert "p4ss" not in reason


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://:p4ss@10.0.0.7:6379/0", "10.0.0.7:6379"),
        ("rediss://cache.acme.example/0", "cache.acme.example"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_a_place_has_no_password(url: str, place: str) -> None:
    assert place_of(url) == place
