"""Chargeback over HTTP: who sees and closes what, and files that other programs open."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import openpyxl
import pytest
import pytest_asyncio

from llm_core.policy.roles import PLATFORM, Grant, Role
from policy_service.services.administrators import ROOT
from tests.fakes.running_service import ADMIN, Api, running_service
from tests.integration.sql.usage_rows import usage_row

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/admin/v1/chargebacks"
NUMBERS = count()
ACME = {"organisation": "acme"}
OCTOBER = {**ACME, "period": "2026-10"}
SPENT = {
    ("engineering", "search", "=1+1", "CC-1"): "1.000000000001",
    ("engineering", "search", None, None): "0.333333333333",
    ("sales", "emea", None, "CC-2"): "2.005",
    ("it", "platform", None, "CC-9"): "0.5",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_service(tmp_path_factory.mktemp("chargeback")) as running:
        for team, department in (("emea", "sales"), ("platform", "it")):
            for subject, record in (
                (f"department:{department}", {"organisation": "acme"}),
                (f"team:{team}", {"department": department}),
            ):
                await running.opened.administration.put(subject, record, ROOT)
        await running.opened.ledger.record(
            [
                usage_row(
                    f"dec_{number}",
                    at=datetime(2026, 10, 5, number, tzinfo=UTC),
                    department=department,
                    team=team,
                    project=project,
                    cost_centre=centre,
                    usd=Decimal(usd),
                )
                for number, ((department, team, project, centre), usd) in enumerate(SPENT.items())
            ]
        )
        yield running


async def token_of(api: Api, role: Role, node: str) -> dict[str, str]:
    name = f"{role}-{next(NUMBERS)}"
    issued = await api.opened.admin_tokens.issue(ROOT, name, (Grant(role, node),), None)
    return {"authorization": f"Bearer {issued.text}"}


async def ask(
    api: Api,
    method: str,
    path: str,
    headers: dict[str, str] = ADMIN,
    body: Any = None,
    **query: Any,
) -> Any:
    return await api.client.request(
        method, f"{PATH}{path}", headers=headers, json=body, params=query
    )


def money(rows: Any, column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


async def test_a_preview_shows_every_line_and_what_is_untagged(api: Api) -> None:
    found = (await ask(api, "GET", "/preview", **OCTOBER)).json()
    assert found["total_usd"] == "3.838333333334"
    assert money(found["lines"], "usd") == sum(map(Decimal, SPENT.values()))
    assert found["untagged_usd"] == "0.333333333333"
    assert (found["id"], found["tz"], found["from"]) == (None, "UTC", "2026-10-01T00:00:00Z")
    assert (found["to"], found["digest"]) == ("2026-11-01T00:00:00Z", None)


async def test_rules_are_set_shown_and_refused_in_words(api: Api) -> None:
    shared = {"name": "gateway", "match": {"team": "platform"}, "allocate": "usage"}
    body = {"shared": [shared], "currency": {"code": "EUR", "usd_rate": "0.92"}}
    assert (await ask(api, "PUT", "/rules", body=body, **ACME)).status_code == 200
    found = (await ask(api, "GET", "/rules", **ACME)).json()
    assert found == {**ACME, "shared": [{**shared, "shares": {}}], "currency": body["currency"]}
    # What was shown can be sent back as it is.
    assert (await ask(api, "PUT", "/rules", body=found, **ACME)).status_code == 200
    for wrong, why in (
        ({"shared": [{**shared, "match": {}}]}, "matches every call"),
        ({"shared": [{**shared, "allocate": "dice"}]}, "allocate"),
        ({"share": []}, "unknown field"),
        ({"shared": [], "organisation": "other"}, "another organisation"),
    ):
        refused = await ask(api, "PUT", "/rules", body=wrong, **ACME)
        assert refused.status_code == 400
        assert why in refused.json()["error"]["message"]


async def test_csv_xlsx_and_focus_add_up_to_the_ledger(api: Api) -> None:
    exact = sum(map(Decimal, SPENT.values()))
    answer = await ask(api, "GET", "/preview/export", format="csv", **OCTOBER)
    assert answer.headers["content-disposition"] == (
        'attachment; filename="chargeback-acme-2026-10-preview.csv"'
    )
    *rows, total = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert money(rows, "usd") == Decimal(total["usd"]) == exact
    assert money(rows, "billed_usd") == Decimal(total["billed_usd"]) == Decimal("3.84")
    assert {row["project"] for row in rows} == {"'=1+1", ""}

    answer = await ask(api, "GET", "/preview/export", format="xlsx", **OCTOBER)
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content))["Lines"]
    heads, *cells, last = sheet.iter_rows(values_only=True)
    at = {head: place for place, head in enumerate(heads)}
    assert all(isinstance(row[at["billed_usd"]], int | float) for row in [*cells, last])
    billed = sum(Decimal(str(row[at["billed_usd"]])) for row in cells)
    assert billed == Decimal(str(last[at["billed_usd"]])) == Decimal("3.84")
    assert last[at["requests"]] == len(SPENT)
    assert last[at["billed_eur"]] == pytest.approx(3.53)
    formula = next(cell for row in sheet.iter_rows() for cell in row if cell.value == "=1+1")
    assert formula.data_type != "n"

    answer = await ask(api, "GET", "/preview/export", format="focus", **OCTOBER)
    charges = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert money(charges, "BilledCost") == exact
    refused = await ask(api, "GET", "/preview/export", format="pdf", **OCTOBER)
    assert refused.status_code == 400


async def test_finance_closes_a_month_once_and_nobody_changes_it(api: Api) -> None:
    finance = await token_of(api, Role.FINANCE, "organisation:acme")
    early = await ask(api, "POST", "", finance, {**ACME, "period": "2026-11"})
    assert early.status_code == 409
    assert "not over before 2026-12-01" in early.json()["error"]["message"]
    made = await ask(api, "POST", "", finance, OCTOBER)
    assert made.status_code == 201, made.text
    closed = made.json()
    assert closed["closed_by"].startswith("admin_token:finance")
    again = await ask(api, "POST", "", finance, OCTOBER)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    late = usage_row("dec_late", at=datetime(2026, 10, 9, tzinfo=UTC), team="emea", usd=Decimal(1))
    await api.opened.ledger.record([late])
    found = (await ask(api, "GET", f"/{closed['id']}", finance)).json()
    assert Decimal(found.pop("adjustments_usd")) == 1
    assert found == {name: value for name, value in closed.items() if name != "adjustments_usd"}
    [row] = (await ask(api, "GET", "", finance)).json()["rows"]
    assert (row["id"], row["digest"]) == (closed["id"], closed["digest"])
    exported = await ask(api, "GET", f"/{closed['id']}/export", finance, format="csv")
    assert "chargeback-acme-2026-10.csv" in exported.headers["content-disposition"]
    for method in ("PUT", "PATCH", "DELETE"):
        assert (await ask(api, method, f"/{closed['id']}")).status_code == 404


async def test_a_manager_sees_the_lines_of_the_department_and_no_others(api: Api) -> None:
    [row] = (await ask(api, "GET", "")).json()["rows"]
    manager = await token_of(api, Role.DEPT_MANAGER, "department:sales")
    for path, query in (
        ("/preview", OCTOBER),
        (f"/{row['id']}", {}),
    ):
        found = (await ask(api, "GET", path, manager, **query)).json()
        assert {line["department"] for line in found["lines"]} == {"sales"}
        assert found["total_usd"] == found["lines"][0]["usd"]
        assert found["within"] == ["department:sales"]
        assert found["adjustments_usd"] is None
    [seen] = (await ask(api, "GET", "", manager)).json()["rows"]
    assert Decimal(seen["total_usd"]) < Decimal(row["total_usd"])
    for form in ("csv", "focus", "xlsx"):
        answer = await ask(api, "GET", f"/{row['id']}/export", manager, format=form)
        assert b"engineering" not in answer.content
        assert b"search" not in answer.content
    for method, path, body, query in (
        ("POST", "", {**ACME, "period": "2026-09"}, {}),
        ("PUT", "/rules", {}, ACME),
        ("GET", "/rules", None, ACME),
        ("POST", "/reconcile", {**OCTOBER, "provider": "openai", "invoice_csv": ""}, {}),
    ):
        assert (await ask(api, method, path, manager, body, **query)).status_code == 403, path


@pytest.mark.parametrize("role", list(Role))
async def test_roles_of_elsewhere_see_nothing_of_an_organisation(api: Api, role: Role) -> None:
    [row] = (await ask(api, "GET", "")).json()["rows"]
    other = await token_of(api, role, "organisation:other")
    for path, query, status in (
        ("", ACME, 403),
        ("/preview", OCTOBER, 403),
        ("/preview/export", OCTOBER, 403),
        ("/rules", ACME, 403),
        (f"/{row['id']}", {}, 404),
        (f"/{row['id']}/export", {}, 404),
    ):
        assert (await ask(api, "GET", path, other, **query)).status_code == status, path
    assert (await ask(api, "GET", "", other)).json()["rows"] == []


@pytest.mark.parametrize("role", list(Role))
async def test_who_may_close_is_who_the_table_says(api: Api, role: Role) -> None:
    may = role in {Role.PLATFORM_ADMIN, Role.ORG_ADMIN, Role.FINANCE}
    headers = await token_of(api, role, PLATFORM)
    answer = await ask(api, "POST", "", headers, OCTOBER)
    assert answer.status_code == (409 if may else 403)


async def test_an_invoice_is_compared_by_model_and_its_faults_are_told(api: Api) -> None:
    wanted = {**OCTOBER, "provider": "openai"}
    invoice = 'line_item,amount_value,amount_currency\n"gpt-4o-mini-2024-07-18, input",4,usd\n'
    answer = await ask(api, "POST", "/reconcile", body={**wanted, "invoice_csv": invoice})
    found = answer.json()
    [row] = found["rows"]
    assert row["model"] == "gpt-4o-mini-2024-07-18"
    assert Decimal(found["difference_usd"]) == 4 - Decimal(found["ledger_usd"])
    refused = await ask(
        api, "POST", "/reconcile", body={**wanted, "invoice_csv": "model,cost\nx,?\n"}
    )
    assert refused.status_code == 400
    assert "line 2: '?' is no amount" in refused.json()["error"]["message"]


async def test_what_is_not_there_is_told(api: Api) -> None:
    assert (await ask(api, "GET", "/chb_none")).status_code == 404
    for query in ({**ACME, "period": "2026-1"}, {"organisation": "none", "period": "2026-10"}):
        assert (await ask(api, "GET", "/preview", **query)).status_code == 400
    assert (await ask(api, "POST", "", body={"organisation": "acme"})).status_code == 400
