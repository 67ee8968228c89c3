"""How providers fare: how fast they answer, how often they fail, and what was done about it."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboard import formats, wiring
from dashboard.api import reliability
from dashboard.api.client import Client
from dashboard.api.identity import PLATFORM, Viewer
from dashboard.api.reliability import Reliability, ReliabilityRow
from dashboard.figures import reliability as figures
from dashboard.frames import money
from dashboard.frames import reliability as frames
from dashboard.parts import breakers, filters, page, shown
from dashboard.parts.ahead import Question
from dashboard.parts.filters import Chosen, Span
from dashboard.tables import Column, Kind

_BY = ("provider", "model")
_FARES = (
    Column("name", "Provider · model"),
    Column("requests", "Requests", Kind.COUNT),
    Column("failed_share", "Failed", Kind.SHARE),
    Column("fallbacks", "Fallbacks", Kind.COUNT),
    Column("p50", "p50", Kind.DURATION),
    Column("p95", "p95", Kind.DURATION),
    Column("p99", "p99", Kind.DURATION),
    Column("first_p50", "First token p50", Kind.DURATION),
    Column("first_p95", "First token p95", Kind.DURATION),
    Column("first_p99", "First token p99", Kind.DURATION),
    Column("overhead_p50", "Overhead p50", Kind.DURATION),
    Column("overhead_p95", "Overhead p95", Kind.DURATION),
    Column("overhead_p99", "Overhead p99", Kind.DURATION),
)


def render(client: Client, viewer: Viewer) -> None:
    """Show latencies, errors, fallbacks and breakers."""
    chosen = filters.bar(
        client, on="reliability", usual=Span.WEEK, ahead_of=partial(_questions, client, viewer)
    )
    with page.section():
        found = reliability.reliability(client, chosen.query, _BY)
        if not found.total.requests:
            page.nothing(
                f"Nothing was asked from {chosen.told}.",
                "Choose a longer period or fewer filters, or send a request through the gateway.",
            )
        else:
            _show_measured(found)
    with page.section(
        "Breaker history",
        f"When calls were kept away from a deployment, and why, in {chosen.zone}.",
    ):
        breakers.show(client, chosen)
    if _sees_deployments(viewer):
        with page.section("Deployments now", "As all processes together have seen them."):
            _show_health(client)


def _questions(client: Client, viewer: Viewer, chosen: Chosen) -> Sequence[Question]:
    asked: list[Question] = [
        partial(reliability.reliability, client, chosen.query, _BY),
        partial(breakers.steps, client, chosen),
    ]
    if _sees_deployments(viewer):
        asked.append(partial(reliability.health, client))
    return asked


def _sees_deployments(viewer: Viewer) -> bool:
    return viewer.may("usage.read", PLATFORM)


def _show_measured(found: Reliability) -> None:
    _show_numbers(found.total)
    latency, errors = st.columns([3, 2], gap="medium")
    with (
        latency,
        page.section("Latency", "From the median to the 99th percentile; the mark is the 95th."),
    ):
        measured = st.segmented_control(
            "What is measured",
            list(frames.DURATIONS),
            default="total_ms",
            format_func=lambda one: frames.DURATIONS[one],
            key="measured",
            bind="query-params",
            required=True,
            label_visibility="collapsed",
        )
        _show_latency(found.rows, measured)
    with errors, page.section("Errors by class", "Requests that failed."):
        _show_errors(found.rows)
    with page.section("By provider and model"):
        frame = frames.fares_frame(found.rows)
        shown.table(
            frame, _FARES, key="fares", alt="Requests, failures and latencies by provider and model"
        )
        shown.csv_button(frame, "reliability", key="fares_csv")


def _show_numbers(total: ReliabilityRow) -> None:
    text = formats.duration_text
    told = (
        (
            "Succeeded",
            formats.percent_text(1 - money.share(total.failed, total.requests), 2),
            f"{total.failed:,} of {total.requests:,} requests failed.",
        ),
        ("p50", text(total.total_ms.p50), "Half of the answers were whole by then."),
        ("p95", text(total.total_ms.p95), "95 of 100 answers were whole by then."),
        ("First token p95", text(total.first_token_ms.p95), "Of streams: when they began."),
        ("Overhead p95", text(total.overhead_ms.p95), "What the gateway itself took."),
        ("Fallbacks", f"{total.fallbacks:,}", "Calls that another deployment answered."),
    )
    shown.metrics(told)


def _show_latency(rows: list[ReliabilityRow], measured: str) -> None:
    latency = frames.latency_frame(rows, measured)
    if not len(latency):
        page.nothing("This was not measured.", "Streams have a first token; others have none.")
        return
    shown.figure(
        figures.latency_ranges(latency, is_dark=wiring.is_dark()),
        key="latency",
        alt=f"{frames.DURATIONS[measured]}: bars from the 50th to the 99th percentile by provider "
        "and model; their numbers are in the table below",
    )


def _show_errors(rows: list[ReliabilityRow]) -> None:
    errors = frames.errors_frame(rows)
    if not len(errors):
        st.success("No request failed.", icon=":material/check_circle:")
        return
    shown.figure(
        figures.errors_by_class(errors, is_dark=wiring.is_dark()),
        key="errors",
        alt="Bars of failed requests by provider and model, stacked by class of error",
    )
    columns = (
        Column("name", "Provider · model"),
        Column("error", "Class"),
        Column("count", "Requests", Kind.COUNT),
    )
    shown.numbers(errors, columns, key="errors_numbers", alt="Failed requests by class")


def _show_health(client: Client) -> None:
    found = reliability.health(client)
    if not found:
        page.nothing("No deployment is configured.", "Name some in `POLICY_MODELS_FILE`.")
        return
    columns = (
        Column("deployment", "Deployment"),
        Column("breaker", "Breaker"),
        Column("region", "Region"),
        Column("first_token_ms", "First token", Kind.DURATION),
        Column("samples", "Calls", Kind.COUNT),
    )
    shown.table(
        frames.health_frame(found), columns, key="health", alt="How each deployment fares now"
    )


page.show(
    "Reliability",
    "How fast providers answer, how often they fail, and what was done about it.",
    render,
    needs="usage.read",
)
