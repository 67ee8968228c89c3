"""Proving that an identity provider said something."""

from dataclasses import dataclass
from typing import Protocol

from llm_core.policy.claims import Claims
from policy_service.ports.callers import Unknown


@dataclass(frozen=True, slots=True)
class NotProven:
    """Why a token proves nothing.

    Args:
        why: `EXPIRED`, `NOT_YET_VALID` or `NO_PROOF`.
        detail: For the log, and for the caller: says nothing secret, and nothing of the token's
            own text.
    """

    why: Unknown
    detail: str


class Tokens(Protocol):
    """Verifies the tokens of the issuers that the company trusts."""

    async def verify(self, token: str) -> Claims | NotProven:
        """Check signature, issuer, audience, times and all else, and read the claims.

        Raises:
            PolicyUnavailable: The issuer's keys cannot be had just now, and were never had: whether
                the token is good cannot be told.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
