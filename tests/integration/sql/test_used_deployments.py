"""The provider register's figures on both databases."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.used_deployments import SqlUsedDeployments
from policy_service.ports.compliance import UsedDeployment
from tests.integration.sql.usage_rows import usage_row

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)


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
    sent = {
        "dec_1": "personal,public",
        "dec_2": "personal",
        "dec_3": "",
        "dec_5": "health",
    }
    rows = [
        usage_row(
            decision_id,
            at=FIRST,
            deployment_id="elsewhere" if decision_id == "dec_5" else "here",
            data_labels=labels,
        )
        for decision_id, labels in sent.items()
    ]
    await SqlLedger(engine).record(rows)
    elsewhere, here = await SqlUsedDeployments(engine).used(FIRST, END)
    assert (elsewhere.labels, here.labels) == (("health",), ("personal", "public"))


async def test_one_department_or_team_is_asked_for(engine: AsyncEngine) -> None:
    places = {"here": ("hr", "recruiting", "personal"), "elsewhere": ("sales", "emea", "public")}
    await SqlLedger(engine).record(
        [
            usage_row(
                f"dec_{place}",
                at=FIRST,
                deployment_id=place,
                department=department,
                team=team,
                data_labels=labels,
            )
            for place, (department, team, labels) in places.items()
        ]
    )
    ledger = SqlUsedDeployments(engine)
    for whose in ({"department": "hr"}, {"team": "recruiting"}):
        [found] = await ledger.used(FIRST, END, **whose)
        assert (found.deployment_id, found.labels) == ("here", ("personal",))
    assert await ledger.used(FIRST, END, department="hr", team="emea") == ()


async def test_nothing_called_is_an_empty_register(engine: AsyncEngine) -> None:
    assert await SqlUsedDeployments(engine).used(FIRST, END) == ()
