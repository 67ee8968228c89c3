"""How a request is granted, cut, refused or revoked."""

from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from functools import partial

import streamlit as st

from dashboard import wiring
from dashboard.api import approvals
from dashboard.api.approvals import Approval
from dashboard.api.client import Client
from dashboard.api.identity import Viewer
from dashboard.parts import page
from dashboard.parts.confirm import action, attempt


def form(client: Client, viewer: Viewer, one: Approval) -> None:
    """What the viewer may do with a request, as it stands."""
    if not viewer.may("approvals.decide"):
        page.nothing("You may not decide.", "Who has the role `approver` for the team does.")
    elif one.requester == viewer.name:
        page.nothing("You asked for this yourself.", "Somebody else has to decide.")
    elif one.state == "requested":
        _show_answer(client, one)
    elif one.state == "granted":
        _show_revoking(client, one)
    else:
        st.caption(f"It is {one.state}; that is final.")


def _show_answer(client: Client, one: Approval) -> None:
    with st.form("decide", border=False):
        amount = st.text_input(
            "Amount, in USD",
            "" if one.asked_usd is None else f"{one.asked_usd:f}",
            key="grant_amount",
            help="Less is a cut, more an extension. Empty: as it was asked for.",
        )
        until = st.date_input("Until", one.asked_until.date(), key="grant_until")
        reason = st.text_area("Reason", key="decision_reason", max_chars=2000)
        with st.container(horizontal=True):
            grants = st.form_submit_button(
                "Grant", key="grant", type="primary", icon=":material/check:"
            )
            refuses = st.form_submit_button("Refuse", key="refuse", icon=":material/close:")
    if refuses and not reason.strip():
        st.warning("Say why: whoever asked will read it.")
    elif refuses:
        attempt(partial(_end, client, one, "refuse", reason.strip()))
    elif grants:
        try:
            given = Decimal(amount.strip().replace(",", "")) if amount.strip() else None
        except InvalidOperation:
            st.warning("Write the amount as a number, for example 50.")
            return
        is_asked = until == one.asked_until.date()
        ends = None if is_asked else datetime.combine(until, time(23, 59, 59), tzinfo=UTC)
        attempt(partial(_grant, client, one, given, ends, reason.strip()))


def _grant(
    client: Client, one: Approval, amount: Decimal | None, until: datetime | None, reason: str
) -> str:
    made = approvals.grant(client, one.id, amount_usd=amount, until=until, reason=reason)
    granted = "without a cap" if made.granted_usd is None else f"with {made.granted_usd:f} USD"
    return f"Granted: {made.model} for {made.node}, {granted}."


def _show_revoking(client: Client, one: Approval) -> None:
    reason = st.text_input("Reason to end it", key="revoke_reason")
    action(
        "Revoke",
        partial(_end, client, one, "revoke", reason.strip()),
        key="revoke",
        warning=f"**{one.node} loses {one.model} at once**, "
        f"having spent {wiring.currency().text(one.spent_usd)} of the grant.",
        yes="Revoke it",
        icon=":material/block:",
        disabled=not reason.strip(),
    )


def _end(client: Client, one: Approval, step: str, reason: str) -> str:
    made = approvals.end(client, one.id, step, reason)
    return f"{made.state.capitalize()}: {made.model} for {made.node}."
