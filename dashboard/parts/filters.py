"""The bar of filters above a page. What is chosen is in the page's address, so it can be linked."""

import calendar
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import partial
from typing import cast

import streamlit as st

from dashboard import wiring
from dashboard.api import costs
from dashboard.api.client import Client, Query
from dashboard.api.errors import NotOffered, NotPermitted, Refused
from dashboard.formats import UNTAGGED
from dashboard.parts import ahead
from dashboard.parts.ahead import Question

DIMENSIONS = {
    "department": "Department",
    "team": "Team",
    "project": "Project",
    "user": "User",
    "application": "Application",
    "model": "Model",
    "provider": "Provider",
    "region": "Region",
    "use_case": "Use case",
    "cost_centre": "Cost centre",
}
"""By what spend can be filtered and grouped, and what people call it."""

_FIRST = ("department", "team", "model")
_HOURLY_DAYS = 3
_KEPT = "_filters"
_KEPT_ON = "_filters_on"


class Span(StrEnum):
    """The period of a page, as people and the page's address call it."""

    MONTH = "This month"
    LAST_MONTH = "Last month"
    WEEK = "Last 7 days"
    DAYS_30 = "Last 30 days"
    DAYS_90 = "Last 90 days"
    YEAR = "This year"
    OWN = "Other days"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a page is about.

    Args:
        start: The first day.
        end: The day after the last.
        wanted: Values by dimension; calls without one are `UNTAGGED`.
        tz: Where days begin; empty for the organisation's own.
        zone: Where that is.
    """

    start: date
    end: date
    wanted: dict[str, tuple[str, ...]]
    tz: str = ""
    zone: str = "UTC"

    @property
    def query(self) -> Query:
        """As the API takes it."""
        return (
            ("from", self.start.isoformat()),
            ("to", self.end.isoformat()),
            *((("tz", self.tz),) if self.tz else ()),
            *self.filters,
        )

    @property
    def filters(self) -> Query:
        """As the API takes them, without the period."""
        return tuple(
            (dimension, "" if value == UNTAGGED else value)
            for dimension, values in self.wanted.items()
            for value in values
        )

    @property
    def told(self) -> str:
        """The period in words."""
        return f"{self.start:%d %b %Y} to {self.end - timedelta(days=1):%d %b %Y}"

    @property
    def interval(self) -> str:
        """What a trend over the period is best drawn by."""
        return "hour" if (self.end - self.start).days <= _HOURLY_DAYS else "day"


def bar(
    client: Client,
    *,
    on: str,
    usual: Span = Span.MONTH,
    only_period: bool = False,
    ahead_of: Callable[[Chosen], Sequence[Question]] = lambda _: (),
) -> Chosen:
    """Show the filters, and say what is chosen.

    Args:
        client: Whom to ask for the values that can be chosen.
        on: The page: another one begins with what was chosen on the one before.
        usual: The period where the address says none.
        only_period: Whether nothing else can be chosen.
        ahead_of: What the page will ask about what is chosen; it is asked together with the values
            that can be chosen.
    """
    if not only_period:
        _bring_back(on)
    _ask_ahead(client, usual, ahead_of, only_period=only_period)
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        # The usual one first: it is what a page without a period in its address shows.
        spans = sorted(Span, key=lambda one: one is not usual)
        span = st.selectbox(
            "Period",
            spans,
            key="period",
            bind="query-params",
            width=150,
        )
        tz = "" if only_period else _current_zone()
        start, end = days_of(span, wiring.today(tz))
        if span is Span.OWN:
            start, end = _own_days(start, end)
        period = _known_from(start, end)
        wanted: dict[str, tuple[str, ...]] = {}
        if not only_period:
            for dimension in _FIRST:
                wanted[dimension] = _choose(client, dimension, period, width=185)
            tz = _more(client, period, wanted, tz)
    wanted = {name: values for name, values in wanted.items() if values}
    if not only_period:
        _keep(wanted, span if span is not usual else None, tz)
    return Chosen(start, end, wanted, tz, wiring.zone(tz))


def _ask_ahead(
    client: Client,
    usual: Span,
    ahead_of: Callable[[Chosen], Sequence[Question]],
    *,
    only_period: bool,
) -> None:
    """Ask before anything is drawn, as the address has it: what it does not have is asked later."""
    span = st.session_state.get("period") or st.query_params.get("period") or usual
    if span not in set(Span) or span == Span.OWN:
        return
    tz = "" if only_period else _current_zone()
    start, end = days_of(Span(span), wiring.today(tz))
    if only_period:
        ahead.ask(*ahead_of(Chosen(start, end, {}, zone=wiring.zone())))
        return
    period = _known_from(start, end)
    wanted = {one: tuple(_current(one)) for one in DIMENSIONS if _current(one)}
    ahead.ask(
        *(partial(_values, client, dimension, period) for dimension in _FIRST),
        *ahead_of(Chosen(start, end, wanted, tz, wiring.zone(tz))),
    )


def _current_zone() -> str:
    tz: str = st.session_state.get("tz") or st.query_params.get("tz", "")
    return tz


def _current(dimension: str) -> Sequence[str]:
    """What is chosen, before its widget says so."""
    chosen: Sequence[str] = st.session_state.get(dimension) or st.query_params.get_all(dimension)
    return chosen


def _bring_back(on: str) -> None:
    """On another page: what was chosen on the one before.

    Streamlit clears a page's address when another page is opened, and forgets its widgets.
    """
    before = st.session_state.get(_KEPT_ON)
    st.session_state[_KEPT_ON] = on
    kept: dict[str, list[str] | str] = st.session_state.get(_KEPT, {})
    if before in (None, on) or not kept:
        return
    # Widgets take what is in the address when they are first shown.
    st.query_params.update(kept)
    st.rerun()


def _keep(wanted: dict[str, tuple[str, ...]], span: Span | None, tz: str) -> None:
    kept: dict[str, list[str] | str] = {name: list(values) for name, values in wanted.items()}
    kept |= {} if span is None or span is Span.OWN else {"period": span.value}
    kept |= {"tz": tz} if tz else {}
    st.session_state[_KEPT] = kept


def _more(client: Client, period: Query, wanted: dict[str, tuple[str, ...]], tz: str) -> str:
    rest = [one for one in DIMENSIONS if one not in _FIRST]
    # How many are in use stands beside it: with another label it would close after each choice.
    popover = st.popover("More filters", icon=":material/tune:", key="more", on_change="rerun")
    with popover:
        # What can be chosen there is asked for when somebody looks.
        for dimension in rest:
            wanted[dimension] = _choose(client, dimension, period, asks=bool(popover.open))
        zones = list(dict.fromkeys(("", "UTC", tz, st.context.timezone or "UTC")))
        zone: str = st.selectbox(
            "Time zone",
            zones,
            format_func=lambda zone: zone or "The organisation's",
            key="tz",
            bind="query-params",
            help="Where days and months begin.",
        )
    if count := sum(bool(wanted[one]) for one in rest):
        st.badge(f"{count} more in use", color="blue")
    return zone


def _choose(
    client: Client,
    dimension: str,
    period: Query,
    *,
    asks: bool = True,
    width: int | str = "stretch",
) -> tuple[str, ...]:
    known = _values(client, dimension, period) if asks else ()
    # What the address names stays chosen, also where nothing was spent on it.
    options = list(dict.fromkeys((*known, *_current(dimension))))
    chosen = st.multiselect(
        DIMENSIONS[dimension],
        options,
        key=dimension,
        bind="query-params",
        placeholder="All",
        width=cast("int", width),
    )
    return tuple(chosen)


def _known_from(start: date, end: date) -> Query:
    """Of which days values can be chosen: of the last 90 and the period's.

    So they are the same for most periods, and are not asked for anew with each.
    """
    first, last = days_of(Span.DAYS_90, wiring.today())
    return (("from", min(start, first).isoformat()), ("to", max(end, last).isoformat()))


def _values(client: Client, dimension: str, period: Query) -> tuple[str, ...]:
    """Values with calls in the period, dearest first; none where they cannot be had."""
    try:
        found = costs.values(client, period, dimension)
    except (NotOffered, NotPermitted, Refused):
        # The page itself says so, where its numbers should be.
        return ()
    return tuple(value or UNTAGGED for value in found)


def days_of(span: Span, today: date) -> tuple[date, date]:
    """The first day of a period, and the day after its last."""
    first = today.replace(day=1)
    tomorrow = today + timedelta(days=1)
    following = first + timedelta(days=calendar.monthrange(first.year, first.month)[1])
    match span:
        case Span.MONTH | Span.OWN:
            return first, following
        case Span.LAST_MONTH:
            return (first - timedelta(days=1)).replace(day=1), first
        case Span.WEEK:
            return tomorrow - timedelta(days=7), tomorrow
        case Span.DAYS_30:
            return tomorrow - timedelta(days=30), tomorrow
        case Span.DAYS_90:
            return tomorrow - timedelta(days=90), tomorrow
        case Span.YEAR:
            return first.replace(month=1), following


def _own_days(start: date, end: date) -> tuple[date, date]:
    given = st.date_input(
        "Days",
        (start, end - timedelta(days=1)),
        key="days",
        bind="query-params",
        width=240,
    )
    if not given:
        return start, end
    chosen: Sequence[date] = given
    # While only the first day of two is chosen, it is that day.
    return chosen[0], chosen[-1] + timedelta(days=1)


def clear(dimensions: Sequence[str]) -> None:
    """Take filters away."""
    for dimension in dimensions:
        st.session_state[dimension] = []


def period_query(span: Span, today: date) -> Query:
    """A period as the API takes it, without any filter."""
    start, end = days_of(span, today)
    return (("from", start.isoformat()), ("to", end.isoformat()))
