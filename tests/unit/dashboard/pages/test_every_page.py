"""What holds for every page: with data, without, without a role, without a service."""

from collections.abc import Iterator
from datetime import date

import pytest

from dashboard.navigation import PAGES, Entry
from tests.fakes.admin_service import AdminService, Answer, refused
from tests.fixtures import admin_answers
from tests.fixtures.dashboard_page import metrics, opened, served, words

AUCKLAND = "Pacific/Auckland"
NAMED = [pytest.param(entry, id=entry.file) for entry in PAGES]
NOT_MINE = [pytest.param(entry, id=entry.file) for entry in PAGES if entry.file != "mine"]
SECOND_READS = {
    "overview": "costs/summary",
    "costs": "costs",
    "chargeback": "chargebacks",
    "limits": "limits/states",
    "usage": "costs",
    "reliability": "reliability",
    "alerts": "incidents",
    "approvals": "approvals",
    "policy": "policies",
    "audit": "audit/chain",
}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminService]:
    with served(admin_answers.full(), monkeypatch) as running:
        yield running


@pytest.mark.parametrize("entry", NAMED)
def test_it_shows_what_there_is(entry: Entry, service: AdminService):
    page = opened(entry.file)
    assert page.title[0].value == entry.title
    assert not any((page.error, page.warning)), words(page)
    assert entry.file in {"mine", "usage"} or page.dataframe
    assert service.changes() == []


@pytest.mark.parametrize("entry", NAMED)
def test_where_there_is_nothing_it_says_what_to_do(entry: Entry, monkeypatch: pytest.MonkeyPatch):
    with served(admin_answers.empty(), monkeypatch):
        page = opened(entry.file)
    assert not any((page.error, page.warning)), words(page)
    assert entry.file == "mine" or page.info or page.success
    assert not [one for one in page.dataframe if not one.value.empty]


@pytest.mark.parametrize("entry", NAMED)
def test_a_service_that_is_down_is_said_to_be_down_and_can_be_tried_again(
    entry: Entry, service: AdminService
):
    service.failure = refused(503, "")
    page = opened(entry.file)
    assert "policy service answered 503" in page.error[0].value
    assert "readyz" in page.error[0].value
    assert not any((page.metric, page.dataframe))
    service.failure = None
    page.button(key="retry").click().run()
    assert not page.exception
    assert not page.error


@pytest.mark.parametrize("entry", NOT_MINE)
def test_who_has_no_role_is_told_so_in_words(entry: Entry, service: AdminService):
    service.answers["GET /admin/v1/whoami"] = admin_answers.nobody()
    page = opened(entry.file)
    assert "You may not see this" in page.info[0].value
    assert "Ask your team's owner" in page.info[0].value
    assert not any((page.metric, page.dataframe, page.error))
    assert {one.path for one in service.asked} == {"/admin/v1/whoami"}


@pytest.mark.parametrize("entry", NOT_MINE)
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer({"detail": "Not Found"}, 404), "does not offer this"),
        (refused(403, "None of your roles permits it here."), "None of your roles permits it"),
    ],
)
def test_a_part_that_cannot_be_had_is_told_in_its_place(
    entry: Entry, answer: Answer, told: str, service: AdminService
):
    service.answers[f"GET /admin/v1/{SECOND_READS[entry.file]}"] = answer
    page = opened(entry.file)
    assert told in words(page)
    assert not page.error, words(page)


@pytest.mark.parametrize("entry", NOT_MINE)
def test_an_account_that_is_switched_off_sees_nothing(entry: Entry, service: AdminService):
    service.failure = refused(403, "The account was switched off.")
    page = opened(entry.file)
    assert "The account was switched off." in page.info[0].value
    assert not any((page.metric, page.dataframe))


@pytest.mark.parametrize("entry", NAMED)
def test_without_settings_it_names_what_is_missing(entry: Entry, monkeypatch: pytest.MonkeyPatch):
    with served({}, monkeypatch, DASHBOARD_POLICY_URL=""):
        page = opened(entry.file)
    assert "DASHBOARD_POLICY_URL" in page.error[0].value


def test_amounts_are_shown_in_the_currency_of_the_address(monkeypatch: pytest.MonkeyPatch):
    rate = {"DASHBOARD_CURRENCY": "EUR", "DASHBOARD_USD_RATE": "0.5"}
    with served(admin_answers.full(), monkeypatch, **rate):
        in_usd = metrics(opened("overview"))
        in_eur = metrics(opened("overview", currency="EUR"))
        unknown = metrics(opened("overview", currency="XYZ"))
    assert in_usd["Budget"] == "$1,500.00"
    assert in_eur["Budget"] == "€750.00"
    assert unknown == in_usd


def test_this_month_is_the_organisations(monkeypatch: pytest.MonkeyPatch):
    """Noon of 30 November, in London, is 1 December in Auckland."""
    answers = admin_answers.full()
    viewer = answers["GET /admin/v1/whoami"]
    assert isinstance(viewer, Answer)
    here = {**answers, "GET /admin/v1/whoami": Answer({**viewer.body, "time_zone": AUCKLAND})}
    for served_answers, month in ((answers, "2026-11"), (here, "2026-12")):
        with served(served_answers, monkeypatch) as service:
            opened("overview", {"today": date(2026, 11, 30)})
            opened("costs", {"today": date(2026, 11, 30)})
        [budgets] = [one for one in service.asked if one.path.endswith("/budgets")]
        assert budgets.query["month"] == [month]
        [groups] = [
            one
            for one in service.asked
            if one.path.endswith("/costs")
            and one.query.get("group_by") == ["department"]
            and one.query["interval"] == ["none"]
        ]
        assert groups.query["from"] == [f"{month}-01"]
