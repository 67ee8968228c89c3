"""Limits of every part of the company: where they stand, whom they refused, more for a while."""

from datetime import datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial

import streamlit as st

from dashboard import formats, wiring
from dashboard.api import limits, reliability
from dashboard.api.client import Client
from dashboard.api.identity import Viewer
from dashboard.api.limits import LimitRow, LimitState, RaiseRow
from dashboard.frames import control
from dashboard.frames import reliability as reliability_frames
from dashboard.parts import ahead, filters, page, shown
from dashboard.parts.confirm import action, attempt
from dashboard.parts.filters import Span
from dashboard.tables import Column, Kind

_NEARLY = Decimal("0.8")
_RAISED_DAYS = 7
_MOST_DAYS = 365
_STATES = (
    Column("node", "Who"),
    Column("limit", "Limit"),
    Column("used_percent", "Used", Kind.BAR, "small"),
    Column("used", "Used", Kind.NUMBER_TEXT),
    Column("reserved", "Under way", Kind.NUMBER_TEXT),
    Column("amount", "Limit is", Kind.NUMBER_TEXT),
    Column("raised", "Raised by", Kind.NUMBER_TEXT),
    Column("left", "Left", Kind.NUMBER_TEXT),
    Column("resets_at", "Anew (UTC)", Kind.TIME),
)
_RAISES = (
    Column("node", "Who"),
    Column("limit", "Limit"),
    Column("amount", "More", Kind.NUMBER_TEXT),
    Column("until", "Until (UTC)", Kind.TIME),
    Column("author", "By"),
    Column("reason", "Why", width="large"),
)
_REFUSED = (
    Column("code", "Code"),
    Column("team", "Team"),
    Column("user", "User"),
    Column("count", "Calls", Kind.COUNT),
    Column("last_at", "Last", Kind.TIME),
    Column("message", "Told", width="large"),
)


def render(client: Client, viewer: Viewer) -> None:
    """Show limits and their states, raises, and refusals."""
    ahead.ask(*(partial(ask, client) for ask in (limits.states, limits.raises, limits.limits)))
    with page.section("Where every limit stands", "The fullest first."):
        _show_states(limits.states(client))
    with page.section("Raised for a while", "Ends by itself."):
        _show_raises(client, viewer, limits.raises(client))
    # Fields as wide as the page would be hard to read; the reasons above need all of it.
    more, _ = st.columns([3, 2], gap="medium")
    with more, page.section("Raise a limit"):
        if viewer.may("limits.raise"):
            _show_raising(client, limits.limits(client))
        else:
            page.nothing("You may not raise limits.", "Ask whoever manages the unit above.")
    with page.section(
        "Who was refused, and why",
        f"Calls that policy or a limit refused; times in {wiring.zone()}.",
    ):
        chosen = filters.bar(client, on="limits", usual=Span.WEEK, only_period=True)
        found = reliability.refusals(client, chosen.query, ("code", "team", "user"))
        if not found:
            st.success("No call was refused.", icon=":material/check_circle:")
            return
        frame = reliability_frames.refusals_frame(found, ("code", "team", "user"), chosen.zone)
        shown.table(frame, _REFUSED, key="refused", alt="Refused calls by code, team and user")


def _show_states(states: list[LimitState]) -> None:
    if not states:
        page.nothing(
            "No limit is yours to see.", "Limits are set in the company's file, or by the API."
        )
        return
    full = sum(one.left <= 0 for one in states)
    nearly = sum(
        one.left > 0 and one.used + one.reserved >= _NEARLY * (one.amount + one.raised)
        for one in states
    )
    raised = sum(bool(one.raised) for one in states)
    shown.metrics(
        (
            ("Limits", f"{len(states):,}", "All that you see."),
            ("Used up", f"{full:,}", "Nothing is left: calls are refused."),
            ("Over 80 %", f"{nearly:,}", "Nearly used up."),
            ("Raised", f"{raised:,}", "For a while."),
        )
    )
    node = st.text_input(
        "Only whose name has",
        key="node",
        bind="query-params",
        placeholder="team:search",
        width=260,
    )
    shown_states = [one for one in states if node.strip() in one.node]
    frame = control.states_frame(shown_states, wiring.currency())
    shown.table(frame, _STATES, key="states", alt="Limits and where they stand")
    shown.csv_button(frame, "limits", key="states_csv")


def _show_raises(client: Client, viewer: Viewer, raises: list[RaiseRow]) -> None:
    if not raises:
        page.nothing("No limit is raised now.", "A raise gives more until a day, for a reason.")
        return
    frame = control.raises_frame(raises, wiring.currency())
    line = shown.clicked_line(frame, _RAISES, key="raises", alt="Raises that hold or will")
    if not viewer.may("limits.raise"):
        return
    ordered = sorted(raises, key=lambda one: one.until)
    if line is not None:
        st.session_state["ended"] = ordered[line]
    ended = st.selectbox(
        "A raise to end",
        ordered,
        index=None,
        format_func=lambda one: f"{one.node}, {control.limit_text(one.measure, one.scope)}",
        key="ended",
        placeholder="Choose one",
        width=360,
    )
    if ended is not None:
        action(
            "End it now",
            partial(_withdraw, client, ended),
            key="withdraw",
            warning=f"**{ended.node} loses {ended.amount:f} of {ended.measure} at once.**",
            yes="End it",
            icon=":material/undo:",
        )


def _withdraw(client: Client, ended: RaiseRow) -> str:
    limits.withdraw(client, ended.id)
    return f"The raise for {ended.node} has ended."


def _show_raising(client: Client, known: list[LimitRow]) -> None:
    if not known:
        page.nothing("There is no limit to raise.", "Set one in the company's file first.")
        return
    text = wiring.currency()
    ordered = sorted(known, key=lambda one: (one.node, one.measure, one.scope))
    limit: LimitRow = st.selectbox(
        "Limit",
        ordered,
        format_func=lambda one: (
            f"{one.node}: {control.limit_text(one.measure, one.scope)}, "
            f"{formats.unit_text(one.measure, one.amount, text)}"
        ),
        key="raised",
    )
    today = wiring.now().date()
    with st.form("raise", border=False):
        unit = "USD" if limit.measure.startswith("usd") else limit.measure.split("_per_")[0]
        amount = st.text_input(f"How much more, in {unit}", key="raise_amount")
        until = st.date_input(
            "Until the end of (UTC)",
            today + timedelta(days=_RAISED_DAYS),
            min_value=today,
            max_value=today + timedelta(days=_MOST_DAYS),
            key="raise_until",
        )
        reason = st.text_input("Reason", key="raise_reason", max_chars=500)
        asked = st.form_submit_button(
            "Raise", key="raise_it", type="primary", icon=":material/trending_up:"
        )
    if not asked:
        return
    more = _amount(amount)
    if more is None or not reason.strip():
        st.warning("Say how much more, as a number above zero, and why.")
        return
    ends = datetime.combine(until, time(23, 59, 59), tzinfo=wiring.now().tzinfo)
    attempt(partial(_raise, client, limit, more, ends, reason.strip()))


def _raise(client: Client, limit: LimitRow, more: Decimal, ends: datetime, reason: str) -> str:
    made = limits.raise_limit(client, limit, more, ends, reason)
    named = formats.measure_text(made.measure)
    return f"{made.node} has {made.amount:f} more {named} until {ends:%Y-%m-%d}."


def _amount(text: str) -> Decimal | None:
    try:
        amount = Decimal(text.strip().replace(",", ""))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount > 0 else None


page.show(
    "Budgets and limits",
    "Where every limit stands, whom it refused, and what was given beyond it.",
    render,
    needs="organisation.read",
)
