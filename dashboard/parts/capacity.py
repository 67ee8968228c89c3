"""What is left of limits by the minute, and who did not get past them."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboard import wiring
from dashboard.api import limits, reliability
from dashboard.api.client import Client
from dashboard.api.identity import Viewer
from dashboard.frames import control
from dashboard.frames import reliability as frames
from dashboard.parts import page, shown
from dashboard.parts.ahead import Question
from dashboard.parts.filters import Chosen
from dashboard.tables import Column, Kind


def show(client: Client, viewer: Viewer, chosen: Chosen) -> None:
    """Show how full limits are now, and whom policy or a limit refused in the period."""
    with page.section("Capacity", "Limits by the minute: what is taken of them now."):
        _show_capacity(client, viewer)
    with page.section("Refused", "Calls that policy or a limit did not let pass."):
        _show_refused(client, chosen)


def questions(client: Client, chosen: Chosen) -> Sequence[Question]:
    """What `show` asks that takes long."""
    return (partial(reliability.refusals, client, chosen.query, ("code",)),)


def _show_capacity(client: Client, viewer: Viewer) -> None:
    if not viewer.may("organisation.read"):
        page.nothing("Limits are not yours to see.", "Your own are on the page My usage.")
        return
    by_minute = [one for one in limits.states(client) if one.measure.endswith("per_minute")]
    if not by_minute:
        page.nothing("There is no limit by the minute.", "Set one in the company's file.")
        return
    columns = (
        Column("node", "Who"),
        Column("limit", "Limit"),
        Column("used_percent", "Taken", Kind.BAR),
        Column("left", "Left", Kind.NUMBER_TEXT),
    )
    frame = control.states_frame(by_minute, wiring.currency())
    shown.table(
        frame, columns, key="capacity", alt="Limits by the minute and what is taken of them"
    )


def _show_refused(client: Client, chosen: Chosen) -> None:
    found = reliability.refusals(client, chosen.query, ("code",))
    if not found:
        st.success("No call was refused.", icon=":material/check_circle:")
        return
    columns = (
        Column("code", "Code"),
        Column("count", "Calls", Kind.COUNT),
        Column("last_at", "Last", Kind.TIME),
        Column("message", "Told", width="large"),
    )
    frame = frames.refusals_frame(found, ("code",), chosen.zone)
    shown.table(frame, columns, key="refused", alt="Refused calls by code")
