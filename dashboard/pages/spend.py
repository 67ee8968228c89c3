"""Spend of a month by department, team and model, against the budgets."""

import streamlit as st

from dashboard import figures, formats, frames, gate, tables, wiring
from dashboard.settings import SettingsMissing
from dashboard.usage_api import (
    BudgetRow,
    CallRow,
    NotPermitted,
    SignInNeeded,
    SpendRow,
    UsageApi,
    UsageUnavailable,
)

RECENT_CALLS = 50


def render() -> None:
    """Ask for the month's rows and show them."""
    title, chooser = st.columns([4, 1], vertical_alignment="bottom")
    title.title("Spend")
    title.caption("What calls through the gateway were charged. Months are calendar months in UTC.")
    month = chooser.selectbox(
        "Month", frames.months(wiring.today()), format_func=formats.month_text, key="month"
    )
    try:
        api = wiring.usage_api()
        spend, budgets, recent = _asked(api, month)
    except (UsageUnavailable, SettingsMissing) as error:
        _show_failure(error)
        return
    _show_totals(frames.totals(spend, budgets), month)
    if spend:
        _show_month(spend, budgets, month)
    else:
        _show_nothing_yet(month)
    _show_recent(recent)


def _asked(api: UsageApi, month: str) -> tuple[list[SpendRow], list[BudgetRow], list[CallRow]]:
    return list(api.spend(month)), list(api.budgets(month)), list(api.recent(RECENT_CALLS))


def _show_failure(error: UsageUnavailable | SettingsMissing) -> None:
    what, hint = (
        (error.what, error.hint)
        if isinstance(error, UsageUnavailable)
        else ("The dashboard is not set up yet.", str(error))
    )
    if isinstance(error, SignInNeeded):
        st.warning(f"**{what}**\n\n{hint}", icon=":material/lock_clock:")
        gate.sign_in_button("Sign in again")
        return
    if isinstance(error, NotPermitted):
        st.info(f"**{what}**\n\n{hint}", icon=":material/lock:")
        return
    st.error(f"**{what}**\n\n{hint}", icon=":material/cloud_off:")
    st.button("Try again", key="retry")


def _show_nothing_yet(month: str) -> None:
    st.info(
        f"**Nothing was spent in {formats.month_text(month)}.** Send a request through the "
        "gateway with a team's key; it shows here within a few seconds of its end. If calls are "
        "made and none arrives, look whether the policy service's `/readyz` is well.",
        icon=":material/savings:",
    )


def _show_totals(totals: frames.Totals, month: str) -> None:
    spent, budget, requests, tokens = st.columns(4)
    is_current = month == frames.months(wiring.today(), 1)[0]
    spent.metric(
        "Month to date" if is_current else "Spent",
        formats.usd_text(totals.usd),
        border=True,
        height="stretch",
    )
    share = totals.used_share
    budget.metric(
        "Budget",
        formats.usd_text(totals.budget_usd),
        help="Sum of the teams' budgets, and how much of it those teams have used.",
        delta=f"{formats.percent_text(share)} used" if share is not None else None,
        delta_arrow="off",
        delta_color="red" if share is not None and share >= 1 else "off",
        border=True,
        height="stretch",
    )
    requests.metric("Requests", formats.count_text(totals.requests), border=True, height="stretch")
    tokens.metric(
        "Tokens",
        formats.short_count_text(totals.tokens),
        help=f"{formats.count_text(totals.tokens)} tokens of input and output.",
        border=True,
        height="stretch",
    )


def _show_month(spend: list[SpendRow], budgets: list[BudgetRow], month: str) -> None:
    chart, against = st.columns([3, 2], gap="medium")
    budget_frame = frames.budget_frame(budgets)
    with chart:
        st.subheader("By team and model")
        st.caption("The upright mark is the team's budget.")
        st.altair_chart(
            figures.spend_by_team(
                frames.team_model_frame(spend), budget_frame, is_dark=wiring.is_dark()
            ),
            key="spend_by_team",
            alt=f"Bars of spend by team, stacked by model, in {formats.month_text(month)}",
        )
    with against:
        st.subheader("Against budget")
        st.caption("Teams without a budget come last.")
        st.dataframe(
            tables.budget_table(budget_frame),
            column_config=tables.BUDGET_COLUMNS,
            hide_index=True,
            height="content",
            placeholder=formats.NOTHING,
            key="budgets",
        )
    st.subheader("Details")
    grouping = st.segmented_control(
        "Sum up by",
        list(frames.Grouping),
        default=frames.Grouping.TEAM,
        key="grouping",
        label_visibility="collapsed",
        required=True,
    )
    st.dataframe(
        tables.spend_table(frames.spend_frame(spend, grouping)),
        column_config=tables.SPEND_COLUMNS,
        hide_index=True,
        height="content",
        key="spend",
    )


def _show_recent(recent: list[CallRow]) -> None:
    st.subheader("Latest requests")
    if not recent:
        st.caption("No request has been recorded yet.")
        return
    st.dataframe(
        tables.recent_table(frames.recent_frame(recent)),
        column_config=tables.RECENT_COLUMNS,
        hide_index=True,
        placeholder=formats.NOTHING,
        height=420,
        key="recent",
    )


render()
