"""Statements as CSV and as FOCUS, read back with what reads such files."""

import csv
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from llm_core.chargeback.build import Month, build
from llm_core.chargeback.focus import MANDATORY, to_focus
from llm_core.chargeback.rules import Allocation, Currency, Rules, SharedCost
from llm_core.chargeback.statement import Document, Place, Spent
from llm_core.chargeback.table import cell_text, to_csv

MONTH = Month(
    "acme",
    "2026-11",
    "Europe/Berlin",
    datetime(2026, 10, 31, 23, tzinfo=UTC),
    datetime(2026, 11, 30, 23, tzinfo=UTC),
)
# https://focus.finops.org/focus-specification/v1-2/: feature level "Mandatory".
FOCUS_MANDATORY = frozenset(
    {
        "BilledCost",
        "BillingAccountId",
        "BillingAccountName",
        "BillingCurrency",
        "BillingPeriodEnd",
        "BillingPeriodStart",
        "ChargeCategory",
        "ChargeClass",
        "ChargeDescription",
        "ChargePeriodEnd",
        "ChargePeriodStart",
        "ContractedCost",
        "EffectiveCost",
        "InvoiceIssuerName",
        "ListCost",
        "PricingQuantity",
        "PricingUnit",
        "ProviderName",
        "PublisherName",
        "ServiceCategory",
        "ServiceName",
    }
)
MAY_BE_NULL = {"ChargeClass"}


@pytest.fixture
def document() -> Document:
    rows = [
        Spent(
            Place(centre, "research", team, project),
            {"provider": provider, "served_model": model, "region": "eu", "team": team},
            3,
            1000,
            200,
            Decimal(usd),
        )
        for centre, team, project, provider, model, usd in (
            ("CC-1", "search", '=HYPERLINK("http://x","y")', "openai", "gpt-4o", "1.000000000001"),
            (None, "ads", 'a "b", c', "anthropic", "claude-sonnet-4-5", "0.005"),
            ("CC-9", "platform", None, None, None, "0.333333333333"),
        )
    ]
    rules = Rules(
        (SharedCost("gateway", {"team": "platform"}, Allocation.USAGE),),
        Currency("EUR", Decimal("0.92")),
    )
    return build(MONTH, rows, [], rules)


def test_the_csv_is_rfc_4180_with_a_row_of_sums_and_no_formula(document: Document) -> None:
    text = to_csv(document.statement).decode()
    assert text.count("\r\n") == text.count("\n") == 5
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    *lines, total = rows
    assert [row["team"] for row in lines] == ["ads", "platform", "search"]
    assert lines[0]["cost_centre"] == "(untagged)"
    assert lines[0]["project"] == 'a "b", c'
    assert lines[2]["project"] == '\'=HYPERLINK("http://x","y")'
    assert total["period"] == "total"
    for column in ("requests", "direct_usd", "shared_usd", "usd", "billed_usd", "billed_eur"):
        assert sum(Decimal(row[column]) for row in lines) == Decimal(total[column])
    assert total["usd"] == "1.338333333334"
    assert (total["billed_usd"], total["billed_eur"]) == ("1.34", "1.23")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_never_begins_a_formula_and_numbers_stay_numbers(start: str) -> None:
    assert cell_text(f"{start}1") == f"'{start}1"
    assert cell_text(Decimal("-0.000000000001")) == "-0.000000000001"
    assert cell_text(None) == ""


def test_focus_has_every_mandatory_column_first_and_adds_up(document: Document) -> None:
    assert set(MANDATORY) == FOCUS_MANDATORY
    reader = csv.DictReader(io.StringIO(to_focus(document).decode(), newline=""))
    rows = list(reader)
    heads = list(reader.fieldnames or ())
    assert set(heads[:21]) == FOCUS_MANDATORY
    own = [head for head in heads if head.startswith("x_")]
    assert heads[-len(own) :] == own
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", head.removeprefix("x_")) for head in heads)
    for column in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        assert sum(Decimal(row[column]) for row in rows) == document.statement.total_usd
    for row in rows:
        assert all(row[head] for head in FOCUS_MANDATORY - MAY_BE_NULL), row
        assert row["BillingPeriodStart"] == "2026-10-31T23:00:00Z"
        assert row["BillingCurrency"] == "USD"
        assert json.loads(row["Tags"])["department"] == "research"
    shared = [row for row in rows if row["x_SharedCost"]]
    assert {row["ProviderName"] for row in shared} == {"Gatehouse"}
    assert sum(Decimal(row["BilledCost"]) for row in shared) == Decimal("0.333333333333")


def test_an_empty_month_has_heads_and_nothing_to_pay() -> None:
    document = build(MONTH, [], [], Rules())
    assert to_csv(document.statement).count(b"\r\n") == 2
    assert to_focus(document).count(b"\r\n") == 1
    assert msgspec.to_builtins(document.statement)["total_usd"] == "0"
