"""The page of usage: only the part that is open is asked for and drawn."""

import re
from collections.abc import Iterator

import pytest

from tests.fakes.admin_service import AdminService
from tests.fixtures import admin_answers
from tests.fixtures.dashboard_page import opened, served

HEADINGS = {
    "Requests": ["Requests", "Tokens by bucket"],
    "Hours and people": ["Hours of the week", "Adoption"],
    "Models and caches": ["Model mix", "Cache rates"],
    "Capacity and refusals": ["Capacity", "Refused"],
}
ASKED = {
    "Requests": set[str](),
    "Hours and people": {"usage/hours", "usage/adoption"},
    "Models and caches": set[str](),
    "Capacity and refusals": {"limits/states", "refusals"},
}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminService]:
    with served(admin_answers.full(), monkeypatch) as running:
        yield running


@pytest.mark.parametrize("view", HEADINGS)
def test_a_view_is_in_the_address_and_asks_for_its_own_numbers_only(
    view: str, service: AdminService
) -> None:
    page = opened("usage", view=view)
    assert [one.value for one in page.subheader] == HEADINGS[view]
    of_others = {path for name, paths in ASKED.items() if name != view for path in paths}
    asked = {one.path.removeprefix("/admin/v1/") for one in service.asked}
    assert ASKED[view] <= asked
    assert not of_others & asked


def test_capacity_is_told_where_nothing_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(admin_answers.empty(), monkeypatch):
        page = opened("usage")
    assert [one.value for one in page.subheader] == HEADINGS["Capacity and refusals"]


def test_what_was_heard_and_seen_is_told_beside_the_tokens(service: AdminService) -> None:
    page = opened("usage")
    told = {one.label: one.help for one in page.metric}
    assert re.fullmatch(
        r"[\d,]+, of which [\d,]+ of audio and [\d,]+ of images", told["Input tokens"]
    )
    assert re.fullmatch(
        r"[\d,]+, of which [\d,]+ of reasoning and [\d,]+ of audio", told["Output tokens"]
    )
