"""Filters, drilling down, and what can be taken along."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.formats import UNTAGGED, Currency
from dashboard.parts.filters import DIMENSIONS
from tests.fakes.admin_service import SPENT, AdminService, spent_in
from tests.fixtures import admin_answers
from tests.fixtures.dashboard_page import checked, metrics, opened, served, table, words

NOVEMBER = (date(2026, 11, 1), date(2026, 12, 1))
text = Currency().text


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminService]:
    with served(admin_answers.full(), monkeypatch) as running:
        yield running


def _names(page: AppTest, dimension: str) -> list[str]:
    names: list[str] = table(page, f"groups_{dimension}")["name"].to_list()
    return names


def test_the_month_is_shown_by_department_and_adds_up_to_the_last_digit():
    page = opened("costs")
    groups = table(page, "groups_department")
    assert groups["name"].to_list() == ["research", "marketing", "support", "Total"]
    assert metrics(page)["Spent"] == text(spent_in(*NOVEMBER))
    assert sum(groups["usd"].to_list()[:-1], Decimal(0)) == spent_in(*NOVEMBER)
    assert groups["usd"].to_list()[-1] == spent_in(*NOVEMBER)
    # 184 users and 11 applications were active.
    assert metrics(page)["A user"] == text(spent_in(*NOVEMBER) / 195)


def test_an_address_names_its_period_filters_and_group():
    page = opened("costs", period="Last month", department="research", group="Team")
    october = (date(2026, 10, 1), date(2026, 11, 1))
    assert metrics(page)["Spent"] == text(spent_in(*october, department="research"))
    assert _names(page, "team") == ["platform", "search", "Total"]


def test_choosing_a_filter_changes_what_is_shown():
    page = opened("costs")
    page.multiselect(key="department").set_value(["support"]).run()
    assert metrics(checked(page))["Spent"] == text(spent_in(*NOVEMBER, department="support"))
    page.multiselect(key="model").set_value(["mistral-large"]).run()
    assert metrics(checked(page))["Spent"] == text(spent_in(*NOVEMBER, model="mistral-large"))
    page.selectbox(key="period").set_value("Last month").run()
    assert not page.exception
    assert page.multiselect(key="department").value == ["support"]


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_spend_can_be_grouped_by_anything(dimension: str):
    page = opened("costs")
    page.selectbox(key="group").set_value(dimension).run()
    *names, total = _names(checked(page), dimension)
    assert total == "Total"
    assert {*names} == {str(row[dimension] or UNTAGGED) for row in _november()}


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_spend_can_be_filtered_by_anything(dimension: str):
    """Of the filters that are folded away the address's value can be chosen before they unfold."""
    value = next(row[dimension] for row in _november() if row[dimension])
    page = opened("costs", **{dimension: value})
    assert page.multiselect(key=dimension).value == [value]
    assert metrics(page)["Spent"] == text(spent_in(*NOVEMBER, **{dimension: value}))
    page.multiselect(key=dimension).set_value([]).run()
    assert metrics(checked(page))["Spent"] == text(spent_in(*NOVEMBER))


def _november() -> list[dict[str, Any]]:
    return [row for row in SPENT if NOVEMBER[0] <= row["day"] < NOVEMBER[1]]


@pytest.mark.parametrize(
    ("address", "line", "name", "below"),
    [
        ({"group": "Department"}, 0, "research", "Team"),
        ({"department": "research", "group": "Team"}, 1, "search", "Project"),
        ({"team": "search", "group": "Project"}, 0, "ranking", "User"),
        ({"project": "ranking", "group": "User"}, 0, "sam", "User"),
        ({"group": "Model"}, 0, "claude-4", "Model"),
    ],
)
def test_a_chosen_line_leads_down_to_it(address: dict[str, str], line: int, name: str, below: str):
    dimension = next(key for key, label in DIMENSIONS.items() if label == address["group"])
    chosen = {"selection": {"rows": [line], "columns": [], "cells": []}}
    page = opened("costs", {f"groups_{dimension}": chosen}, **address)
    assert page.button(key="down").label == f"Only {name}"
    page.button(key="down").click().run()
    assert page.multiselect(key=dimension).value == [name]
    assert DIMENSIONS[page.selectbox(key="group").value] == below
    wanted = {key: value for key, value in address.items() if key != "group"}
    spent = spent_in(*NOVEMBER, **wanted, **{dimension: name})
    assert metrics(checked(page))["Spent"] == text(spent)


def test_the_line_of_the_total_leads_nowhere():
    chosen = {"selection": {"rows": [3], "columns": [], "cells": []}}
    page = opened("costs", {"groups_department": chosen})
    assert "down" not in [one.key for one in page.button]


def test_untagged_spend_is_listed_and_can_be_chosen(service: AdminService):
    page = opened("costs", group="Cost centre")
    assert "(untagged)" in _names(page, "cost_centre")
    page = opened("costs", cost_centre="(untagged)", group="Team")
    assert _names(page, "team") == ["trainees", "Total"]
    assert [""] in [one.query.get("cost_centre") for one in service.asked]


def test_one_can_go_up_again():
    page = opened("costs", department="research", team="search", group="Project")
    assert _names(page, "project") == ["ranking", "Total"]
    page.button(key="up_department").click().run()
    assert _names(checked(page), "team") == ["platform", "search", "Total"]
    page.button(key="up_all").click().run()
    assert "support" in _names(checked(page), "department")


def test_the_trend_is_asked_for_by_the_interval_of_the_address(service: AdminService):
    opened("costs", interval="Month")
    assert "month" in {one.query.get("interval", [""])[0] for one in service.asked}


def test_another_time_zone_is_asked_for(service: AdminService):
    opened("costs", tz="UTC")
    asked = [one for one in service.asked if one.path.endswith("/costs")]
    assert asked[-1].query["tz"] == ["UTC"]


def test_days_of_one_s_own_are_asked_for_with_the_last_one(service: AdminService):
    page = opened("costs", period="Other days")
    page.date_input(key="days").set_value((date(2026, 11, 3), date(2026, 11, 5))).run()
    spent = spent_in(date(2026, 11, 3), date(2026, 11, 6))
    assert metrics(checked(page))["Spent"] == text(spent)


def test_what_does_not_exist_or_is_somebody_else_s_is_an_empty_page():
    page = opened("costs", department="not-mine")
    assert "Nothing was spent" in words(page)
    assert "fewer filters" in words(page)
    assert not page.metric


def test_a_name_in_the_address_is_sent_as_it_is_and_not_understood(service: AdminService):
    opened("costs", team="search&organisation=other")
    asked = [one for one in service.asked if "team" in one.query]
    assert {tuple(one.query["team"]) for one in asked} == {("search&organisation=other",)}
    assert not [one for one in asked if "organisation" in one.query]


def test_filters_come_along_from_page_to_page():
    page = opened("costs", department="support")
    assert page.session_state["_filters"] == {"department": ["support"]}
    kept = {"_filters": {"department": ["support"]}, "_filters_on": "costs"}
    page = opened("usage", kept)
    assert page.multiselect(key="department").value == ["support"]
    assert page.query_params["department"] in ("support", ["support"])


def test_a_figures_numbers_are_not_made_while_they_are_folded_away():
    """Unfolding them takes a browser: tests/browser does it."""
    assert "trend_numbers" not in [one.key for one in opened("costs").dataframe]
