"""What the provider register is made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UsedDeployment:
    """What went to a deployment in a period.

    Args:
        model: As its provider knows it.
        labels: Every data label that a call to it carried, sorted.
    """

    deployment_id: str
    provider: str
    region: str
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    usd: Decimal
    labels: tuple[str, ...] = ()


class UsedDeployments(Protocol):
    """Reads the ledger for the provider register."""

    async def used(
        self,
        since: datetime,
        until: datetime,
        *,
        department: str | None = None,
        team: str | None = None,
    ) -> Sequence[UsedDeployment]:
        """Deployments that were called from `since` to before `until`, by provider and id.

        What the response cache answered went nowhere and does not count.

        Args:
            since: UTC-aware.
            until: UTC-aware.
            department: Only its calls, as it stood when they were made.
            team: Likewise.

        Raises:
            PolicyUnavailable: The ledger cannot be read.
        """
        ...
