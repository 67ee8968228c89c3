"""What happened, who did it, and whether anybody has changed the record since."""

from datetime import UTC, datetime, time, timedelta

import streamlit as st

from dashboard import verifying, wiring
from dashboard.api import audit
from dashboard.api.audit import EventRow
from dashboard.api.client import Client, Query
from dashboard.api.identity import Viewer
from dashboard.frames import control
from dashboard.parts import page, shown
from dashboard.parts.confirm import action
from dashboard.tables import Column, Kind

_PAGE = 200
_USUAL_DAYS = 7
_CHECKED = "_checked"
_EVENTS = (
    Column("at", "Time (UTC)", Kind.TIME),
    Column("kind", "What"),
    Column("actor", "By"),
    Column("subject", "About"),
    Column("chain", "Chain"),
    Column("seq", "Number", Kind.COUNT),
)


def render(client: Client, viewer: Viewer) -> None:
    """Show events, the one that is chosen, and the verification."""
    del viewer
    with page.section("Events", "The newest of each chain first."):
        found = audit.events(client, _filters())
        _show_events(found)
    with page.section(
        "Verify", "Every event carries the hash of the one before: who changes one breaks the rest."
    ):
        _show_verifying(client)


def _filters() -> Query:
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        kind = st.text_input(
            "What",
            key="kind",
            bind="query-params",
            placeholder="decision, key., approval.",
            help="A full stop at the end stands for all that begin so.",
            width=220,
        )
        by = st.text_input("By", key="by", bind="query-params", placeholder="user:alice", width=200)
        subject = st.text_input(
            "About", key="subject", bind="query-params", placeholder="team:search", width=220
        )
        chain = st.text_input(
            "Chain", key="chain", bind="query-params", placeholder="org:acme", width=160
        )
        usual = wiring.now().date() - timedelta(days=_USUAL_DAYS)
        since = st.date_input("Since (UTC)", usual, key="since", bind="query-params", width=160)
    began = datetime.combine(since, time(), tzinfo=UTC).isoformat()
    wanted = {"kind": kind, "by": by, "subject": subject, "chain": chain, "since": began}
    given = [(name, value.strip()) for name, value in wanted.items() if value.strip()]
    return [*given, ("limit", str(_PAGE))]


def _show_events(found: list[EventRow]) -> None:
    if not found:
        page.nothing("No event is like that.", "Choose an earlier day, or fewer filters.")
        return
    frame = control.events_frame(found)
    line = shown.clicked_line(frame, _EVENTS, key="events", alt="Events of the audit chain")
    if len(found) == _PAGE:
        st.caption(f"The newest {_PAGE}. Filter for others.")
    names = [f"{one.chain} {one.seq}" for one in found]
    if line is not None:
        st.session_state["event"] = names[line]
    chosen = st.selectbox(
        "Event",
        names,
        index=None,
        key="event",
        placeholder="Choose one to see all of it",
        width=320,
    )
    if chosen is not None:
        _show_one(found[names.index(chosen)])


def _show_one(event: EventRow) -> None:
    with st.container(border=True):
        st.markdown(
            f"**{event.kind}** by **{event.actor or 'nobody who is named'}**"
            + (f" about **{event.subject}**" if event.subject else "")
            + f"  \n{event.at:%Y-%m-%d %H:%M:%S} UTC, event `{event.id}`, number {event.seq} of "
            f"`{event.chain}`  \nhash `{event.hash}`"
        )
        if event.payload is None:
            st.info("Its content was erased; its number, time and hash stay.")
        else:
            st.json(event.payload)


def _show_verifying(client: Client) -> None:
    action(
        "Verify the chains",
        lambda: _verified(client),
        key="verify",
        warning="All that you may read is read, and that it was exported is an event of its own.",
        yes="Verify",
        icon=":material/verified:",
    )
    report: verifying.Report | None = st.session_state.get(_CHECKED)
    if report is None:
        return
    for chain in report.chains:
        st.markdown(
            f"**{chain.name}**: {chain.events:,} events, {chain.first:,} to {chain.last:,}; "
            f"{chain.lost:,} were lost before they came to it, {chain.erased:,} are erased."
        )
    if report.findings:
        told = "\n".join(f"- {one}" for one in report.findings)
        st.error(f"**Something was changed.**\n\n{told}", icon=":material/gpp_bad:")
    else:
        st.success("**Nothing is wrong:** every hash fits.", icon=":material/verified:")
    st.caption(
        "Signatures of checkpoints are not looked at here: that takes the public key, and a "
        "machine that this service does not run on. `gatehouse audit verify` does it."
    )


def _verified(client: Client) -> str:
    content = audit.export(client, st.session_state.get("chain", "")).content
    st.session_state[_CHECKED] = verifying.verified(content)
    return "The chains were verified."


page.show(
    "Audit",
    "What happened, who did it, and whether anybody has changed the record since.",
    render,
    needs="audit.read",
)
