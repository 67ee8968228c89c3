"""A request is looked at and decided: granted, cut, refused, revoked."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

from tests.fakes.admin_service import AdminService, refused
from tests.fixtures import admin_answers
from tests.fixtures.dashboard_page import checked, metrics, opened, served, table, words

WAITING = "apr_01kaf3v2"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminService]:
    with served(admin_answers.full(), monkeypatch) as running:
        granted = admin_answers.APPROVAL | {"state": "granted", "granted_usd": "20"}
        refusal = admin_answers.APPROVAL | {"state": "refused"}
        revoked = admin_answers.GRANTED | {"state": "revoked"}
        running.say(f"POST approvals/{WAITING}/grant", granted)
        running.say(f"POST approvals/{WAITING}/refuse", refusal)
        running.say("POST approvals/apr_01kaf000/revoke", revoked)
        yield running


def test_what_waits_and_what_was_decided_stand_apart(service: AdminService):
    page = opened("approvals")
    assert table(page, "queue")["requester"].to_list() == ["user:sam"]
    assert table(page, "past")["requester"].to_list() == ["user:pat"]
    assert table(page, "past")["steps"].to_list() == [
        "request by user:pat on 2026-11-09; grant by user:carol on 2026-11-10"
    ]
    assert not [one for one in page.button if one.key == "grant"]


def test_a_link_to_a_request_shows_what_is_needed_to_decide(service: AdminService):
    page = opened("approvals", approval=WAITING)
    assert any("the launch of ranking v3" in one.value for one in page.markdown)
    assert metrics(page)["Asked"] == "$50.00"
    prices = table(page, "Prices of o1-pro for a million tokens")
    assert prices["deployment"].to_list() == ["openai-o1-pro", "openai-o1-pro", "azure-o1-pro"]
    assert prices["input"].to_list() == [Decimal(150), Decimal(300), None]
    assert prices["cached_input"].to_list() == [Decimal(150), Decimal(300), None]
    assert prices["inputs"].to_list() == ["all", "over 200,000 tokens", "no price is known"]
    assert table(page, "Steps of this request")["step"].to_list() == ["request"]
    assert table(page, "Earlier requests of this team for this model")["granted_usd"].to_list()


def test_what_waits_is_shown_with_what_policy_said(service: AdminService):
    page = opened("approvals", approval=WAITING)
    assert table(page, "queue")["policy"].to_list() == ["approval_required"]
    told = [one.value.replace("\\", "") for one in page.markdown]
    # In full, where it is wrapped: at the list, and at the request that is open.
    said = "- **approval_required** (llm.approvals): The model o1-pro needs an approval."
    assert told.count(said) == 2
    [ground] = table(page, "Why policy refused this team this model").to_dict("records")
    assert (ground["code"], ground["rule"]) == ("approval_required", "llm.approvals")
    assert ground["count"] == 3
    asked = [one for one in service.asked if one.path.endswith("refusals")]
    assert {one.query["team"][0] for one in asked} == {"search"}
    assert {one.query["from"][0] for one in asked} == {"2026-10-22"}


def test_who_may_not_see_decisions_sees_what_waits_all_the_same(service: AdminService):
    service.answers["GET /admin/v1/refusals"] = refused(403, "Not yours.")
    page = opened("approvals", approval=WAITING)
    assert table(page, "queue")["policy"].to_list() == [""]
    assert any("None of its calls" in one.value for one in page.caption)


def test_choosing_one_in_the_list_opens_it(service: AdminService):
    page = opened("approvals")
    page.selectbox(key="chosen_waiting").set_value(WAITING).run()
    assert page.query_params["approval"] in (WAITING, [WAITING])
    assert metrics(checked(page))["Asked"] == "$50.00"


def test_a_grant_as_it_was_asked_for_leaves_the_end_alone(service: AdminService):
    page = opened("approvals", approval=WAITING)
    page.button(key="grant").click().run()
    [(_, path, sent)] = service.changes()
    assert path == f"approvals/{WAITING}/grant"
    assert sent == {"reason": "", "amount_usd": "50"}
    assert "Granted: o1-pro for user:sam" in checked(page).success[0].value


def test_a_grant_can_be_cut_in_amount_and_time(service: AdminService):
    page = opened("approvals", approval=WAITING)
    page.text_input(key="grant_amount").set_value("20")
    page.date_input(key="grant_until").set_value(date(2026, 11, 22))
    page.text_area(key="decision_reason").set_value("to begin with")
    page.button(key="grant").click().run()
    [(_, _, sent)] = service.changes()
    assert sent == {
        "reason": "to begin with",
        "amount_usd": "20",
        "until": "2026-11-22T23:59:59Z",
    }


def test_a_refusal_needs_a_reason(service: AdminService):
    page = opened("approvals", approval=WAITING)
    page.button(key="refuse").click().run()
    assert "Say why" in page.warning[0].value
    assert service.changes() == []
    page.text_area(key="decision_reason").set_value("gpt-4o does it")
    page.button(key="refuse").click().run()
    assert service.changes() == [
        ("POST", f"approvals/{WAITING}/refuse", {"reason": "gpt-4o does it"})
    ]


def test_an_amount_that_is_no_number_is_not_sent(service: AdminService):
    page = opened("approvals", approval=WAITING)
    page.text_input(key="grant_amount").set_value("a lot")
    page.button(key="grant").click().run()
    assert "as a number" in page.warning[0].value
    assert service.changes() == []


def test_a_decision_that_somebody_else_made_first_is_told(service: AdminService):
    told = "It is refused already."
    service.answers[f"POST /admin/v1/approvals/{WAITING}/grant"] = refused(409, told)
    page = opened("approvals", approval=WAITING)
    page.button(key="grant").click().run()
    assert told in checked(page).error[0].value


def test_a_grant_is_revoked_after_a_reason_and_a_second_yes(service: AdminService):
    page = opened("approvals", approval="apr_01kaf000")
    assert page.button(key="revoke").disabled
    page.text_input(key="revoke_reason").set_value("the launch is over").run()
    page.button(key="revoke").click().run()
    assert service.changes() == []
    page.button(key="revoke_yes").click().run()
    sent = {"reason": "the launch is over"}
    assert service.changes() == [("POST", "approvals/apr_01kaf000/revoke", sent)]


def test_nobody_decides_for_themselves(service: AdminService):
    mine = admin_answers.APPROVAL | {"requester": "user:carol"}
    service.say(f"GET approvals/{WAITING}", mine)
    page = opened("approvals", approval=WAITING)
    assert "Somebody else has to decide" in words(page)
    assert not [one for one in page.button if one.key == "grant"]


def test_nobody_decides_without_the_role(service: AdminService):
    service.answers["GET /admin/v1/whoami"] = admin_answers.viewer("auditor", "organisation:acme")
    page = opened("approvals", approval=WAITING)
    assert "You may not decide" in words(page)
    assert not [one for one in page.button if one.key == "grant"]


def test_a_request_that_is_not_there_is_said_not_to_be(service: AdminService):
    page = opened("approvals", approval="../keys")
    assert "There is no such thing here." in words(page)
    assert "/admin/v1/approvals/..%2Fkeys" in {one.path for one in service.asked}
