"""What is wrong now, what was, and who is told."""

from functools import partial

import streamlit as st

from dashboard import wiring
from dashboard.api import alerts
from dashboard.api.client import Client
from dashboard.api.identity import Viewer
from dashboard.frames import control
from dashboard.parts import page, shown
from dashboard.parts.confirm import attempt
from dashboard.tables import Column, Kind

_STATES = {"open": "Open now", "all": "All"}
_PAGES = "incident_pages"
"""How many pages of incidents are shown, in the session."""
_INCIDENTS = (
    Column("severity", "Severity"),
    Column("title", "What"),
    Column("opened_at", "Since (UTC)", Kind.TIME),
    Column("last_seen_at", "Last seen", Kind.TIME),
    Column("recovered_at", "Well again", Kind.TIME),
    Column("detail", "Detail", width="large"),
)
_OPEN_INCIDENTS = tuple(one for one in _INCIDENTS if one.name != "recovered_at")
_PASSED = (
    Column("at", "Time (UTC)", Kind.TIME),
    Column("node", "Who"),
    Column("limit", "Limit"),
    Column("percent", "Passed, %", Kind.COUNT),
    Column("used", "Used", Kind.NUMBER_TEXT),
    Column("amount", "Limit is", Kind.NUMBER_TEXT),
)


def render(client: Client, viewer: Viewer) -> None:
    """Show incidents, thresholds and channels."""
    del viewer
    with page.section("Incidents", "Told once each, and once more when all is well again."):
        state = st.segmented_control(
            "Which",
            list(_STATES),
            default="open",
            format_func=lambda one: _STATES[one],
            key="state",
            bind="query-params",
            required=True,
            label_visibility="collapsed",
        )
        _show_incidents(client, state)
    passed, told = st.columns([3, 2], gap="medium")
    with passed, page.section("Thresholds of budgets", "Limits that passed one, newest first."):
        _show_passed(client)
    with told, page.section("Channels", "Where alerts go."):
        _show_channels(client)


def _show_incidents(client: Client, state: str) -> None:
    if state == "open":
        found, has_older = alerts.incidents(client), False
    else:
        found, has_older = alerts.past_incidents(client, st.session_state.get(_PAGES, 1))
    if not found:
        st.success("Nothing is wrong that anybody knows of.", icon=":material/check_circle:")
        return
    frame = control.incidents_frame(found)
    columns = _OPEN_INCIDENTS if state == "open" else _INCIDENTS
    shown.table(frame, columns, key="incidents", alt="Incidents, newest first")
    if has_older:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"These are the newest {len(found):,}.")
            st.button("Show older ones", key="older", icon=":material/history:", on_click=_go_back)


def _go_back() -> None:
    st.session_state[_PAGES] = st.session_state.get(_PAGES, 1) + 1


def _show_passed(client: Client) -> None:
    found, has_older = alerts.thresholds(client)
    if not found:
        page.nothing(
            "No limit has passed a threshold.",
            "Thresholds are set by `POLICY_BUDGET_THRESHOLDS`, in percent.",
        )
        return
    frame = control.thresholds_frame(found, wiring.currency())
    shown.table(frame, _PASSED, key="passed", alt="Limits that passed a threshold")
    if has_older:
        st.caption(f"These are the newest {len(found):,}; `GET /admin/v1/alerts` has all.")


def _show_channels(client: Client) -> None:
    channels = alerts.channels(client)
    if not channels:
        page.nothing(
            "Nobody is told of anything.", "Name a webhook or an e-mail address for alerts."
        )
    for channel in channels:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{channel.name}**  \n{channel.kind}, {_kinds(channel.kinds)}")
            if st.button("Send a test", key=f"test_{channel.name}", icon=":material/send:"):
                tested = channel.name
            else:
                continue
        attempt(partial(_test, client, tested))


def _kinds(kinds: tuple[str, ...] | None) -> str:
    return "every kind of alert" if kinds is None else ", ".join(kinds)


def _test(client: Client, name: str) -> str:
    alerts.test_channel(client, name)
    return f"A test was delivered to {name}."


page.show("Alerts", "What is wrong now, what was, and who is told.", render, needs="usage.read")
