"""The decision log: what policy was asked, and what it said."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """One answer of the policy.

    Args:
        codes: Of the reasons, sorted, each once.
        revision: Of the bundle that answered.
        engine: `opa` or `regopy`.
        duration_ms: What the evaluation took.
        input_digest: Keyed digest of the whole input, hex.
        input: What was asked, redacted, as policy can be asked again; `None` once it is erased.
        result: What policy said, `{"allow", "permitted", "models", "reasons", "obligations"}` with
            reasons as `{"code", "rule"}`; and in `outcome` what became of the call.
        refused_for: The code of the first reason that the caller was told; `None` where the call
            was let through.
    """

    decision_id: str
    at: datetime
    organisation: str
    department: str
    team: str
    user: str | None
    operation: str
    asked_model: str
    allow: bool
    codes: tuple[str, ...]
    revision: str
    engine: str
    duration_ms: float
    input_digest: str
    input: dict[str, Any] | None
    result: dict[str, Any]
    refused_for: str | None = None


class DecisionLog(Protocol):
    """What was decided, for as long as it is kept."""

    async def record(self, decisions: Sequence[LoggedDecision]) -> None:
        """Write these down, each once whatever how often it is given.

        Raises:
            PolicyUnavailable: The database failed; give them again.
        """
        ...

    async def count(self, since: datetime, until: datetime) -> int:
        """How many were made in that time."""
        ...

    def read(
        self, since: datetime, until: datetime, *, batch: int = 1000
    ) -> AsyncIterator[Sequence[LoggedDecision]]:
        """Those of that time, the oldest first, in batches.

        Raises:
            PolicyUnavailable: The database failed.
        """
        ...


class DecisionInputs(Protocol):
    """What policy was asked, which is not kept as long as what was decided."""

    async def forget_inputs(self, before: datetime) -> int:
        """Forget them for decisions of before then; gives of how many.

        Raises:
            PolicyUnavailable: The database failed; asking again goes on from there.
        """
        ...
