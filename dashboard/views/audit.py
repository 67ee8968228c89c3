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
_TURNED = "_audit_turned"
_OPEN = "event"
"""In the address: the id of the event that is shown whole."""
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
        _show_events(client, _filters())
    chosen = st.query_params.get(_OPEN, "")
    if chosen:
        with page.section("Event"):
            _show_chosen(client, chosen)
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
    return (*given, ("limit", str(_PAGE)))


def _show_events(client: Client, asked: Query) -> None:
    """A page of events, and the ways to older and newer ones."""
    cursors = _cursors(asked)
    found = audit.events(client, [*asked, *(("cursor", one) for one in cursors[-1:])])
    if found.rows:
        frame = control.events_frame(found.rows)
        line = shown.clicked_line(frame, _EVENTS, key="events", alt="Events of the audit chain")
        _choose(found.rows, line)
    elif cursors:
        page.nothing("There are no older events.", "Go back to the newest.")
    else:
        page.nothing("No event is like that.", "Choose an earlier day, or fewer filters.")
    if not cursors and found.next is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        _turn_button("Newest", "newest", "first_page", asked, () if cursors else None)
        _turn_button("Newer", "newer", "chevron_left", asked, cursors[:-1] if cursors else None)
        older = None if found.next is None else (*cursors, found.next)
        _turn_button("Older", "older", "chevron_right", asked, older)
        st.caption(f"Page {len(cursors) + 1}, {_PAGE} events each.")


def _turn_button(
    label: str, key: str, icon: str, asked: Query, cursors: tuple[str, ...] | None
) -> None:
    """A button to another page: the cursors of the pages down to it; `None` where there is none."""
    st.button(
        label,
        key=key,
        icon=f":material/{icon}:",
        disabled=cursors is None,
        on_click=_turn,
        args=(asked, cursors),
    )


def _turn(asked: Query, cursors: tuple[str, ...]) -> None:
    st.session_state[_TURNED] = (asked, cursors)


def _cursors(asked: Query) -> tuple[str, ...]:
    """Of the pages that were turned, the newest's first; none when other events are asked for."""
    of, cursors = st.session_state.get(_TURNED, (None, ()))
    return cursors if of == asked else ()


def _choose(rows: list[EventRow], line: int | None) -> None:
    named = {one.id: f"{one.chain} {one.seq}" for one in rows}
    known, current = list(named), st.query_params.get(_OPEN, "")
    st.selectbox(
        "Event",
        known,
        index=known.index(current) if current in named else None,
        format_func=lambda one: named.get(one, one),
        key="event_chosen",
        placeholder="Choose one to see all of it",
        width=320,
        on_change=_open,
    )
    if line is not None and known[line] != current:
        st.query_params[_OPEN] = known[line]
        st.rerun()


def _open() -> None:
    chosen = st.session_state["event_chosen"]
    if chosen:
        st.query_params[_OPEN] = chosen


def _close() -> None:
    st.query_params.pop(_OPEN, None)
    st.session_state["event_chosen"] = None


def _show_chosen(client: Client, event_id: str) -> None:
    """The event that the address names, whatever the filters and however old it is."""
    event = audit.event(client, event_id)
    if event is None:
        page.nothing(
            "There is no event of that id.",
            "Or it is in a chain that you may not read: the address names another event.",
        )
    else:
        _show_one(event)
        st.caption("The page's address leads to this event: copy it to show it to somebody.")
    st.button("Close", key="event_close", icon=":material/close:", on_click=_close)


def _show_one(event: EventRow) -> None:
    with st.container():
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
