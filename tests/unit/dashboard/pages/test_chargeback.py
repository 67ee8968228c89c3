"""A month is previewed, closed after a question, downloaded, and held against an invoice."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.fakes.admin_service import AdminService, refused
from tests.fixtures import admin_answers
from tests.fixtures.dashboard_page import checked, metrics, opened, served, table, words

PERIOD = "October 2026"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminService]:
    with served(admin_answers.full(), monkeypatch) as running:
        yield running


def test_the_lines_add_up_and_untagged_spend_is_among_them(service: AdminService):
    page = opened("chargeback", month=PERIOD)
    lines = table(page, "What each unit is charged")
    assert lines["usd"].to_list()[-1] == Decimal("1000.000000000003")
    assert "(untagged)" in lines["cost_centre"].to_list()
    assert metrics(page)["Untagged"] == "$0.000000000001"
    assert "is a preview" in words(page)


def test_the_rules_are_shown(service: AdminService):
    page = opened("chargeback", month=PERIOD)
    told = "\n".join(one.value for one in page.markdown)
    assert "divided by use" in told
    assert "divided by fixed shares" in told


def test_a_month_is_closed_only_after_a_second_yes(service: AdminService):
    page = opened("chargeback", month=PERIOD)
    service.say("POST chargebacks", admin_answers.CLOSED | {"period": "2026-10"}, 201)
    page.button(key="close").click().run()
    assert "for good" in page.warning[0].value
    assert service.changes() == []
    page.button(key="close_no").click().run()
    assert service.changes() == []
    page.button(key="close").click().run()
    page.button(key="close_yes").click().run()
    sent = {"organisation": "acme", "period": "2026-10"}
    assert service.changes() == [("POST", "chargebacks", sent)]
    assert "October 2026 is closed" in checked(page).success[0].value


def test_a_month_that_somebody_else_closed_meanwhile_is_told(service: AdminService):
    page = opened("chargeback", month=PERIOD)
    service.answers["POST /admin/v1/chargebacks"] = refused(409, "It is closed already.")
    page.button(key="close").click().run()
    page.button(key="close_yes").click().run()
    assert "It is closed already." in checked(page).error[0].value


def test_a_month_that_is_not_over_cannot_be_closed(service: AdminService):
    page = opened("chargeback")
    assert page.button(key="close").disabled


def test_who_may_not_close_has_no_button(service: AdminService):
    service.answers["GET /admin/v1/whoami"] = admin_answers.viewer("auditor", "organisation:acme")
    page = opened("chargeback", month=PERIOD)
    assert not [one for one in page.button if one.key == "close"]


def test_a_closed_month_says_who_closed_it_and_its_digest(service: AdminService):
    page = opened("chargeback", month="September 2026")
    assert "user:fiona" in words(page)
    assert admin_answers.DIGEST in words(page)
    assert not [one for one in page.button if one.key == "close"]


@pytest.mark.parametrize(("kind", "ends"), [("csv", "csv"), ("xlsx", "xlsx"), ("focus", "csv")])
def test_files_are_asked_for_when_somebody_wants_them(kind: str, ends: str, service: AdminService):
    page = opened("chargeback", month=PERIOD)
    assert not [one for one in service.asked if one.path.endswith("export")]
    page.button(key=f"get_{kind}").click().run()
    [asked] = [one for one in checked(page) and service.asked if one.path.endswith("export")]
    assert asked.query["format"] == [kind]
    [button] = [one for one in page.download_button if one.key == f"save_{kind}"]
    assert button.label == f"Save chargeback-2026-10.{ends}"


def test_an_invoice_is_held_against_the_ledger(service: AdminService):
    found = {
        "rows": [
            {
                "model": "gpt-4o",
                "invoiced_usd": "101",
                "ledger_usd": "100",
                "difference_usd": "1",
                "note": "one call is missing",
            }
        ],
        "invoiced_usd": "101",
        "ledger_usd": "100",
        "difference_usd": "1",
    }
    service.say("POST chargebacks/reconcile", found)
    page = opened("chargeback", month=PERIOD)
    page.button(key="compare").click().run()
    assert "choose its invoice" in words(page)
    page.text_input(key="invoice_provider").set_value("openai")
    page.file_uploader(key="invoice").upload("invoice.csv", b"model,usd\ngpt-4o,101\n", "text/csv")
    page.button(key="compare").click().run()
    assert "differ by 1 USD" in words(checked(page))
    [(_, path, sent)] = service.changes()
    assert path == "chargebacks/reconcile"
    assert sent["invoice_csv"] == "model,usd\ngpt-4o,101\n"
    assert sent["provider"] == "openai"
    assert table(page, "An invoice beside the ledger")["note"].to_list() == [
        "one call is missing",
        "",
    ]


def test_a_departments_manager_is_asked_about_the_organisation_above(service: AdminService):
    service.answers["GET /admin/v1/whoami"] = admin_answers.viewer(
        "dept_manager", "department:research"
    )
    service.say(
        "GET organisation/parts/department%3Aresearch",
        {"path": ["department:research", "organisation:acme"]},
    )
    page = opened("chargeback", month=PERIOD)
    asked = [one for one in service.asked if one.path.endswith("preview")]
    assert [one.query["organisation"] for one in asked] == [["acme"]]
    assert not [one for one in service.asked if one.path.endswith("rules")]
    assert not [one for one in page.button if one.key in ("close", "compare")]
