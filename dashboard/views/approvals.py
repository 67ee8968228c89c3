"""Requests for costly or restricted models: what is needed to decide, and what was decided."""

from collections.abc import Iterable

import streamlit as st

from dashboard import formats, wiring
from dashboard.api import approvals, reliability
from dashboard.api.approvals import Approval
from dashboard.api.client import Client, Query
from dashboard.api.errors import NotOffered, NotPermitted
from dashboard.api.identity import Viewer
from dashboard.api.reliability import RefusalRow
from dashboard.frames import control, grounds
from dashboard.parts import deciding, filters, page, shown
from dashboard.parts.filters import Span
from dashboard.tables import Column, Kind

_PERIOD = Span.DAYS_30
# The service filters by 200 values at most.
_MOST_NAMED = 90
_MOST_TOLD = 12

_QUEUE = (
    Column("model", "Model"),
    Column("for", "For"),
    Column("requester", "Asked by"),
    Column("asked_usd", "Amount", Kind.MONEY),
    Column("policy", "Policy said"),
    Column("until", "Until (UTC)", Kind.TIME),
    Column("created_at", "Asked (UTC)", Kind.TIME),
    Column("reason", "Why", width="medium"),
)
_GROUNDS = (
    Column("code", "Code"),
    Column("rule", "Rule"),
    Column("count", "Refused calls", Kind.COUNT),
    Column("last_at", "Last (UTC)", Kind.TIME),
)
_PAST = (
    Column("state", "State"),
    Column("model", "Model"),
    Column("for", "For"),
    Column("granted_usd", "Granted", Kind.MONEY),
    Column("spent_usd", "Spent of it", Kind.MONEY),
    Column("until", "Until (UTC)", Kind.TIME),
    Column("reason", "Why", width="large"),
    Column("requester", "Asked by"),
    Column("decided_by", "Decided by"),
    Column("steps", "Steps", width="large"),
)
# All of them are for the same model.
_BEFORE = tuple(one for one in _PAST if one.name != "model")
_PRICES = (
    Column("deployment", "Deployment"),
    Column("input", "Input", Kind.MONEY),
    Column("output", "Output", Kind.MONEY),
    Column("cached_input", "Cached input", Kind.MONEY),
    Column("cache_write", "Cache write", Kind.MONEY),
    Column("inputs", "Inputs"),
)
_STEPS = (
    Column("at", "Time (UTC)", Kind.TIME),
    Column("step", "Step"),
    Column("actor", "By"),
    Column("amount_usd", "Amount", Kind.MONEY),
    Column("until", "Until (UTC)", Kind.TIME),
    Column("reason", "Why", width="large"),
)


def render(client: Client, viewer: Viewer) -> None:
    """Show what waits, the one that is chosen, and what was decided."""
    with page.section("Waiting", "Choose a line to see what is needed to decide."):
        waiting = approvals.waiting(client)
        _show_queue(client, waiting)
    chosen = st.query_params.get("approval", "")
    if chosen:
        with page.section():
            _show_one(client, viewer, approvals.shown(client, chosen))
    with page.section("Decided", "The newest first; choose a line for its history."):
        past = [one for one in approvals.newest(client) if one.state != "requested"]
        _show_past(past)


def _show_queue(client: Client, waiting: list[Approval]) -> None:
    if not waiting:
        st.success("Nothing waits for an answer.", icon=":material/check_circle:")
        return
    refused = _refused(client, waiting)
    frame = grounds.queue_frame(waiting, refused)
    line = shown.clicked_line(frame, _QUEUE, key="queue", alt="Requests that wait for an answer")
    _tell_grounds(
        row for row in refused if any(grounds.is_about(row, approval) for approval in waiting)
    )
    # A list beside the table is for who cannot click into it.
    _choose(waiting, line, "Request", "waiting")


def _show_past(past: list[Approval]) -> None:
    if not past:
        page.nothing("Nothing was decided yet.", "What is granted or refused shows here.")
        return
    frame = grounds.decided_frame(past)
    line = shown.clicked_line(frame, _PAST, key="past", alt="Requests that were decided")
    _choose(past, line, "Decided request", "decided")


def _choose(listed: list[Approval], line: int | None, label: str, key: str) -> None:
    by_id = {one.id: one for one in listed}
    current = st.query_params.get("approval", "")
    known = list(by_id)
    st.selectbox(
        label,
        known,
        index=known.index(current) if current in by_id else None,
        format_func=lambda one: f"{by_id[one].model} for {by_id[one].node}",
        key=f"chosen_{key}",
        placeholder="Choose one",
        width=360,
        on_change=_open,
        args=(f"chosen_{key}",),
    )
    if line is not None and known[line] != current:
        st.query_params["approval"] = known[line]
        st.rerun()


def _open(key: str) -> None:
    chosen = st.session_state[key]
    if chosen:
        st.query_params["approval"] = chosen


def _show_one(client: Client, viewer: Viewer, one: Approval) -> None:
    text = wiring.currency().text
    with st.container(border=True):
        st.subheader(f"{one.model} for {one.node}", anchor=False)
        st.markdown(f"> {one.reason or 'No reason was given.'}")
        told = (
            ("State", one.state.capitalize(), ""),
            ("Asked", "no cap" if one.asked_usd is None else text(one.asked_usd), ""),
            ("Until", f"{one.granted_until or one.asked_until:%Y-%m-%d}", "Its end, in UTC."),
            ("Spent of it", text(one.spent_usd), "By calls that relied on the grant."),
        )
        shown.metrics(told)
        st.caption(
            f"{one.requester} asked on {formats.time_text(one.created_at)} UTC, in team "
            f"{one.team} of {one.department}."
            + (f" Answer by {formats.time_text(one.answer_by)} UTC." if one.answer_by else "")
        )
        facts, decide = st.columns([3, 2], gap="medium")
        with facts:
            with page.section("Price", "For a million tokens, now."):
                _show_price(client, one.model)
            with page.section("Policy", f"Why this team was refused it, {_PERIOD.value.lower()}."):
                _show_grounds(client, one)
        with decide, page.section("Decide"):
            deciding.form(client, viewer, one)
        with page.section("Before", "Requests of this team for this model."):
            _show_before(client, one)
        with page.section("History"):
            frame = control.steps_frame(one.steps)
            shown.table(frame, _STEPS, key="steps", alt="Steps of this request")


def _show_price(client: Client, model: str) -> None:
    if model.startswith("group:"):
        page.nothing("This is a group of models.", "Its members have prices of their own.")
        return
    rows = approvals.prices(client, model)
    if not any(one.price for one in rows):
        page.nothing("No price is known for this model.", "Its calls are refused until one is.")
        return
    frame = control.prices_frame(rows)
    shown.table(frame, _PRICES, key="prices", alt=f"Prices of {model} for a million tokens")


def _refused(client: Client, waiting: list[Approval]) -> list[RefusalRow]:
    """Why the teams that wait were refused the models they wait for; none where nobody may see."""
    models = sorted({one.model for one in waiting})[:_MOST_NAMED]
    teams = sorted({one.team for one in waiting})[:_MOST_NAMED]
    query: Query = (
        *filters.period_query(_PERIOD, wiring.today()),
        *(("model", one) for one in models),
        *(("team", one) for one in teams),
        ("limit", "1000"),
    )
    try:
        return reliability.refusals(client, query, ("code", "rule", "team", "model"))
    except (NotOffered, NotPermitted):
        return []  # what waits is shown all the same


def _show_grounds(client: Client, one: Approval) -> None:
    found = [row for row in _refused(client, [one]) if grounds.is_about(row, one)]
    if not found:
        st.caption(
            "None of its calls for this was refused: it was asked for before anybody tried, or the "
            "decisions are not yours to see."
        )
        return
    _tell_grounds(found)
    frame = grounds.grounds_frame(found)
    shown.table(frame, _GROUNDS, key="grounds", alt="Why policy refused this team this model")


def _tell_grounds(refused: Iterable[RefusalRow]) -> None:
    """What policy said in full, below one another: a cell of a table would cut it off."""
    told = grounds.grounds_told(refused)
    if told:
        st.markdown("\n".join(f"- {one}" for one in told[:_MOST_TOLD]))
    if len(told) > _MOST_TOLD:
        st.caption(f"And {len(told) - _MOST_TOLD} more: open a request to read what is said of it.")


def _show_before(client: Client, one: Approval) -> None:
    listed = approvals.newest(client, model=one.model, team=one.team)
    before = [other for other in listed if other.id != one.id]
    if not before:
        st.caption("None: this is the first one.")
        return
    frame = grounds.decided_frame(before)
    shown.table(frame, _BEFORE, key="before", alt="Earlier requests of this team for this model")


page.show(
    "Approvals",
    "Requests for costly or restricted models: what waits, and what was decided.",
    render,
    needs="usage.read",
)
