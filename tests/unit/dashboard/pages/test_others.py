"""Alerts, audit, policy, reliability and one's own use: what can be done there."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import streamlit as st

from llm_core.audit.event import GENESIS, Head, Header, NewEvent, linked, rfc3339
from tests.fakes.admin_service import AdminService, Answer, Asked, refused
from tests.fixtures import admin_answers
from tests.fixtures.dashboard_page import checked, metrics, opened, served, table, words


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminService]:
    with served(admin_answers.full(), monkeypatch) as running:
        yield running


# --- overview


def test_an_incident_is_told_in_full_on_the_overview(service: AdminService):
    [last, *_] = admin_answers.full()["GET /admin/v1/incidents"].body["rows"]  # type: ignore[union-attr]
    long = "The *forecast* of team:search passes its budget " + "by far " * 20
    many = [last | {"id": f"inc_{place}", "title": f"{long}{place}"} for place in range(8)]
    service.say("GET incidents", {"rows": many, "next": None})
    page = opened("overview")
    told = [one.value for one in page.markdown if "forecast" in one.value]
    assert len(told) == 6
    assert "by far 5" in told[5].replace("\\", "")
    assert r"\*forecast\*" in told[0]
    assert "Critical, since 2026\\-11\\-20 10\\:40 UTC" in told[0]
    assert any("And 2 more" in one.value for one in page.caption)


def test_what_cache_and_routing_saved_is_told_apart(service: AdminService):
    page = opened("overview")
    assert metrics(page)["Saved"] == "$69.50"
    [saved] = [one for one in page.metric if one.label == "Saved"]
    assert saved.delta == "$61.20 by cache, $8.30 by routing"


# --- alerts


def test_a_channel_is_tested_with_a_button(service: AdminService):
    service.say("POST alerts/channels/ops/test", {"delivered": True})
    page = opened("alerts")
    page.button(key="test_ops").click().run()
    assert service.changes() == [("POST", "alerts/channels/ops/test", {})]
    assert "A test was delivered to ops." in checked(page).success[0].value


def test_a_channel_that_does_not_answer_is_told_why(service: AdminService):
    service.answers["POST /admin/v1/alerts/channels/finance/test"] = refused(502, "No such host.")
    page = opened("alerts")
    page.button(key="test_finance").click().run()
    assert "No such host." in checked(page).error[0].value


def test_incidents_of_the_past_are_asked_for_by_the_address(service: AdminService):
    opened("alerts", state="All")
    [asked] = [one for one in service.asked if one.path.endswith("incidents")]
    assert asked.query["state"] == ["all"]


def test_older_incidents_are_a_click_away(service: AdminService):
    [last, *_] = admin_answers.full()["GET /admin/v1/incidents"].body["rows"]  # type: ignore[union-attr]

    def page_of(asked: Asked) -> Answer:
        is_second = "cursor" in asked.query
        row = last | {"title": "The second page" if is_second else "The first page"}
        return Answer({"rows": [row], "next": None if is_second else "two"})

    service.answers["GET /admin/v1/incidents"] = page_of
    page = opened("alerts", state="All")
    assert list(table(page, "Incidents, newest first")["title"]) == ["The first page"]
    assert any("the newest 1." in one.value for one in page.caption)
    page.button(key="older").click().run()
    assert list(table(checked(page), "Incidents, newest first")["title"]) == [
        "The first page",
        "The second page",
    ]
    assert not [one for one in page.button if one.key == "older"]


# --- audit


def test_filters_of_the_address_are_sent(service: AdminService):
    page = opened("audit", kind="approval.", by="user:carol")
    [asked] = [one for one in service.asked if one.path.endswith("audit/chain")]
    assert asked.query["kind"] == ["approval."]
    assert asked.query["by"] == ["user:carol"]
    assert asked.query["since"] == ["2026-11-13T00:00:00+00:00"]
    assert table(page, "events")["kind"].to_list() == ["decision", "key.issue"]


def test_an_event_is_shown_whole_and_an_erased_one_says_so(service: AdminService):
    page = opened("audit")
    page.selectbox(key="event_chosen").set_value("org:acme 41").run()
    assert json.loads(checked(page).json[0].value) == admin_answers.EVENT["payload"]
    assert page.query_params["event"] == admin_answers.EVENT["id"]
    page.selectbox(key="event_chosen").set_value("org:acme 40").run()
    assert "was erased" in words(checked(page))
    page.button(key="event_close").click().run()
    assert "was erased" not in words(checked(page))
    assert "event" not in page.query_params


def test_an_event_is_opened_by_its_address_however_old_it_is(service: AdminService):
    page = opened("audit", event="evt_7", kind="key.")
    [asked] = [one for one in service.asked if one.query.get("id")]
    assert (asked.query["id"], "since" in asked.query) == (["evt_7"], False)
    assert "number 7 of" in "\n".join(one.value for one in checked(page).markdown)
    assert page.selectbox(key="event_chosen").value is None


def test_an_address_of_no_event_says_so(service: AdminService):
    page = opened("audit", event="evt_none")
    assert "There is no event of that id" in words(page)
    page.button(key="event_close").click().run()
    assert "There is no event" not in words(checked(page))


def test_older_events_are_a_page_further_and_other_filters_begin_anew(service: AdminService):
    def cursors() -> list[list[str] | None]:
        return [one.query.get("cursor") for one in service.asked if one.path.endswith("chain")]

    page = opened("audit", kind="paged.")
    assert table(page, "events")["seq"].to_list() == [100]
    for place in (2, 3):
        page.button(key="older").click().run()
        assert f"Page {place}," in "\n".join(one.value for one in checked(page).caption)
    assert table(page, "events")["seq"].to_list() == [98]
    assert page.button(key="older").disabled
    page.button(key="newer").click().run()
    assert table(checked(page), "events")["seq"].to_list() == [99]
    page.button(key="newest").click().run()
    assert table(checked(page), "events")["seq"].to_list() == [100]
    assert page.button(key="newer").disabled
    page.button(key="older").click().run()
    page.text_input(key="by").set_value("user:carol").run()
    assert table(checked(page), "events")["seq"].to_list() == [100]
    assert cursors()[:3] == [None, ["after-100"], ["after-99"]]
    assert cursors()[-1] is None


def test_a_page_behind_the_last_event_says_where_the_others_are(service: AdminService):
    page = opened("audit", kind="paged.")
    page.button(key="older").click().run()
    service.say("GET audit/chain", {"rows": [], "next": None})
    page.button(key="older").click().run()
    assert "There are no older events" in words(checked(page))
    assert not page.button(key="newest").disabled


def _export(*, is_changed: bool) -> bytes:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    head = Head("org:acme", 0, GENESIS)
    lines = []
    for place in range(3):
        new = NewEvent(f"evt_{place}", "org:acme", at, "decision", "user:sam", "x", {"n": place})
        event, head = linked(head, new, f"{place:032x}")
        lines.append(event)
    if is_changed:
        del lines[1]
    encoded = [Header(at=rfc3339(at), chains={}), *lines]
    import msgspec  # noqa: PLC0415 - for this alone

    return msgspec.json.Encoder().encode_lines(encoded)


@pytest.mark.parametrize("is_changed", [False, True])
def test_chains_are_verified_after_a_second_yes(is_changed: bool, service: AdminService):
    service.answers["GET /admin/v1/audit/export"] = Answer(_export(is_changed=is_changed))
    page = opened("audit")
    page.button(key="verify").click().run()
    assert not [one for one in service.asked if one.path.endswith("export")]
    page.button(key="verify_yes").click().run()
    assert "were verified" in checked(page).success[0].value
    if is_changed:
        assert "Something was changed" in words(page)
        assert "deleted" in words(page)
    else:
        assert "Nothing is wrong" in words(page)


# --- policy, reliability


@pytest.mark.parametrize(
    ("name", "alt"),
    [
        ("policy", "Denied calls by reason and rule"),
        ("limits", "Refused calls by code, team and user"),
    ],
)
def test_refusals_have_times_of_the_zone_that_days_are_in(
    name: str, alt: str, service: AdminService
):
    viewer = admin_answers.viewer()
    viewer.body["time_zone"] = "Europe/Berlin"
    service.answers["GET /admin/v1/whoami"] = viewer
    page = opened(name)
    assert {f"{one:%H:%M}" for one in table(page, alt)["last_at"]} == {"10:00"}
    assert any("times in Europe/Berlin" in one.value for one in page.caption)


def test_the_policy_page_says_what_is_live_and_what_the_shadow_would_deny(service: AdminService):
    page = opened("policy")
    assert metrics(page)["Live revision"] == "2026-11-18.1"
    assert (
        table(page, "Denied calls by reason and rule")["code"].to_list()[0] == "model_not_allowed"
    )
    assert table(page, "Decisions that would be others")["after"].to_list() == [
        "denied: region_not_allowed"
    ]
    assert table(page, "Decisions that differ by team")["differing"].to_list() == [12, 0]


def test_what_is_measured_is_in_the_address(service: AdminService):
    page = opened("reliability", measured="First token")
    assert page.segmented_control(key="measured").value == "first_token_ms"
    assert table(page, "How each deployment fares now")["breaker"].to_list()[0] == "open"


def test_every_percentile_that_is_drawn_stands_in_the_table(service: AdminService):
    page = opened("reliability")
    columns = set(table(page, "Requests, failures and latencies by provider and model").columns)
    drawn = {f"{kind}{p}" for kind in ("", "first_", "overhead_") for p in ("p50", "p95", "p99")}
    assert drawn <= columns


def test_the_history_of_breakers_is_of_the_chosen_time_and_provider(service: AdminService):
    page = opened("reliability", provider=["mistral"], tz="Europe/Berlin")
    [asked] = [one for one in service.asked if one.path.endswith("reliability/breakers")]
    assert asked.query["since"] == ["2026-11-14T00:00:00+01:00"]
    assert asked.query["until"] == ["2026-11-21T00:00:00+01:00"]
    assert asked.query["provider"] == ["mistral"]
    steps = table(page, "Steps of breakers, the newest first")
    assert steps["change"].to_list()[:2] == ["closed → open", "half-open → closed"]
    assert steps["at"].to_list()[0] == "2026-11-20 12:58:00"
    assert steps["reason"].to_list()[0] == "failure share: timeout"


def test_without_a_zone_the_history_of_breakers_has_the_organisations_days(service: AdminService):
    viewer = admin_answers.viewer()
    viewer.body["time_zone"] = "Europe/Berlin"
    service.answers["GET /admin/v1/whoami"] = viewer
    page = opened("reliability")
    [asked] = [one for one in service.asked if one.path.endswith("reliability/breakers")]
    assert asked.query["since"] == ["2026-11-14T00:00:00+01:00"]
    assert any("in Europe/Berlin." in one.value for one in page.caption)
    steps = table(page, "Steps of breakers, the newest first")
    assert steps["at"].to_list()[0] == "2026-11-20 12:58:00"


def test_a_time_without_steps_says_what_that_means(service: AdminService):
    service.answers["GET /admin/v1/reliability/breakers"] = Answer({"data": []})
    page = opened("reliability")
    assert "No breaker opened or closed" in words(page)
    assert "as a matter of course" in words(page)


def test_deployments_are_for_who_sees_the_platform(service: AdminService):
    service.answers["GET /v1/providers/health"] = refused(403, "Not on `platform:*`.")
    page = opened("reliability")
    assert "Not on `platform:*`." in words(page)
    assert (
        table(page, "Requests, failures and latencies by provider and model")["name"]
        .to_list()[0]
        .startswith("openai")
    )


# --- my usage


def test_a_key_is_asked_for_in_a_field_that_hides_it_and_sent_to_the_gateway_only(
    service: AdminService,
):
    page = opened("mine")
    field = page.text_input(key="given_key")
    assert field.proto.type == field.proto.PASSWORD
    field.set_value("gk-secret-key")
    page.button(key="show_mine").click().run()
    assert metrics(checked(page))["November 2026"] == "$0.0136"
    assert table(page, "Limits that bind you")["left"].to_list() == ["$69.55"]
    with_key = {one.path for one in service.asked if one.token == "gk-secret-key"}
    assert with_key == {"/v1/me", "/v1/me/usage"}
    shown = [one.value for one in (*page.markdown, *page.caption)]
    assert not [one for one in shown if "gk-secret-key" in one]
    assert "gk-secret-key" not in str(page.query_params)
    page.button(key="forget").click().run()
    assert page.text_input(key="given_key").value == ""


def test_an_answer_about_a_key_is_not_remembered_for_others(service: AdminService):
    page = opened("mine")
    page.text_input(key="given_key").set_value("gk-one")
    page.button(key="show_mine").click().run()
    st.cache_resource.clear()
    page.run()
    asked = [one for one in service.asked if one.path == "/v1/me"]
    assert len(asked) == 2


def test_a_key_that_is_not_known_is_told(service: AdminService):
    service.answers["GET /v1/me"] = refused(401, "This key was revoked.")
    page = opened("mine")
    page.text_input(key="given_key").set_value("gk-old")
    page.button(key="show_mine").click().run()
    assert "This key was revoked." in words(checked(page))
    assert page.button(key="forget").label == "Forget the key"


def test_without_a_gateway_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch):
    with served(admin_answers.full(), monkeypatch, DASHBOARD_GATEWAY_URL=""):
        page = opened("mine")
    assert "DASHBOARD_GATEWAY_URL" in words(page)
