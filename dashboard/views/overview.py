"""The month at a glance: what it comes to, what moves it, and what needs somebody."""

import calendar
from functools import partial

import streamlit as st

from dashboard import formats, wiring
from dashboard.api import alerts, costs, usage
from dashboard.api.client import Client, Query
from dashboard.api.costs import CostRow, Summary
from dashboard.api.identity import Viewer
from dashboard.figures import costs as cost_figures
from dashboard.frames import costs as cost_frames
from dashboard.frames import money
from dashboard.frames import usage as usage_frames
from dashboard.frames.money import exact_sum
from dashboard.parts import ahead, filters, page, shown
from dashboard.parts.filters import Span
from dashboard.tables import Column, Kind

RECENT_CALLS = 50
_MOST_INCIDENTS = 6
_BUDGETS = (
    Column("team", "Team"),
    Column("department", "Department"),
    Column("used_percent", "Used", Kind.BAR),
    Column("used_usd", "Spent", Kind.MONEY),
    Column("budget_usd", "Budget", Kind.MONEY),
)
_MOVERS = (
    Column("team", "Team"),
    Column("change_usd", "Change", Kind.CHANGE),
    Column("usd", "Last 7 days", Kind.MONEY),
    Column("before_usd", "7 before", Kind.MONEY),
)
_RECENT = (
    Column("at", "Time (UTC)", Kind.TIME),
    Column("team", "Team"),
    Column("asked_model", "Asked model"),
    Column("served_model", "Served model"),
    Column("tokens", "Tokens", Kind.COUNT),
    Column("usd", "Cost", Kind.MONEY),
    Column("status", "Status", Kind.STATUS),
    Column("latency_ms", "Latency", Kind.DURATION),
)


def render(client: Client, viewer: Viewer) -> None:
    """Show the month, its course, and what needs somebody."""
    del viewer
    _ask_ahead(client)
    with page.section():
        summary = costs.summary(client)
        _show_numbers(summary)
        if not summary.month_to_date.requests:
            page.nothing(
                f"Nothing was spent in {formats.month_text(summary.month)} yet.",
                "Send a request through the gateway with a team's key; it shows here within a few "
                "seconds of its end. If calls are made and none arrives, look whether the policy "
                "service's `/readyz` is well.",
            )
        course, moved = st.columns([3, 2], gap="medium")
        with course, page.section("How the month goes", _course_told(summary)):
            _show_course(client, summary)
        with moved, page.section("What moved", "Last 7 days against the 7 before, by team."):
            _show_movers(summary)
    budgets, attention = st.columns([3, 2], gap="medium")
    with budgets, page.section("Against budget", "Teams without a budget come last."):
        _show_budgets(client)
    with attention, page.section("Needs attention", "Incidents that are open now."):
        _show_incidents(client)
    with page.section("Latest requests", f"The newest {RECENT_CALLS} that you may see."):
        _show_recent(client)


def _ask_ahead(client: Client) -> None:
    ahead.ask(
        partial(costs.summary, client),
        *(partial(_days, client, period) for period in _course()),
        partial(usage.budgets, client, f"{wiring.today():%Y-%m}"),
        partial(alerts.incidents, client),
        partial(usage.recent, client, RECENT_CALLS),
    )


def _course() -> list[Query]:
    """This month, and the one before."""
    today = wiring.today()
    return [filters.period_query(span, today) for span in (Span.MONTH, Span.LAST_MONTH)]


def _days(client: Client, period: Query) -> list[CostRow]:
    """Spend by day."""
    return costs.costs(client, period, (), "day").rows


def _show_numbers(summary: Summary) -> None:
    text, sums = wiring.currency().text, summary.month_to_date
    spent, budget, forecast, burn, saved, requests = st.columns(6)
    with spent:
        change = sums.usd - summary.last_month_to_date_usd
        shown.metric(
            "Month to date",
            text(sums.usd),
            beside=f"{wiring.currency().change(change)} on last",
            told=f"{formats.month_text(summary.month)}, in {summary.tz}. Last month by the same "
            f"day: {text(summary.last_month_to_date_usd)}; in all: {text(summary.last_month_usd)}.",
        )
    with budget:
        used = money.share(sums.usd, summary.budget_usd) if summary.budget_usd else None
        shown.metric(
            "Budget",
            text(summary.budget_usd),
            beside=None if used is None else f"{formats.percent_text(used)} used",
            is_alarm=used is not None and used >= 1,
            told="The month's limit of the organisation, or of the one unit that you see.",
        )
    with forecast:
        _show_forecast(summary)
    with burn:
        shown.metric("Burn a day", text(summary.burn_usd_per_day), told="Of late, on average.")
    with saved:
        _show_saved(summary)
    with requests:
        shown.metric(
            "Requests",
            formats.short_count_text(sums.requests),
            beside=f"{summary.users:,} users, {summary.teams:,} teams",
            told=f"{sums.requests:,} requests, {sums.failed:,} failed; {sums.tokens:,} tokens.",
        )


def _show_saved(summary: Summary) -> None:
    by_cache, by_routing = summary.saved_by_cache_usd, summary.saved_by_routing_usd
    text, hits = wiring.currency().text, f"{summary.month_to_date.cache_hits:,} answers"
    shown.metric(
        "Saved",
        text(exact_sum((by_cache, by_routing))),
        beside=f"{text(by_cache)} by cache, {text(by_routing)} by routing",
        told=f"By cache: what {hits} from the response cache would have cost at a provider. By "
        "routing: what the dearest way that each call could have taken would have cost more.",
    )


def _show_forecast(summary: Summary) -> None:
    ahead, text = summary.forecast, wiring.currency().text
    if ahead is None:
        shown.metric("Forecast", formats.NOTHING, told="Too little was used so far to tell.")
        return
    is_over = summary.budget_usd is not None and ahead.usd > summary.budget_usd
    band = f"{text(ahead.low_usd)} to {text(ahead.high_usd)}"
    shown.metric(
        "Forecast",
        text(ahead.usd),
        beside="over budget" if is_over else band,
        is_alarm=is_over,
        told=f"By the month's end, most likely {band}. {ahead.method}",
    )


def _course_told(summary: Summary) -> str:
    return f"{formats.month_text(summary.month)}, added up by day, in {summary.tz}."


def _show_course(client: Client, summary: Summary) -> None:
    today = wiring.today()
    running, before = (
        cost_frames.running_frame(_days(client, period), summary.tz) for period in _course()
    )
    if not len(running):
        page.nothing("No day of this month has any spend.", "It is drawn as soon as one has.")
        return
    shown.figure(
        cost_figures.month_course(
            running,
            before,
            wiring.currency(),
            budget_usd=summary.budget_usd,
            forecast=summary.forecast,
            days=calendar.monthrange(today.year, today.month)[1],
            is_dark=wiring.is_dark(),
        ),
        key="course",
        alt=f"Line of spend added up by day in {formats.month_text(summary.month)}, beside last "
        "month, the forecast and the budget; its numbers are in the table below it",
    )
    shown.numbers(
        running,
        (Column("day", "Day", Kind.COUNT), Column("usd", "Spent up to then", Kind.MONEY)),
        key="course_numbers",
        alt="Spend added up by day",
    )


def _show_movers(summary: Summary) -> None:
    if not summary.movers:
        page.nothing("No team has spent anything in two weeks.", "Changes by team show here.")
        return
    shown.table(
        cost_frames.movers_frame(summary.movers),
        _MOVERS,
        key="movers",
        alt="Teams whose spend changed most within a week",
    )


def _show_budgets(client: Client) -> None:
    rows = usage.budgets(client, f"{wiring.today():%Y-%m}")
    if not rows:
        page.nothing("You see no team.", "Teams come from the company's file: `gatehouse org`.")
        return
    frame = usage_frames.budget_frame(rows)
    shown.table(frame, _BUDGETS, key="budgets", alt="Teams, what they spent, and their budgets")


def _show_incidents(client: Client) -> None:
    found = alerts.incidents(client)
    if not found:
        st.success("Nothing is wrong that anybody knows of.", icon=":material/check_circle:")
        return
    for one in found[:_MOST_INCIDENTS]:
        # Sentences, and not a table: its cells would cut them off.
        icon = ":material/error:" if one.severity == "critical" else ":material/warning:"
        since = f"{one.severity.capitalize()}, since {formats.time_text(one.opened_at)} UTC"
        detail = f". {one.detail}" if one.detail else ""
        st.markdown(
            f"{icon} **{formats.plain_text(one.title)}**  \n{formats.plain_text(since + detail)}"
        )
    if len(found) > _MOST_INCIDENTS:
        st.caption(f"And {len(found) - _MOST_INCIDENTS:,} more, on the page Alerts.")


def _show_recent(client: Client) -> None:
    recent = usage.recent(client, RECENT_CALLS)
    if not recent:
        page.nothing(
            "No request has been recorded yet.", "Send one through the gateway with a team's key."
        )
        return
    frame = usage_frames.recent_frame(recent)
    shown.table(frame, _RECENT, key="recent", alt="The newest requests")


page.show(
    "Overview",
    "What the month comes to, what moves it, and what needs somebody.",
    render,
    needs="usage.read",
)
