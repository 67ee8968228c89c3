"""Providers' cost exports, with the heads that they have, against the ledger."""

from decimal import Decimal

import pytest

from llm_core.chargeback.invoice import InvoiceUnreadable, read_invoice
from llm_core.chargeback.reconcile import reconciled

OPENAI = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,"
    "quantity_unit,line_item,user_id,api_key_id,project_id\n"
    '1,2,a,b,1.25,usd,1,tokens,"gpt-4o-mini-2024-07-18, input",,,p\n'
    '1,2,a,b,0.0000008958740000000000,usd,1,tokens,"gpt-4o-mini-2024-07-18, output",,,p\n'
    "2,3,b,c,,,,,,,,\n"
    "2,3,b,c,2,usd,1,,Code Interpreter Sessions,,,p\n"
)
ANTHROPIC = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,"
    "list_price_usd,cost_type\r\n"
    "2026-11-06,Claude Sonnet 4.5,Default,k,message,≤ 200k,input_no_cache,0.01,0.01,token\r\n"
)
AZURE = (
    "Date;MeterName;CostInBillingCurrency;BillingCurrency\n"
    "11/06/2026;gpt 4o mini 0718 Input global Tokens;1,234.50;USD\n"
)
AWS = (
    "line_item_usage_type,line_item_unblended_cost,line_item_currency_code\n"
    "claude-sonnet-4-5-input-tokens,3.5,USD\n"
)
GCP = "Service description,SKU description,Cost ($)\nVertex,Gemini 2.5 Flash Text Input,$0.75\n"
FOCUS = "BilledCost,BillingCurrency,SkuId\n-1.5,USD,gpt-4o\n"


@pytest.mark.parametrize(
    ("provider", "text", "found"),
    [
        ("anthropic", ANTHROPIC, [("Claude Sonnet 4.5", "0.01")]),
        ("azure_openai", AZURE, [("gpt 4o mini 0718 Input global Tokens", "1234.50")]),
        ("bedrock", AWS, [("claude-sonnet-4-5-input-tokens", "3.5")]),
        ("vertex", GCP, [("Gemini 2.5 Flash Text Input", "0.75")]),
        ("mistral", FOCUS, [("gpt-4o", "-1.5")]),
        ("openai", "\ufeffModel\tCost\nx\t1e-3\n\n", [("x", "0.001")]),
    ],
)
def test_the_columns_of_each_export_are_guessed(
    provider: str, text: str, found: list[tuple[str, str]]
) -> None:
    lines = read_invoice(text, provider)
    assert [(line.model, line.usd) for line in lines] == [
        (model, Decimal(usd)) for model, usd in found
    ]


def test_lines_without_an_amount_ask_for_nothing_and_none_is_rounded() -> None:
    lines = read_invoice(OPENAI, "openai")
    assert [line.number for line in lines] == [2, 3, 5]
    assert sum(line.usd for line in lines) == Decimal("3.250000895874")


def test_columns_can_be_named() -> None:
    [line] = read_invoice("was,kostet\nx,2\n", "other", {"model": "Was", "usd": "kostet"})
    assert (line.model, line.usd) == ("x", 2)


@pytest.mark.parametrize(
    ("text", "columns", "why"),
    [
        ("", {}, "no column for model .*line_item.* and none for usd .*nothing"),
        ("model,tokens\nx,1\n", {}, "no column for usd .*first line has model, tokens"),
        ("a,b\n1,2\n", {"model": "a", "usd": "c"}, r"no column for usd \(one of c\)"),
        ("model,cost\n", {"money": "cost"}, "names 'money'; it may name model, usd"),
        ("model,cost\nx,1\ny,much\nz,\n,2,5\nw,1;5\n", {}, "line 3: 'much' .*line 6: '1;5'"),
        ("model,cost\nx\n", {}, "line 2: it has 1 cells"),
        ("model,cost,currency\nx,1,EUR\n", {}, "line 2: it is in EUR; only USD"),
        ("model,cost\n" + "x,?\n" * 9, {}, "line 6: .*and 4 lines more"),
        ("model,cost\nx,NaN\n", {}, "line 2: 'NaN'"),
    ],
)
def test_what_cannot_be_read_is_told_by_column_and_line(
    text: str, columns: dict[str, str], why: str
) -> None:
    with pytest.raises(InvoiceUnreadable, match=why):
        read_invoice(text, "openai", columns)


def test_models_are_matched_over_the_names_that_providers_give_them() -> None:
    invoice = [
        *read_invoice(OPENAI, "openai"),
        *read_invoice(ANTHROPIC, "anthropic"),
        *read_invoice(AZURE, "azure"),
    ]
    ledger = {
        "gpt-4o-mini-2024-07-18": Decimal("1235.75"),
        "gpt-4o-2024-08-06": Decimal(7),
        "claude-sonnet-4-5-20250929": Decimal("0.01"),
        None: Decimal("0.5"),
    }
    found = reconciled(invoice, ledger)
    rows = {row.model: row for row in found.rows}
    # 1.25 and a little for output from OpenAI, 1234.50 from Azure.
    assert rows["gpt-4o-mini-2024-07-18"].difference_usd == Decimal("0.000000895874")
    assert rows["claude-sonnet-4-5-20250929"].difference_usd == 0
    assert rows["gpt-4o-mini-2024-07-18"].note == "matched by the beginning of its name"
    assert rows["gpt-4o-2024-08-06"].note.startswith("only in the ledger")
    assert rows["(no model)"].ledger_usd == Decimal("0.5")
    assert rows["Code Interpreter Sessions"].note.startswith("only on the invoice")
    assert found.invoiced_usd == sum(row.invoiced_usd for row in found.rows)
    assert found.ledger_usd == sum(ledger.values())
    assert found.difference_usd == found.invoiced_usd - found.ledger_usd
