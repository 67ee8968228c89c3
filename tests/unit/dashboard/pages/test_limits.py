"""Limits and where they stand; a raise is given and ended."""

from collections.abc import Iterator
from datetime import date

import pytest

from tests.fakes.admin_service import AdminService, Answer, refused
from tests.fixtures import admin_answers
from tests.fixtures.dashboard_page import checked, metrics, opened, served, table, words


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminService]:
    with served(admin_answers.full(), monkeypatch) as running:
        yield running


def test_the_fullest_limit_stands_first_in_its_own_unit(service: AdminService):
    page = opened("limits")
    states = table(page, "Limits and where they stand")
    assert states["node"].to_list()[0] == "team:platform"
    assert states["used"].to_list()[0] == "$511.20"
    assert "61,200" in states["used"].to_list()
    assert metrics(page) == {"Limits": "7", "Used up": "1", "Over 80 %": "0", "Raised": "1"}


def test_limits_are_found_by_whose_they_are(service: AdminService):
    page = opened("limits", node="user:")
    assert table(page, "Limits and where they stand")["node"].to_list() == ["user:sam"]


def test_a_limit_is_raised_until_the_end_of_a_day(service: AdminService):
    service.say("POST limits/raises", admin_answers.RAISE | {"amount": "25.5"}, 201)
    page = opened("limits")
    page.selectbox(key="raised").select_index(1)
    page.text_input(key="raise_amount").set_value("25.5")
    page.date_input(key="raise_until").set_value(date(2026, 11, 27))
    page.text_input(key="raise_reason").set_value("the launch")
    page.button(key="raise_it").click().run()
    assert "team:search has 25.5 more USD per month" in checked(page).success[0].value
    [(method, path, sent)] = service.changes()
    assert (method, path) == ("POST", "limits/raises")
    assert sent == {
        "node": "team:search",
        "measure": "usd_per_month",
        "scope": "",
        "amount": "25.5",
        "until": "2026-11-27T23:59:59Z",
        "reason": "the launch",
    }


@pytest.mark.parametrize(
    ("amount", "reason"),
    [("", "x"), ("much", "x"), ("-1", "x"), ("0", "x"), ("nan", "x"), ("5", " ")],
)
def test_a_raise_that_makes_no_sense_is_not_sent(amount: str, reason: str, service: AdminService):
    page = opened("limits")
    page.text_input(key="raise_amount").set_value(amount)
    page.text_input(key="raise_reason").set_value(reason)
    page.button(key="raise_it").click().run()
    assert "a number above zero, and why" in checked(page).warning[0].value
    assert service.changes() == []


def test_what_the_service_refuses_is_told_in_its_words(service: AdminService):
    told = "None of your roles permits `limits.raise` above `team:search`."
    service.answers["POST /admin/v1/limits/raises"] = refused(403, told)
    page = opened("limits")
    page.text_input(key="raise_amount").set_value("5")
    page.text_input(key="raise_reason").set_value("x")
    page.button(key="raise_it").click().run()
    assert told in words(checked(page))


def test_a_raise_is_ended_after_a_second_yes(service: AdminService):
    service.answers["DELETE /admin/v1/limits/raises/rse_1"] = Answer(None, 204)
    page = opened("limits")
    page.selectbox(key="ended").select_index(0).run()
    page.button(key="withdraw").click().run()
    assert service.changes() == []
    page.button(key="withdraw_yes").click().run()
    assert service.changes() == [("DELETE", "limits/raises/rse_1", None)]
    assert "has ended" in checked(page).success[0].value


def test_who_may_not_raise_is_offered_nothing(service: AdminService):
    service.answers["GET /admin/v1/whoami"] = admin_answers.viewer("auditor", "organisation:acme")
    page = opened("limits")
    assert "You may not raise limits" in words(page)
    assert not [one for one in page.button if one.key in ("raise_it", "withdraw")]
