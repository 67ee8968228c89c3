"""A month divided among who used it: previewed, closed, exported, and held against invoices."""

from functools import partial

import streamlit as st

from dashboard import formats, wiring
from dashboard.api import chargeback, organisation
from dashboard.api.chargeback import ClosedPeriod, Statement
from dashboard.api.client import Client
from dashboard.api.errors import NotOffered, NotPermitted, Refused
from dashboard.api.identity import Viewer
from dashboard.frames import control
from dashboard.parts import page, periods, sharing, shown
from dashboard.parts.confirm import action
from dashboard.tables import Column, Kind

_MONTHS = 18
_FILES = {"csv": "CSV", "xlsx": "Excel", "focus": "FOCUS"}
_LINES = (
    Column("cost_centre", "Cost centre"),
    Column("department", "Department"),
    Column("team", "Team"),
    Column("project", "Project"),
    Column("requests", "Requests", Kind.COUNT),
    Column("direct_usd", "Own", Kind.MONEY),
    Column("shared_usd", "Shared", Kind.MONEY),
    Column("usd", "Charged", Kind.MONEY),
)
_CLOSED = (
    Column("period", "Month"),
    Column("total_usd", "Total", Kind.MONEY),
    Column("closed_at", "Closed (UTC)", Kind.TIME),
    Column("closed_by", "By"),
    Column("digest", "Digest", width="medium"),
)
_DIFFERENCES = (
    Column("model", "Model"),
    Column("invoiced_usd", "Invoice", Kind.MONEY),
    Column("ledger_usd", "Ledger", Kind.MONEY),
    Column("difference_usd", "Difference", Kind.CHANGE),
    Column("note", "Note", width="large"),
)


def render(client: Client, viewer: Viewer) -> None:
    """Show a month's statement, and what can be done with it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        period: str = st.selectbox(
            "Month",
            periods.months(wiring.today(), _MONTHS),
            format_func=formats.month_text,
            key="month",
            bind="query-params",
            width=200,
        )
        named = _organisation(client, viewer)
    if not named:
        page.nothing("There is no organisation yet.", "Make one with `gatehouse apply`.")
        return
    sees_whole = viewer.may("usage.read", f"organisation:{named}")
    with page.section():
        closed = chargeback.closed(client, named)
        known = next((one for one in closed if one.period == period), None)
        statement = (
            chargeback.preview(client, named, period)
            if known is None
            else chargeback.statement(client, known.id)
        )
        _show_state(client, viewer, statement)
        _show_numbers(statement)
        with page.section("Who is charged what"):
            _show_lines(client, statement)
        if sees_whole:
            rules, invoice = st.columns(2, gap="medium")
            with rules, page.section("Rules", "How shared spend is divided."):
                known_rules = chargeback.rules(client, named)
                sharing.show(known_rules)
                if viewer.may("chargeback.close", f"organisation:{named}"):
                    sharing.change(client, known_rules)
            with invoice, page.section("Against an invoice", "Changes nothing."):
                _show_reconciling(client, statement)
        with page.section("Closed months"):
            _show_closed(closed)


def _organisation(client: Client, viewer: Viewer) -> str:
    """Which one, of those that the viewer sees a part of; empty where there is none."""
    known = organisation.organisations(client, viewer.nodes("organisation.read"))
    if len(known) < 2:  # noqa: PLR2004 - one needs no choice
        return known[0] if known else ""
    chosen: str = st.selectbox(
        "Organisation", known, key="organisation", bind="query-params", width=200
    )
    return chosen


def _show_state(client: Client, viewer: Viewer, statement: Statement) -> None:
    named = formats.month_text(statement.period)
    if statement.id is not None:
        st.success(
            f"**{named} is closed.** {statement.closed_by} closed it on "
            f"{formats.time_text(statement.closed_at)} UTC. It does not change any more; its "
            f"digest is in the audit chain: `{statement.digest}`",
            icon=":material/lock:",
        )
        return
    is_over = statement.period < f"{formats.in_zone(wiring.now(), statement.tz):%Y-%m}"
    told = "It can be closed." if is_over else "It can be closed once it is over."
    st.info(f"**{named} is a preview.** {told}", icon=":material/edit_calendar:")
    if viewer.may("chargeback.close", f"organisation:{statement.organisation}"):
        action(
            f"Close {named}",
            partial(_close, client, statement),
            key="close",
            warning=f"**Closing {named} freezes it for good.** Its lines and their sum, "
            f"{wiring.currency().text(statement.total_usd)}, are written down and signed into the "
            "audit chain.",
            yes="Close it",
            icon=":material/lock:",
            disabled=not is_over,
            primary=True,
        )


def _close(client: Client, statement: Statement) -> str:
    made = chargeback.close(client, statement.organisation, statement.period)
    return f"{formats.month_text(made.period)} is closed, at {made.total_usd:f} USD."


def _show_numbers(statement: Statement) -> None:
    text = wiring.currency().text
    direct = statement.total_usd - statement.shared_usd - statement.untagged_usd
    told = (
        ("Total", statement.total_usd, "All of it; equal to the ledger's sum to the last digit."),
        ("Own spend", direct, "Of those who are charged, by themselves."),
        ("Shared", statement.shared_usd, "Divided by the rules."),
        ("Untagged", statement.untagged_usd, "Nobody's yet: calls without a cost centre."),
    )
    shown.metrics(
        [(label, text(usd), f"{meaning} Exactly {usd:f} USD.") for label, usd, meaning in told]
    )


def _show_lines(client: Client, statement: Statement) -> None:
    st.caption(f"{formats.month_text(statement.period)}, in {statement.tz}.")
    if not statement.lines:
        page.nothing("Nobody is charged anything.", "Nothing was spent in this month.")
        return
    frame = control.statement_frame(statement)
    shown.table(frame, _LINES, key="lines", alt="What each unit is charged")
    with st.container(horizontal=True):
        for kind, label in _FILES.items():
            _show_file(client, statement, kind, label)


def _show_file(client: Client, statement: Statement, kind: str, label: str) -> None:
    """A button that gets the file when it is clicked, and not before."""
    asked = f"_file_{kind}_{statement.period}"
    if asked not in st.session_state:
        st.button(
            label,
            key=f"get_{kind}",
            icon=":material/download:",
            on_click=_ask_for,
            args=(asked,),
        )
        return
    try:
        file = chargeback.export(client, statement, kind)
    except (NotOffered, NotPermitted, Refused) as error:
        page.show_failure(error)
        return
    st.download_button(
        f"Save {file.name}",
        file.content,
        file_name=file.name,
        mime=file.media_type or None,
        key=f"save_{kind}",
        icon=":material/save:",
        type="primary",
        on_click="ignore",
    )


def _ask_for(name: str) -> None:
    st.session_state[name] = True


def _show_reconciling(client: Client, statement: Statement) -> None:
    with st.form("reconcile", border=False):
        provider = st.text_input(
            "Provider", key="invoice_provider", placeholder="openai", width=240
        )
        invoice = st.file_uploader("Its invoice, as CSV", type="csv", key="invoice")
        asked = st.form_submit_button("Compare with the ledger", key="compare")
    if not asked:
        return
    if invoice is None or not provider:
        st.warning("Name the provider and choose its invoice, a CSV file.")
        return
    text = invoice.getvalue().decode("utf-8-sig", errors="replace")
    found = chargeback.reconcile(
        client, statement.organisation, statement.period, provider.strip(), text
    )
    if found.difference_usd:
        st.warning(
            f"The invoice and the ledger differ by {found.difference_usd:f} USD.",
            icon=":material/balance:",
        )
    else:
        st.success("The invoice and the ledger agree.", icon=":material/balance:")
    frame = control.differences_frame(found)
    shown.table(frame, _DIFFERENCES, key="differences", alt="An invoice beside the ledger")
    shown.csv_button(frame, f"reconciled-{provider}-{statement.period}", key="differences_csv")


def _show_closed(closed: list[ClosedPeriod]) -> None:
    if not closed:
        page.nothing("No month was closed yet.", "Choose one that is over, and close it.")
        return
    shown.table(control.closed_frame(closed), _CLOSED, key="closed", alt="Closed months")


page.show(
    "Chargeback",
    "Who is charged what for a month; to the cent, and closed for good.",
    render,
    needs="organisation.read",
)
