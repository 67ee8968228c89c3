"""The frame around the pages: who gets in, and which pages they are offered."""

from datetime import date

import pytest

from dashboard.api.identity import Held, Viewer
from dashboard.navigation import PAGES, offered
from llm_core.policy.roles import ROLES, Role
from tests.fakes.admin_service import Answer, refused
from tests.fixtures import admin_answers
from tests.fixtures.dashboard_page import metrics, opened, served
from tests.unit.dashboard.test_settings import SIGN_IN


def _viewer(role: Role) -> Viewer:
    permissions = tuple(one.value for one in ROLES[role])
    return Viewer("user:x", "oidc", (Held(role, "organisation:acme", permissions),))


def _offered(viewer: Viewer | None) -> set[str]:
    return {entry.file for entries in offered(viewer).values() for entry in entries}


def test_everybody_is_offered_the_pages_that_their_roles_let_them_see():
    member = {"overview", "costs", "usage", "reliability", "alerts", "approvals", "mine"}
    manager = member | {"chargeback", "limits"}
    assert _offered(None) == {entry.file for entry in PAGES}
    assert _offered(_viewer(Role.MEMBER)) == member
    assert _offered(_viewer(Role.DEPT_MANAGER)) == manager
    assert _offered(_viewer(Role.AUDITOR)) == {entry.file for entry in PAGES}
    assert _offered(_viewer(Role.PLATFORM_ADMIN)) == {entry.file for entry in PAGES}


def test_every_page_that_is_listed_has_its_file_and_no_other_does():
    from dashboard.navigation import FOLDER  # noqa: PLC0415 - beside what is compared with it

    assert {entry.file for entry in PAGES} == {one.stem for one in FOLDER.glob("*.py")}


def test_no_page_is_longer_than_a_page_should_be():
    from dashboard.navigation import FOLDER  # noqa: PLC0415

    for file in FOLDER.glob("*.py"):
        assert len(file.read_text("utf-8").splitlines()) <= 250, file.name


def test_the_app_opens_on_the_overview_and_says_who_looks(monkeypatch: pytest.MonkeyPatch):
    with served(admin_answers.full(), monkeypatch):
        page = opened("app")
        assert page.title[0].value == "Overview"
        assert metrics(page)["Budget"] == "$1,500.00"
        assert [one.value for one in page.sidebar.caption] == ["user:carol"]


def test_amounts_can_be_switched_where_a_second_currency_is_set(monkeypatch: pytest.MonkeyPatch):
    rate = {"DASHBOARD_CURRENCY": "EUR", "DASHBOARD_USD_RATE": "0.5"}
    with served(admin_answers.full(), monkeypatch, **rate):
        page = opened("app")
        page.segmented_control(key="currency").set_value("EUR").run()
        assert not page.exception
        assert metrics(page)["Budget"] == "€750.00"


def test_where_people_sign_in_nobody_else_gets_past_the_door(monkeypatch: pytest.MonkeyPatch):
    """Also where Streamlit was started without being told how: closed, and not open."""
    with served(admin_answers.full(), monkeypatch, **SIGN_IN) as service:
        page = opened("app")
        assert page.title[0].value == "Gatehouse"
        assert page.button(key="sign_in").label == "Sign in"
        assert not any((service.asked, page.metric, page.dataframe))


def test_who_brings_a_token_looks_by_it_and_by_no_other(monkeypatch: pytest.MonkeyPatch):
    with served(admin_answers.full(), monkeypatch, DASHBOARD_ADMIN_TOKEN="") as service:
        page = opened("app")
        assert page.title[0].value == "Gatehouse"
        assert not any((service.asked, page.metric, page.dataframe))
        page.text_input(key="token").input(" ga-mine ")
        page.button(key="come_in").click().run()
        assert page.title[0].value == "Overview"
        assert {one.token for one in service.asked} == {"ga-mine"}
        assert [one.value for one in page.sidebar.caption] == ["user:carol"]
        page.button(key="sign_out").click().run()
        assert page.title[0].value == "Gatehouse"
        assert not any((page.metric, page.dataframe))


@pytest.mark.parametrize(
    ("token", "failure", "told"),
    [
        ("ga-unknown", refused(401, "There is no such token."), "There is no such token."),
        ("ga-mine", refused(503, ""), "readyz"),
        ("", None, "one word"),
        ("two words", None, "one word"),
        ("sch\N{LATIN SMALL LETTER O WITH DIAERESIS}n", None, "one word"),
    ],
)
def test_a_token_that_is_nobodys_does_not_open_the_door(
    monkeypatch: pytest.MonkeyPatch, token: str, failure: Answer | None, told: str
):
    with served(admin_answers.full(), monkeypatch, DASHBOARD_ADMIN_TOKEN="") as service:
        service.failure = failure
        page = opened("app")
        page.text_input(key="token").input(token)
        page.button(key="come_in").click().run()
        assert page.title[0].value == "Gatehouse"
        assert told in page.error[0].value
        assert not any((page.metric, page.dataframe))


def test_a_token_that_was_revoked_leads_back_to_the_door(monkeypatch: pytest.MonkeyPatch):
    with served(admin_answers.full(), monkeypatch, DASHBOARD_ADMIN_TOKEN="") as service:
        page = opened("costs", {"_own_token": "ga-mine"})
        assert page.metric
        service.failure = refused(401, "The token was revoked.")
        page = opened("costs", {"_own_token": "ga-mine", "today": date(2026, 11, 19)})
        assert "The token was revoked." in page.warning[0].value
        assert not page.metric
        page.button(key="sign_in").click().run()
        assert "You are not signed in." in page.warning[0].value


def test_a_page_without_its_door_asks_nobody_in_the_name_of_nobody(
    monkeypatch: pytest.MonkeyPatch,
):
    with served(admin_answers.full(), monkeypatch, **SIGN_IN) as service:
        page = opened("costs")
        assert "You are not signed in." in page.warning[0].value
        assert service.asked == []


def test_nothing_is_drawn_anew_before_a_browser_has_left_for_the_identity_provider(
    monkeypatch: pytest.MonkeyPatch,
):
    """Streamlit drops what it has not sent yet when a run begins, where to go among it."""
    left: list[str] = []

    def draw_anew() -> None:
        raise AssertionError("drawn anew")

    monkeypatch.setattr("streamlit.login", lambda: left.append("to the provider"))
    monkeypatch.setattr("streamlit.rerun", draw_anew)
    with served(admin_answers.full(), monkeypatch, **SIGN_IN):
        page = opened("costs")
        page.button(key="sign_in").click().run()
        assert not page.exception
        assert left == ["to the provider"]
