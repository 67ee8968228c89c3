"""A statement in the FinOps Open Cost and Usage Specification, version 1.2.

The 21 columns whose feature level is "Mandatory" come first, then those of the others that we can
fill, then our own with `x_`, as the specification asks of custom columns. All cost columns are one
amount: the gateway books what a call cost at the contract's price, and knows no list price beside
it. They carry every digit of the ledger, so that their sum is the statement's total.

https://focus.finops.org/focus-specification/v1-2/; the list of 21 was held against another exporter
of 1.2, and what columns may hold against the column files of the specification's repository. What
the FinOps Foundation's validator says of such a file stands in docs/chargeback.md (2026-11-30).
"""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from llm_core.chargeback.statement import Charge, Document, Statement
from llm_core.chargeback.table import Cell, csv_of

_GATEWAY = "Gatehouse"
_ONE_PLACE = Decimal("0.1")
_Column = Callable[[Statement, Charge], Cell]


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _usd(_: Statement, charge: Charge) -> Decimal:
    return charge.usd


def _tokens(_: Statement, charge: Charge) -> Decimal:
    # With a point, so that who guesses types by what stands there takes it for the decimal it is.
    return Decimal(charge.input_tokens + charge.output_tokens).quantize(_ONE_PLACE)


def _provider(_: Statement, charge: Charge) -> str:
    # What is shared, and what no provider served, is the gateway's.
    return charge.provider or _GATEWAY


def _sku(_: Statement, charge: Charge) -> str:
    return charge.model or charge.shared or _GATEWAY


def _described(_: Statement, charge: Charge) -> str:
    if charge.shared is not None:
        return f"Part of the shared cost {charge.shared}"
    return f"Calls of {charge.model or 'no model'}: {charge.requests}"


def _tags(_: Statement, charge: Charge) -> str:
    named = {
        "cost_centre": charge.cost_centre,
        "department": charge.department,
        "team": charge.team,
        "project": charge.project,
    }
    return json.dumps({name: value for name, value in named.items() if value is not None})


_COLUMNS: dict[str, _Column] = {
    "BilledCost": _usd,
    "BillingAccountId": lambda statement, _: statement.organisation,
    "BillingAccountName": lambda statement, _: statement.organisation,
    "BillingCurrency": lambda *_: "USD",
    "BillingPeriodEnd": lambda statement, _: _moment(statement.ends_at),
    "BillingPeriodStart": lambda statement, _: _moment(statement.starts_at),
    "ChargeCategory": lambda *_: "Usage",
    "ChargeClass": lambda *_: None,
    "ChargeDescription": _described,
    "ChargePeriodEnd": lambda statement, _: _moment(statement.ends_at),
    "ChargePeriodStart": lambda statement, _: _moment(statement.starts_at),
    "ContractedCost": _usd,
    "EffectiveCost": _usd,
    "InvoiceIssuerName": lambda statement, _: statement.organisation,
    "ListCost": _usd,
    "PricingQuantity": _tokens,
    "PricingUnit": lambda *_: "Tokens",
    "ProviderName": _provider,
    "PublisherName": _provider,
    "ServiceCategory": lambda *_: "AI and Machine Learning",
    "ServiceName": _sku,
    "ChargeFrequency": lambda *_: "Usage-Based",
    "ConsumedQuantity": _tokens,
    "ConsumedUnit": lambda *_: "Tokens",
    "InvoiceId": lambda statement, _: statement.id,
    "PricingCategory": lambda *_: "Standard",
    "RegionId": lambda _, charge: charge.region,
    "RegionName": lambda _, charge: charge.region,
    "ServiceSubcategory": lambda *_: "Generative AI",
    "SkuId": _sku,
    "SkuPriceId": _sku,
    "SubAccountId": lambda _, charge: charge.team,
    "SubAccountName": lambda _, charge: charge.team,
    "Tags": _tags,
    "x_CostCentre": lambda _, charge: charge.cost_centre,
    "x_Department": lambda _, charge: charge.department,
    "x_Project": lambda _, charge: charge.project,
    "x_RequestCount": lambda _, charge: charge.requests,
    "x_SharedCost": lambda _, charge: charge.shared,
}
COLUMNS = MappingProxyType(_COLUMNS)
"""Each column, and what a charge has in it; `None` is null, an empty cell."""

MANDATORY = tuple(_COLUMNS)[: tuple(_COLUMNS).index("ServiceName") + 1]


def to_focus(document: Document) -> bytes:
    """The statement's charges as a FOCUS CSV."""
    statement = document.statement
    rows = [
        [column(statement, charge) for column in _COLUMNS.values()] for charge in document.charges
    ]
    return csv_of(tuple(_COLUMNS), rows)
