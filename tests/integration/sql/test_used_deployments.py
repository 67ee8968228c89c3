"""The provider register's figures on both databases."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.tables import Usage
from policy_service.adapters.sql.used_deployments import SqlUsedDeployments
from policy_service.ports.compliance import UsedDeployment
from policy_service.ports.decision_log import LoggedDecision
from tests.integration.sql.usage_rows import usage_row

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)


def decided(decision_id: str, labels: list[str] | None) -> LoggedDecision:
    return LoggedDecision(
        decision_id=decision_id,
        at=FIRST,
        organisation="acme",
        department="sales",
        team="emea-sales",
        user=None,
        operation="chat.completions",
        asked_model="chat",
        allow=True,
        codes=(),
        revision="r1",
        engine="opa",
        duration_ms=0.5,
        input_digest="ab" * 32,
        input=None if labels is None else {"call": {"data_labels": labels}},
        result={},
    )


async def labelled(engine: AsyncEngine, labels: dict[str, list[str] | None]) -> None:
    await SqlDecisionLog(engine).record([decided(*one) for one in labels.items()])


async def test_what_was_called_is_summed_by_deployment_within_the_period(
    engine: AsyncEngine,
) -> None:
    usd = Decimal("0.000001")
    await SqlLedger(engine).record(
        [
            usage_row("dec_first", at=FIRST, usd=usd),
            usage_row("dec_last", at=END - timedelta(microseconds=1), usd=usd, input_tokens=None),
            usage_row("dec_before", at=FIRST - timedelta(microseconds=1)),
            usage_row("dec_after", at=END),
            usage_row("dec_hit", at=FIRST, cache="hit"),
            usage_row("dec_nowhere", at=FIRST, deployment_id=None),
            usage_row("dec_other", at=FIRST, deployment_id="a", provider="azure", region=None),
        ]
    )
    other, openai = await SqlUsedDeployments(engine).used(FIRST, END)
    assert (other.deployment_id, other.provider, other.region) == ("a", "azure", "unknown")
    assert openai == UsedDeployment(
        deployment_id="openai-gpt-4o-mini",
        provider="openai",
        region="eu",
        model="gpt-4o-mini",
        requests=2,
        input_tokens=1000,
        output_tokens=1000,
        usd=usd * 2,
        labels=(),
    )


async def test_labels_are_those_of_the_calls_that_went_there(engine: AsyncEngine) -> None:
    sent: dict[str, list[str] | None] = {
        "dec_1": ["personal", "public"],
        "dec_2": ["personal"],
        "dec_3": [],
        "dec_4": None,  # erased
        "dec_5": ["health"],
    }
    has_column = "data_labels" in Usage.__table__.c
    rows = []
    for decision_id, labels in sent.items():
        own: dict[str, Any] = {"data_labels": tuple(labels or ())} if has_column else {}
        where = "elsewhere" if decision_id == "dec_5" else "here"
        rows.append(usage_row(decision_id, at=FIRST, deployment_id=where, **own))
    await SqlLedger(engine).record(rows)
    await labelled(engine, sent)
    elsewhere, here = await SqlUsedDeployments(engine).used(FIRST, END)
    assert (elsewhere.labels, here.labels) == (("health",), ("personal", "public"))


async def test_nothing_called_is_an_empty_register(engine: AsyncEngine) -> None:
    assert await SqlUsedDeployments(engine).used(FIRST, END) == ()
