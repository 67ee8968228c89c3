"""A month is previewed, closed after a question, downloaded, and held against an invoice."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

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


def field(kinds: Any, name: str) -> Any:
    """The one field whose key begins so."""
    [found] = [one for one in kinds if str(one.key).startswith(f"{name}_")]
    return found


def filled(page: AppTest, name: str, match: str, by: str, shares: str = "") -> AppTest:
    """The form of a new rule, sent."""
    field(page.text_input, "rule_name").set_value(name)
    field(page.text_area, "rule_match").set_value(match)
    field(page.selectbox, "rule_by").set_value(by)
    field(page.text_area, "rule_shares").set_value(shares)
    return checked(field(page.button, "rule_see").click().run())


KEPT = [
    {"name": "shared search", "match": {"project": "search"}, "allocate": "usage", "shares": {}},
    {
        "name": "platform team",
        "match": {"team": "platform"},
        "allocate": "fixed",
        "shares": {"team:search": "0.4", "team:campaigns": "0.6"},
    },
]
EUR = {"code": "EUR", "usd_rate": "0.92"}


def test_a_rule_is_added_once_somebody_has_seen_what_changes(service: AdminService):
    page = filled(opened("chargeback"), "assistant", "application: assistant\nregion:", "heads")
    assert "**assistant** is new, as rule 3" in words(page)
    assert "application assistant, region none, divided by heads" in words(page)
    assert service.changes() == []
    new = {
        "name": "assistant",
        "match": {"application": "assistant", "region": ""},
        "allocate": "heads",
        "shares": {},
    }
    after = {"organisation": "acme", "shared": [*KEPT, new], "currency": EUR}
    service.say("PUT chargebacks/rules", after)
    page.button(key="rules_save").click().run()
    assert service.changes() == [("PUT", "chargebacks/rules", after)]
    [asked] = [one for one in service.asked if one.method == "PUT"]
    assert asked.query["organisation"] == ["acme"]
    assert "The rules are changed" in checked(page).success[0].value
    assert field(page.text_input, "rule_name").value == ""
    assert not [one for one in page.button if one.key == "rules_save"]


@pytest.mark.parametrize(
    ("match", "by", "shares", "why"),
    [
        ("", "use", "", "matches every call"),
        ("search", "use", "", "write it as project: search"),
        ("planet: mars", "use", "", "matches by"),
        ("team: a\nteam: b", "use", "", "two conditions"),
        ("team: a", "fixed shares", "", "it needs 1 to"),
        ("team: a", "fixed shares", "team:search 0.4", "add up to 0.4, not to 1"),
        ("team: a", "fixed shares", "team:search much", "write it as team:search 0.4"),
        ("team: a", "fixed shares", "team:x 0.5\nteam:x 0.5", "two shares"),
        ("team: a", "use", "team:search 1", "are for `fixed` only"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_before_anything_is_sent(
    match: str, by: str, shares: str, why: str, service: AdminService
):
    page = filled(opened("chargeback"), "one", match, by, shares)
    assert why in words(page).replace("\\", "")
    assert not [one for one in page.button if one.key == "rules_save"]
    assert service.changes() == []


def test_a_rule_is_changed_moved_and_taken_away(service: AdminService):
    page = opened("chargeback")
    page.selectbox(key="rule_chosen").set_value("2. platform team").run()
    assert field(page.text_area, "rule_shares").value == "team:search 0.4\nteam:campaigns 0.6"
    field(page.text_area, "rule_shares").set_value("team:search: 0.5\nteam:campaigns: 0.5")
    field(page.number_input, "rule_place").set_value(1)
    field(page.button, "rule_see").click().run()
    told = words(checked(page)).replace("\\", "")
    assert "(team:search 0.4, team:campaigns 0.6) becomes" in told
    assert "The order becomes platform team, shared search" in told
    page.button(key="rules_discard").click().run()
    assert "What changes" not in words(checked(page))
    field(page.button, "rule_away").click().run()
    assert "**platform team** is taken away" in words(checked(page))
    service.say("PUT chargebacks/rules", {"organisation": "acme", "shared": KEPT[:1]})
    page.button(key="rules_save").click().run()
    [(_, _, sent)] = service.changes()
    assert sent["shared"] == KEPT[:1]


@pytest.mark.parametrize(
    ("code", "rate", "sent"),
    [("CHF", "0.8", {"code": "CHF", "usd_rate": "0.8"}), ("", "", None)],
)
def test_the_currency_is_changed_or_left_out(
    code: str, rate: str, sent: dict[str, str] | None, service: AdminService
):
    page = opened("chargeback")
    page.selectbox(key="rule_chosen").set_value("The currency").run()
    field(page.text_input, "billed_code").set_value("usd")
    field(page.button, "billed_see").click().run()
    assert "three capital letters" in words(checked(page))
    field(page.text_input, "billed_code").set_value(code)
    field(page.text_input, "billed_rate").set_value(rate)
    field(page.button, "billed_see").click().run()
    assert "The currency: EUR" in words(checked(page))
    service.say("PUT chargebacks/rules", {"organisation": "acme", "shared": [], "currency": sent})
    page.button(key="rules_save").click().run()
    assert [one[2]["currency"] for one in service.changes()] == [sent]


def test_what_the_service_says_of_a_change_is_shown_and_it_can_be_tried_again(
    service: AdminService,
):
    page = filled(opened("chargeback"), "assistant", "application: assistant", "heads")
    service.answers["PUT /admin/v1/chargebacks/rules"] = refused(400, "Team search is no more.")
    page.button(key="rules_save").click().run()
    assert "Team search is no more." in checked(page).error[0].value
    service.answers["PUT /admin/v1/chargebacks/rules"] = refused(403, "Not on `acme`.")
    page.button(key="rules_save").click().run()
    assert "Not on `acme`." in words(checked(page))


def test_rules_that_somebody_else_changed_meanwhile_are_not_written_over(service: AdminService):
    page = filled(opened("chargeback"), "assistant", "application: assistant", "heads")
    service.say("GET chargebacks/rules", {"organisation": "acme", "shared": KEPT[:1]})
    page.button(key="rules_save").click().run()
    assert "have changed meanwhile" in checked(page).error[0].value
    assert service.changes() == []
    page.run()
    assert "have changed meanwhile" in words(checked(page))
    assert not [one for one in page.button if one.key == "rules_save"]


def test_who_may_not_change_the_rules_reads_them_only(service: AdminService):
    service.answers["GET /admin/v1/whoami"] = admin_answers.viewer("auditor", "organisation:acme")
    page = opened("chargeback")
    assert "divided by use" in "\n".join(one.value for one in page.markdown)
    assert not [one for one in page.selectbox if one.key == "rule_chosen"]
