"""What stands in each FOCUS column may stand there.

Types, nullability and allowed values as the column files of the specification say them for usage
that is no correction.

Source:
    https://github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec/tree/main/specification/columns
    (checked 2026-11-30)
"""

import csv
import io
import json
import re
from collections.abc import Callable

import pytest

from llm_core.chargeback.focus import COLUMNS, to_focus
from llm_core.chargeback.statement import Document
from tests.unit.llm_core.chargeback.test_files import document  # noqa: F401 - a fixture

Check = Callable[[str], bool]
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def moment(text: str) -> bool:
    return _MOMENT.fullmatch(text) is not None


def string(text: str) -> bool:
    return text == text.strip() != ""


def key_values(text: str) -> bool:
    pairs = json.loads(text)
    return isinstance(pairs, dict) and all(isinstance(one, str) for one in pairs.values())


def one_of(*allowed: str) -> Check:
    return lambda text: text in allowed


def null_or(check: Check) -> Check:
    return lambda text: text == "" or check(text)


def null(text: str) -> bool:
    return text == ""


FACTS: dict[str, Check] = {
    **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), number),
    **dict.fromkeys(("PricingQuantity", "ConsumedQuantity"), number),
    **dict.fromkeys(("BillingPeriodStart", "BillingPeriodEnd"), moment),
    **dict.fromkeys(("ChargePeriodStart", "ChargePeriodEnd"), moment),
    **dict.fromkeys(("BillingAccountId", "InvoiceIssuerName", "ProviderName"), string),
    **dict.fromkeys(("PublisherName", "ServiceName", "SkuId", "SkuPriceId"), string),
    **dict.fromkeys(("PricingUnit", "ConsumedUnit"), string),
    **dict.fromkeys(("BillingAccountName", "ChargeDescription"), null_or(string)),
    **dict.fromkeys(("InvoiceId", "RegionId", "RegionName"), null_or(string)),
    **dict.fromkeys(("SubAccountId", "SubAccountName"), null_or(string)),
    "BillingCurrency": one_of("USD"),
    "ChargeCategory": one_of("Usage", "Purchase", "Tax", "Credit", "Adjustment"),
    "ChargeClass": null,
    "ChargeFrequency": one_of("One-Time", "Recurring", "Usage-Based"),
    "PricingCategory": one_of("Standard", "Dynamic", "Committed", "Other"),
    "ServiceCategory": one_of("AI and Machine Learning"),
    "ServiceSubcategory": one_of("Generative AI"),
    "Tags": null_or(key_values),
}


def rows_of(made: Document) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_focus(made).decode(), newline="")))


def test_every_column_that_is_not_ours_is_looked_at() -> None:
    assert set(FACTS) == {name for name in COLUMNS if not name.startswith("x_")}


@pytest.mark.parametrize("column", FACTS)
def test_a_column_holds_what_it_may(document: Document, column: str) -> None:  # noqa: F811
    told = {row[column] for row in rows_of(document)}
    assert [text for text in told if not FACTS[column](text)] == []


def test_columns_that_go_together_are_null_together(document: Document) -> None:  # noqa: F811
    for row in rows_of(document):
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        for one, other in (
            ("RegionId", "RegionName"),
            ("SubAccountId", "SubAccountName"),
            ("PricingQuantity", "PricingUnit"),
            ("ConsumedQuantity", "ConsumedUnit"),
        ):
            assert bool(row[one]) == bool(row[other]), row
