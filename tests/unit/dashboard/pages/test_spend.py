"""The page as a browser would see it, with a fake in the policy service's place."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import dashboard
from dashboard.usage_api import (
    BudgetRow,
    CallRow,
    NotPermitted,
    SignInNeeded,
    SpendRow,
    UsageUnavailable,
)
from tests.fakes.usage_api import FakeUsageApi
from tests.unit.dashboard.test_settings import SIGN_IN

HERE = Path(str(dashboard.__file__)).parent
TIMEOUT_S = 60
CALL = CallRow(
    at=datetime(2026, 11, 20, 12, tzinfo=UTC),
    team="fraud",
    asked_model="smart",
    served_model="gpt-4o",
    http_status=200,
    error_class="none",
    input_tokens=10,
    output_tokens=20,
    usd=Decimal("0.000431"),
    total_ms=812.0,
)


def _api() -> FakeUsageApi:
    return FakeUsageApi(
        spends={
            "2026-11": (
                SpendRow("Risk", "fraud", "gpt-4o", 1200, 900_000, 100_000, Decimal("12.5")),
                SpendRow("Risk", "credit", "claude", 10, 1, 1, Decimal("0.000000000001")),
                SpendRow("HR", "people", "gpt-4o", 5, 1, 1, Decimal(3)),
            ),
            "2026-10": (SpendRow("HR", "people", "gpt-4o", 7, 1, 1, Decimal("0.0003")),),
        },
        budget_rows={
            "2026-11": (
                BudgetRow("Risk", "fraud", Decimal(10), Decimal("12.5")),
                BudgetRow("HR", "people", None, Decimal(3)),
            )
        },
        calls=(CALL,),
    )


@pytest.fixture(autouse=True)
def _no_client_of_another_test() -> Iterator[None]:
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def _page(api: FakeUsageApi | None, script: str = "pages/spend.py") -> AppTest:
    page = AppTest.from_file(str(HERE / script), default_timeout=TIMEOUT_S)
    if api is not None:
        page.session_state["usage_api"] = api
    page.session_state["today"] = date(2026, 11, 20)
    page.run()
    assert not page.exception
    return page


def _metrics(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_the_month_is_shown_in_four_numbers():
    page = _page(_api())
    assert page.title[0].value == "Spend"
    assert _metrics(page) == {
        "Month to date": "$15.50",
        "Budget": "$10.00",
        "Requests": "1,215",
        "Tokens": "1.0 M",
    }
    assert page.metric[1].delta == "125% used"


def test_the_tables_hold_the_month_the_budgets_and_the_latest_requests():
    page = _page(_api())
    budgets, spend, recent = (table.value for table in page.dataframe)
    assert budgets["team"].to_list() == ["fraud", "people"]
    assert spend["team"].to_list() == ["fraud", "people", "credit", ""]
    assert spend["usd"].to_list()[-1] == Decimal("15.500000000001")
    assert recent["served_model"].to_list() == ["gpt-4o"]


def test_choosing_a_month_changes_what_is_shown():
    api = _api()
    page = _page(api)
    page.selectbox(key="month").set_value("2026-10").run()
    assert not page.exception
    assert _metrics(page)["Spent"] == "$0.0003"
    assert _metrics(page)["Budget"] == "\N{EN DASH}"
    assert page.dataframe[1].value["team"].to_list() == ["people", ""]
    assert api.asked_months == ["2026-11", "2026-10"]


def test_choosing_a_grouping_changes_the_table():
    page = _page(_api())
    page.segmented_control(key="grouping").set_value("Model").run()
    assert not page.exception
    spend = page.dataframe[1].value
    assert spend["model"].to_list() == ["gpt-4o", "claude", "Total"]
    assert "team" not in spend


def test_a_month_without_spend_says_what_to_do():
    page = _page(FakeUsageApi())
    assert "Nothing was spent in November 2026" in page.info[0].value
    assert "Send a request" in page.info[0].value
    assert _metrics(page)["Month to date"] == "$0.00"
    assert not page.dataframe


def test_a_service_that_is_down_is_said_to_be_down_and_how_to_check():
    api = _api()
    api.failure = UsageUnavailable("The policy service cannot be reached.", "`curl .../healthz`")
    page = _page(api)
    assert "cannot be reached" in page.error[0].value
    assert "healthz" in page.error[0].value
    assert not page.metric


def test_what_somebody_may_not_see_is_told_in_words_and_nothing_is_shown():
    api = _api()
    api.failure = NotPermitted("You may not see this.", "Ask for a role.")
    page = _page(api)
    assert "Ask for a role." in page.info[0].value
    assert not any((page.error, page.metric, page.dataframe, page.button))


def test_a_sign_in_that_is_over_can_be_renewed_with_a_button():
    api = _api()
    api.failure = SignInNeeded("You are signed in no longer.", "Sign in again.")
    page = _page(api)
    assert "signed in no longer" in page.warning[0].value
    assert page.button(key="sign_in").label == "Sign in again"
    assert not any((page.error, page.metric, page.dataframe))


def test_trying_again_shows_the_figures_once_the_service_is_back():
    api = _api()
    api.failure = UsageUnavailable("Down.", "Wait.")
    page = _page(api)
    api.failure = None
    page.button(key="retry").click().run()
    assert not page.error
    assert _metrics(page)["Month to date"] == "$15.50"


def test_a_dashboard_without_settings_names_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DASHBOARD_POLICY_URL", raising=False)
    page = _page(None)
    assert "DASHBOARD_POLICY_URL" in page.error[0].value


def test_the_app_opens_on_spend_and_stays_there_when_something_is_chosen():
    page = _page(_api(), "app.py")
    assert page.title[0].value == "Spend"
    page.selectbox(key="month").set_value("2026-10").run()
    assert not page.exception
    assert page.title[0].value == "Spend"


def test_where_people_sign_in_nobody_else_gets_past_the_door(monkeypatch: pytest.MonkeyPatch):
    """Also where Streamlit was started without being told how: closed, and not open."""
    for name, value in SIGN_IN.items():
        monkeypatch.setenv(name, value)
    api = _api()
    page = _page(api, "app.py")
    assert page.title[0].value == "Gatehouse"
    assert page.button(key="sign_in").label == "Sign in"
    assert not any((api.asked_months, page.metric, page.dataframe))


def test_a_page_without_its_door_asks_nobody_in_the_name_of_nobody(
    monkeypatch: pytest.MonkeyPatch,
):
    for name, value in SIGN_IN.items():
        monkeypatch.setenv(name, value)
    page = _page(None)
    assert "You are not signed in." in page.warning[0].value
