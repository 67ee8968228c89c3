"""Where the money goes: drill down from departments to people, and cut it any other way."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import formats, wiring
from dashboard.api import costs, usage
from dashboard.api.client import Client
from dashboard.api.costs import Costs
from dashboard.api.errors import NotOffered
from dashboard.api.identity import Viewer
from dashboard.figures import costs as figures
from dashboard.frames import costs as frames
from dashboard.parts import filters, page, shown
from dashboard.parts.ahead import Question
from dashboard.parts.filters import DIMENSIONS, Chosen
from dashboard.tables import Column, Columns, Kind

# Down from the whole; applications stand beside users.
LEVELS = ("department", "team", "project", "user")

_GROUP = "group"
_INTERVAL = "interval"
_LONG_DAYS = 62


def render(client: Client, viewer: Viewer) -> None:
    """Show what was chosen as numbers, over time, and by group."""
    del viewer
    chosen = filters.bar(client, on="costs", ahead_of=partial(_questions, client))
    _show_path(chosen)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dimension = st.selectbox(
            "Group by",
            list(DIMENSIONS),
            format_func=lambda one: DIMENSIONS[one],
            key=_GROUP,
            bind="query-params",
            width=190,
        )
        interval = _interval(chosen)
    with page.section():
        found = costs.costs(client, chosen.query, (dimension,))
        if not found.total.requests:
            _show_nothing(chosen)
            return
        by_user = _show_numbers(chosen, found)
        with page.section("Over time", f"{chosen.told}, in {found.tz}."):
            _show_trend(client, chosen, dimension, interval)
        _show_groups(client, chosen, dimension, found)
        # Who was active in a long time is counted for longest: the rest is drawn meanwhile.
        with by_user:
            _show_by_user(client, chosen, found)


def _questions(client: Client, chosen: Chosen) -> Sequence[Question]:
    """As the address says what to group by, before its widgets do; it has the words they show."""
    state, address = st.session_state, st.query_params
    named = {label: dimension for dimension, label in DIMENSIONS.items()}
    dimension = state.get(_GROUP) or named.get(address.get(_GROUP, ""), LEVELS[0])
    interval = state.get(_INTERVAL) or address.get(_INTERVAL, chosen.interval).lower()
    return (
        partial(costs.costs, client, chosen.query, (dimension,)),
        partial(costs.costs, client, chosen.query, (dimension,), _drawn_by(interval, chosen)),
        partial(usage.adoption, client, chosen.query, "none"),
    )


def _interval(chosen: Chosen) -> str:
    options = ["hour", "day", "month"]
    given: str = st.segmented_control(
        "Over time by",
        options,
        default=chosen.interval,
        format_func=str.capitalize,
        key=_INTERVAL,
        bind="query-params",
        required=True,
    )
    return _drawn_by(given, chosen)


def _drawn_by(interval: str, chosen: Chosen) -> str:
    is_long = chosen.end - chosen.start > timedelta(days=_LONG_DAYS)
    # Thousands of bars cannot be told apart.
    return "day" if interval == "hour" and is_long else interval


def _show_path(chosen: Chosen) -> None:
    """Where in the company one is, with the ways back up."""
    levels = [one for one in LEVELS if one in chosen.wanted]
    if not levels:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="path"):
        st.button(
            "Everything",
            key="up_all",
            type="tertiary",
            on_click=_go_up,
            args=(-1,),
        )
        for level in levels:
            st.markdown("/", width="content")
            st.button(
                ", ".join(chosen.wanted[level]),
                key=f"up_{level}",
                type="tertiary",
                on_click=_go_up,
                args=(LEVELS.index(level),),
            )


def _go_up(level: int) -> None:
    filters.clear([*LEVELS[level + 1 :], "application"])
    st.session_state[_GROUP] = LEVELS[min(level + 1, len(LEVELS) - 1)]


def _go_down(dimension: str, name: str) -> None:
    st.session_state[dimension] = [name]
    if dimension in LEVELS[:-1]:
        st.session_state[_GROUP] = LEVELS[LEVELS.index(dimension) + 1]


def _show_nothing(chosen: Chosen) -> None:
    page.nothing(
        f"Nothing was spent from {chosen.told} that you may see"
        + (" with these filters." if chosen.wanted else "."),
        "Choose a longer period or fewer filters. If something should be here, it may belong to a "
        "part of the company on which you hold no role.",
    )


def _show_numbers(chosen: Chosen, found: Costs) -> DeltaGenerator:
    """The numbers, and where spend by user belongs."""
    total, text = found.total, wiring.currency().text
    units = frames.unit_costs(total, 0)
    told = (
        ("Spent", text(total.usd), f"{chosen.told}."),
        ("Requests", formats.short_count_text(total.requests), f"{total.requests:,}"),
        ("Tokens", formats.short_count_text(total.tokens), f"{total.tokens:,}, input and output."),
        ("A request", text(units.per_request), "Spent, by request, on average."),
        ("1,000 tokens", text(units.per_1k_tokens), "Spent, by 1,000 tokens of either direction."),
    )
    by_user = shown.metrics(told, more=1)[0]
    if total.estimated_requests:
        st.caption(
            f"{total.estimated_requests:,} requests ({text(total.estimated_usd)}) are charged at "
            "an estimate: nobody reported their end."
        )
    return by_user


def _show_by_user(client: Client, chosen: Chosen, found: Costs) -> None:
    try:
        active = usage.adoption(client, chosen.query, "none").total
        users = active.users + active.applications
    except NotOffered:
        users = 0
    shown.metric(
        "A user",
        wiring.currency().text(frames.unit_costs(found.total, users).per_user),
        told=f"Spent, by each of {users:,} users and applications.",
    )


def _show_trend(client: Client, chosen: Chosen, dimension: str, interval: str) -> None:
    found = costs.costs(client, chosen.query, (dimension,), interval)
    trend = frames.trend_frame(found.rows, dimension, found.tz)
    shown.figure(
        figures.stacked_trend(
            trend, wiring.currency(), interval=interval, is_dark=wiring.is_dark()
        ),
        key="trend",
        alt=f"Bars of spend by {interval}, stacked by {DIMENSIONS[dimension].lower()}; their "
        "numbers are in the table below",
    )
    shown.numbers(
        trend,
        (
            Column("start", "From", Kind.TIME),
            Column("name", DIMENSIONS[dimension]),
            Column("usd", "Spent", Kind.MONEY),
        ),
        key="trend_numbers",
        alt="Spend over time by group",
    )


def _show_groups(client: Client, chosen: Chosen, dimension: str, found: Costs) -> None:
    named = DIMENSIONS[dimension]
    frame = frames.breakdown_frame(found.rows, found.total, dimension)
    told = "to go down" if dimension in LEVELS[:-1] else "to filter"
    with page.section(f"By {named.lower()}", f"The dearest first. Choose a line {told}."):
        line = shown.chosen_line(
            frame,
            _columns(named),
            key=f"groups_{dimension}",
            alt=f"Spend, requests, tokens and unit costs by {named.lower()}",
        )
        with st.container(horizontal=True):
            if line is not None and line < len(frame) - 1:
                name = str(frame["name"].iloc[line])
                st.button(
                    f"Only {name}",
                    key="down",
                    icon=":material/subdirectory_arrow_right:",
                    type="primary",
                    on_click=partial(_go_down, dimension, name),
                )
            _show_export(client, chosen, dimension)


def _columns(named: str) -> Columns:
    return (
        Column("name", named),
        Column("share", "Share", Kind.BAR, "small"),
        Column("usd", "Spent", Kind.MONEY),
        Column("requests", "Requests", Kind.COUNT),
        Column("input_tokens", "Input tokens", Kind.COUNT),
        Column("output_tokens", "Output tokens", Kind.COUNT),
        Column("usd_per_request", "A request", Kind.MONEY),
        Column("usd_per_1k_tokens", "1,000 tokens", Kind.MONEY),
    )


def _show_export(client: Client, chosen: Chosen, dimension: str) -> None:
    name = f"costs-{dimension}-{chosen.start:%Y%m%d}-{chosen.end - timedelta(days=1):%Y%m%d}"
    rows = costs.costs(client, chosen.query, (dimension,)).rows
    shown.csv_button(frames.export_frame(rows, (dimension,)), name, key="costs_csv")


page.show(
    "Costs",
    "Where the money goes: from departments down to people, and by model, provider or use.",
    render,
    needs="usage.read",
)
