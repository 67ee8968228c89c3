"""Which policy is live, what it denies, and what the next one would."""

import streamlit as st

from dashboard import formats
from dashboard.api import policies, reliability
from dashboard.api.client import Client
from dashboard.api.identity import Viewer
from dashboard.api.policies import Bundle, Policies, ShadowReport
from dashboard.figures import usage as figures
from dashboard.frames import control
from dashboard.frames import reliability as reliability_frames
from dashboard.frames.money import share
from dashboard.parts import filters, page, shown
from dashboard.parts.filters import Span
from dashboard.tables import Column, Kind
from dashboard.wiring import is_dark, zone

_DENIED = (
    Column("code", "Reason"),
    Column("rule", "Rule"),
    Column("count", "Calls", Kind.COUNT),
    Column("last_at", "Last", Kind.TIME),
    Column("message", "Told", width="large"),
)
_HISTORY = (
    Column("at", "Since (UTC)", Kind.TIME),
    Column("revision", "Revision"),
    Column("action", "How"),
    Column("actor", "By"),
    Column("reason", "Why", width="large"),
)
_BY_TEAM = (
    Column("team", "Team"),
    Column("share", "Differs", Kind.BAR),
    Column("differing", "Different", Kind.COUNT),
    Column("evaluated", "Decisions", Kind.COUNT),
    Column("failed", "Failed", Kind.COUNT),
    Column("dropped", "Not asked", Kind.COUNT),
)
_DIFFERENT = (
    Column("at", "Time (UTC)", Kind.TIME),
    Column("team", "Team"),
    Column("asked_model", "Model"),
    Column("kinds", "Differs in"),
    Column("before", "Live", width="medium"),
    Column("after", "Shadow", width="medium"),
)


def render(client: Client, viewer: Viewer) -> None:
    """Show the live policy, its denials, and its shadow."""
    del viewer
    with page.section():
        found = policies.policies(client)
        _show_live(found)
        with page.section("What was live"):
            _show_history(found)
    with page.section("Denials by reason", f"Calls that policy refused; times in {zone()}."):
        _show_denials(client)
    with page.section("Shadow", "What a policy that only looks on would have decided otherwise."):
        _show_shadow(policies.shadow(client))


def _show_live(found: Policies) -> None:
    by_digest = {one.digest: one for one in found.rows}
    live = by_digest.get(found.standing.live or "")
    shadow = by_digest.get(found.standing.shadow or "")
    told = (
        ("Live revision", _revision(live, found.standing.live, "the service's own")),
        ("Live since", f"{found.history[0].at:%Y-%m-%d}" if found.history else "its start"),
        ("Shadow", _revision(shadow, found.standing.shadow, "none")),
        ("Uploaded", f"{len(found.rows):,}"),
    )
    shown.metrics([(label, value, "") for label, value in told])
    if live is not None:
        st.caption(
            f"Signed with key `{live.key_id}`, uploaded by {live.uploaded_by} on "
            f"{formats.time_text(live.uploaded_at)} UTC. Its own tests: {live.tests}. Digest "
            f"`{live.digest}`."
        )


def _show_history(found: Policies) -> None:
    if not found.history:
        page.nothing(
            "The service's own policy has been live all along.",
            "`gatehouse policy upload` and `activate` make a signed one live.",
        )
        return
    frame = control.activations_frame(found.history)
    shown.table(frame, _HISTORY, key="history", alt="Changes of the live policy")


def _revision(bundle: Bundle | None, digest: str | None, otherwise: str) -> str:
    if bundle is not None:
        return bundle.revision
    return otherwise if digest is None else digest[:12]


def _show_denials(client: Client) -> None:
    chosen = filters.bar(client, on="policy", usual=Span.DAYS_30, only_period=True)
    found = reliability.refusals(client, chosen.query, ("code", "rule"))
    if not found:
        st.success("Nothing was denied.", icon=":material/check_circle:")
        return
    frame = reliability_frames.refusals_frame(found, ("code", "rule"), chosen.zone)
    counts = frame.groupby("code", sort=False)["count"].sum().reset_index()
    total = int(counts["count"].sum())
    counts["share"] = [100 * share(int(one), total) for one in counts["count"]]
    shown.figure(
        figures.counted_bars(
            counts.rename(columns={"count": "requests"}), name="code", is_dark=is_dark()
        ),
        key="denied_drawn",
        alt="Bars of denied calls by reason; their numbers are in the table below it",
    )
    shown.table(frame, _DENIED, key="denied", alt="Denied calls by reason and rule")


def _show_shadow(report: ShadowReport) -> None:
    if report.bundle is None:
        page.nothing(
            "No policy runs as a shadow.",
            "`gatehouse policy shadow` lets one look on before it is made live.",
        )
        return
    st.markdown(
        f"**{report.bundle.revision}** looks on since {formats.time_text(report.since)} UTC."
    )
    if not report.counts:
        page.nothing("No decision was made since.", "They are counted by the hour and team.")
        return
    by_team, found = st.columns([2, 3], gap="medium")
    with by_team:
        frame = control.shadow_frame(report.counts)
        shown.table(frame, _BY_TEAM, key="shadow", alt="Decisions that differ by team")
    with found:
        if report.differences:
            frame = control.shadow_differences_frame(report.differences)
            shown.table(frame, _DIFFERENT, key="different", alt="Decisions that would be others")
        else:
            st.success("It decides as the live one does.", icon=":material/check_circle:")


page.show(
    "Policy",
    "Which policy is live, what it denies, and what the next one would.",
    render,
    needs="policy.read",
)
