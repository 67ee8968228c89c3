"""Tickets: what the relay asks for, so that a request which no plugin decided gets no answer."""

import hashlib
import hmac
from datetime import UTC, datetime

from llm_core.errors import Undecided

_VERSION = "gt1"
_PARTS = 4


class Tickets:
    """Signs and checks tickets of the form `gt1.<decision id>.<expiry, unix ms>.<HMAC-SHA-256>`.

    A ticket names a decision and grants one try. That it is used once is the limits store's
    business (`redeem`); that it is genuine and in time is decided here.
    """

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"gatehouse ticket v1\0" + secret.encode()).digest()

    def issue(self, decision_id: str, expires_at: datetime) -> str:
        """Make the ticket for a decision.

        Raises:
            ValueError: `expires_at` has no time zone, so it names no moment.
        """
        if expires_at.tzinfo is None:
            raise ValueError("a time without a time zone is no time")
        expiry_ms = int(expires_at.timestamp() * 1000)
        named = f"{_VERSION}.{decision_id}.{expiry_ms}"
        return f"{named}.{self._signature(named)}"

    def decision_id(self, ticket: str | None, now: datetime) -> str:
        """Read the decision's id from a genuine ticket.

        Raises:
            Undecided: There is no ticket, it is forged, or its time is over.
        """
        if not ticket:
            raise Undecided(
                "This request reached the relay without a decision. Send it through the gateway; "
                "if you did, one of its plugins did not run: try again."
            )
        named, _, signature = ticket.rpartition(".")
        # Whatever a header holds: text that no encoding has is no reason to fail.
        given = signature.encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(self._signature(named).encode(), given):
            raise Undecided("The ticket is not genuine.")
        parts = ticket.split(".")
        if len(parts) != _PARTS or parts[0] != _VERSION:
            raise Undecided("The ticket is not genuine.")
        if datetime.fromtimestamp(int(parts[2]) / 1000, tz=UTC) <= now:
            raise Undecided("The ticket has expired: try again.")
        return parts[1]

    def _signature(self, named: str) -> str:
        return hmac.new(
            self._key, named.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()
