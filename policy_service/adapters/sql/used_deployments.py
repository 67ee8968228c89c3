"""What went to which deployment, from the ledger and the decision log."""

from collections import defaultdict
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from policy_service.adapters.sql.engine import reading_one_moment
from policy_service.adapters.sql.tables import DecisionEntry, Usage
from policy_service.ports.compliance import UsedDeployment

_HIT = "hit"


class SqlUsedDeployments:
    """Implements `ports.compliance.UsedDeployments`."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def used(self, since: datetime, until: datetime) -> tuple[UsedDeployment, ...]:
        """Deployments that were called in the period, by provider and id."""
        places = (Usage.deployment_id, Usage.provider, Usage.region, Usage.routed_model)
        sums = (
            func.count(),
            func.sum(func.coalesce(Usage.input_tokens, 0)),
            func.sum(func.coalesce(Usage.output_tokens, 0)),
            func.sum(Usage.usd),
        )
        columns: tuple[Any, ...] = (*places, *sums)
        statement = _called(select(*columns), since, until)
        async with reading_one_moment(self._engine) as connection:
            found = (await connection.execute(statement.group_by(*places))).all()
            labels = await _labels(connection, since, until)
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
    connection: AsyncConnection, since: datetime, until: datetime
) -> defaultdict[str, set[str]]:
    """Labels by deployment: the ledger's own column where it has one, else from the decisions."""
    own = Usage.__table__.c.get("data_labels")
    if own is not None:
        statement = _called(select(Usage.deployment_id, own).distinct(), since, until)
        read = _listed
    else:
        said = DecisionEntry.input[("call", "data_labels")].as_string()
        joined = select(Usage.deployment_id, said).join(
            DecisionEntry, DecisionEntry.decision_id == Usage.decision_id
        )
        statement = _called(joined.distinct(), since, until)
        read = _decoded
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for deployment_id, text in (await connection.execute(statement)).all():
        labels[deployment_id] |= read(text)
    return labels


def _listed(text: str | None) -> set[str]:
    return {label for label in (text or "").split(",") if label}


def _decoded(text: str | None) -> set[str]:
    try:
        return set(msgspec.json.decode(text or "[]", type=list[str]))
    except msgspec.MsgspecError:
        return set()
