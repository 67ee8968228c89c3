"""What went to which deployment, from the ledger."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from policy_service.adapters.sql.engine import reading_one_moment
from policy_service.adapters.sql.tables import Usage
from policy_service.ports.compliance import UsedDeployment

_HIT = "hit"


class SqlUsedDeployments:
    """Implements `ports.compliance.UsedDeployments`."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def used(
        self,
        since: datetime,
        until: datetime,
        *,
        department: str | None = None,
        team: str | None = None,
    ) -> tuple[UsedDeployment, ...]:
        """Deployments that were called in the period, by provider and id; see the port."""
        whose = [
            column == wanted
            for column, wanted in ((Usage.department, department), (Usage.team, team))
            if wanted is not None
        ]
        places = (Usage.deployment_id, Usage.provider, Usage.region, Usage.routed_model)
        sums = (
            func.count(),
            func.sum(func.coalesce(Usage.input_tokens, 0)),
            func.sum(func.coalesce(Usage.output_tokens, 0)),
            func.sum(Usage.usd),
        )
        columns: tuple[Any, ...] = (*places, *sums)
        statement = _called(select(*columns), since, until).where(*whose)
        async with reading_one_moment(self._engine) as connection:
            found = (await connection.execute(statement.group_by(*places))).all()
            labels = await _labels(connection, since, until, whose)
        return tuple(
            sorted(
                (
                    UsedDeployment(
                        deployment_id=row[0],
                        provider=row[1] or "unknown",
                        region=row[2] or "unknown",
                        model=row[3] or "unknown",
                        requests=int(row[4]),
                        input_tokens=int(row[5]),
                        output_tokens=int(row[6]),
                        usd=row[7],
                        labels=tuple(sorted(labels[row[0]])),
                    )
                    for row in found
                ),
                key=lambda one: (one.provider, one.deployment_id, one.region, one.model),
            )
        )


def _called(statement: Select[Any], since: datetime, until: datetime) -> Select[Any]:
    return statement.where(
        Usage.at >= since,
        Usage.at < until,
        Usage.deployment_id.is_not(None),
        Usage.cache != _HIT,
    )


async def _labels(
    connection: AsyncConnection,
    since: datetime,
    until: datetime,
    whose: Sequence[ColumnElement[bool]],
) -> defaultdict[str, set[str]]:
    """Labels by deployment."""
    columns: tuple[Any, ...] = (Usage.deployment_id, Usage.data_labels)
    statement = _called(select(*columns).distinct(), since, until).where(*whose)
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for deployment_id, text in (await connection.execute(statement)).all():
        labels[deployment_id].update(label for label in text.split(",") if label)
    return labels
