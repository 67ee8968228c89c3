"""Statements of what everybody owes, and the rules behind them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from llm_core.chargeback.rules import Rules
from llm_core.chargeback.statement import Document
from llm_core.policy.roles import Actor
from policy_service.ports.organisation import Check


class ChargebackRefused(ValueError):
    """What was asked for cannot be; the message says why."""


class AlreadyClosed(ChargebackRefused):
    """A month is closed once."""


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """A closed statement in a list.

    Args:
        total_usd: What the reader sees of it.
    """

    id: str
    organisation: str
    period: str
    closed_at: datetime
    closed_by: str
    total_usd: Decimal
    digest: str


class Chargebacks(Protocol):
    """What is kept of chargeback. All raise `PolicyUnavailable` when the database fails.

    An organisation that does not exist, or a period that is none, is `ChargebackRefused`.
    """

    async def rules(self, organisation: str) -> Rules:
        """How it charges; without a word from anybody, nothing is shared."""
        ...

    async def put_rules(
        self,
        actor: Actor,
        organisation: str,
        rules: Rules,
        *,
        check: Check[Rules] | None = None,
    ) -> Rules:
        """Charge so from now on; closed months stay as they are. Gives them as they are kept."""
        ...

    async def span(self, organisation: str, period: str) -> tuple[datetime, datetime]:
        """The month's first moment and the next one's, by the organisation's clocks."""
        ...

    async def preview(
        self,
        organisation: str,
        period: str,
        *,
        span: tuple[datetime, datetime] | None = None,
        lines_only: bool = False,
    ) -> Document:
        """The month as it would be closed now.

        Args:
            organisation: Whose.
            period: Its month, such as `2026-11`.
            span: For what is no month, such as a week: its first moment and the next one's.
            lines_only: What lines are made of is not told: charges are those of shared costs. It
                takes a fraction of the time.
        """
        ...

    async def close(self, actor: Actor, organisation: str, period: str) -> Document:
        """Freeze the month, and audit it, in one transaction.

        Raises:
            AlreadyClosed: It is frozen.
        """
        ...

    async def find(self, chargeback_id: str) -> Document | None:
        """A closed month, as it was frozen.

        Raises:
            GatewayFault: What is in the database is not what was frozen.
        """
        ...

    async def closed(self, organisation: str, period: str) -> Document | None:
        """The same, by its month."""
        ...

    async def listed(
        self,
        organisations: Collection[str] | None,
        *,
        most: int,
        after: tuple[str, str] | None = None,
    ) -> Sequence[ClosedMonth]:
        """Closed months, the newest first; of these organisations, or of all.

        Args:
            organisations: Whose; `None` for everybody's.
            most: How many.
            after: Only those behind this one: its period and its organisation.
        """
        ...

    async def spent(self, organisation: str, period: str) -> Decimal:
        """What the ledger has of the month now."""
        ...

    async def by_model(
        self, organisation: str, period: str, provider: str
    ) -> Mapping[str | None, Decimal]:
        """What the ledger has of a provider in the month, by served model."""
        ...
