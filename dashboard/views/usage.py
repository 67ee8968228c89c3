"""Who uses models, when, and for how much of what."""

from collections.abc import Sequence
from enum import StrEnum
from functools import partial

import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own
import streamlit as st

from dashboard import formats, wiring
from dashboard.api import costs, usage
from dashboard.api.client import Client
from dashboard.api.costs import Costs, Sums
from dashboard.api.identity import Viewer
from dashboard.figures import usage as figures
from dashboard.frames import money
from dashboard.frames import usage as frames
from dashboard.parts import capacity, filters, page, shown
from dashboard.parts.ahead import Question
from dashboard.parts.filters import Chosen, Span
from dashboard.tables import Column, Kind

_CACHES = {"prompt_cache": "Provider's prompt cache", "response_cache": "Response cache"}
_ACTIVE = ("Users", "Applications", "Teams")
_VIEW = "view"


class View(StrEnum):
    """A part of the page, as people and the page's address call it."""

    REQUESTS = "Requests"
    PEOPLE = "Hours and people"
    MODELS = "Models and caches"
    LIMITS = "Capacity and refusals"


def render(client: Client, viewer: Viewer) -> None:
    """Show requests, tokens, hours, people, models, caches and capacity."""
    chosen = filters.bar(
        client, on="usage", usual=Span.DAYS_30, ahead_of=partial(_questions, client)
    )
    found = Costs([], Sums())
    with page.section():
        found = costs.costs(client, chosen.query, (), chosen.interval)
        if found.total.requests:
            _show_numbers(found)
        else:
            page.nothing(
                f"Nothing was asked from {chosen.told}.",
                "Choose a longer period or fewer filters, or send a request through the gateway.",
            )
    if not found.total.requests:
        capacity.show(client, viewer, chosen)
        return
    views = st.tabs(list(View), key=_VIEW, on_change="rerun", bind="query-params")
    # Only what is open is asked for and drawn.
    for view, tab in zip(View, views, strict=True):
        if tab.open:
            with tab:
                _show(view, client, viewer, chosen, found)


def _questions(client: Client, chosen: Chosen) -> Sequence[Question]:
    of_all = partial(costs.costs, client, chosen.query, (), chosen.interval)
    match st.session_state.get(_VIEW) or st.query_params.get(_VIEW):
        case View.PEOPLE:
            hours, people = (
                partial(one, client, chosen.query) for one in (usage.hours, usage.adoption)
            )
            return of_all, hours, people
        case View.MODELS:
            return of_all, partial(costs.costs, client, chosen.query, ("model",))
        case View.LIMITS:
            return of_all, *capacity.questions(client, chosen)
        case _:
            return (of_all,)


def _show(view: View, client: Client, viewer: Viewer, chosen: Chosen, found: Costs) -> None:
    if view is View.LIMITS:
        capacity.show(client, viewer, chosen)
        return
    left, right = st.columns(2, gap="medium")
    days = frames.days_frame(found.rows, found.tz)
    match view:
        case View.REQUESTS:
            with left, page.section("Requests", f"{chosen.told}, in {found.tz}."):
                _show_requests(days)
            with right, page.section("Tokens by bucket", "What was read, from where, and written."):
                _show_tokens(found)
        case View.PEOPLE:
            with left, page.section("Hours of the week", "Requests by weekday and hour."):
                _show_hours(client, chosen)
            with right, page.section("Adoption", "Who was active each day."):
                _show_adoption(client, chosen)
        case View.MODELS:
            with left, page.section("Model mix", "By the name that was asked for."):
                _show_mix(client, chosen)
            with right, page.section("Cache rates", "Of input tokens, and of requests."):
                _show_caches(days)


def _show_numbers(found: Costs) -> None:
    total = found.total
    told = (
        ("Requests", formats.short_count_text(total.requests), f"{total.requests:,}"),
        (
            "Failed",
            formats.percent_text(money.share(total.failed, total.requests), 1),
            f"{total.failed:,} requests ended with an error.",
        ),
        (
            "Input tokens",
            formats.short_count_text(total.input_tokens),
            formats.parts_text(
                total.input_tokens, audio=total.input_audio_tokens, images=total.input_image_tokens
            ),
        ),
        (
            "Output tokens",
            formats.short_count_text(total.output_tokens),
            formats.parts_text(
                total.output_tokens,
                reasoning=total.reasoning_tokens,
                audio=total.output_audio_tokens,
            ),
        ),
        (
            "Prompt cache",
            formats.percent_text(money.share(total.cached_input_tokens, total.input_tokens), 1),
            "Of input tokens, those that a provider had read before.",
        ),
        (
            "Response cache",
            formats.percent_text(money.share(total.cache_hits, total.requests), 1),
            f"{total.cache_hits:,} requests were answered from the response cache.",
        ),
    )
    shown.metrics(told)


def _show_requests(days: pd.DataFrame) -> None:
    shown.figure(
        figures.requests_line(days, is_dark=wiring.is_dark()),
        key="requests",
        alt="Line of requests over time; its numbers are in the table below it",
    )
    columns = (
        Column("start", "From", Kind.TIME),
        Column("requests", "Requests", Kind.COUNT),
        Column("failed", "Failed", Kind.COUNT),
    )
    shown.numbers(days, columns, key="requests_numbers", alt="Requests over time")


def _show_tokens(found: Costs) -> None:
    buckets = frames.buckets_frame(found.rows, found.tz)
    shown.figure(
        figures.tokens_by_bucket(buckets, is_dark=wiring.is_dark()),
        key="tokens",
        alt="Bars of tokens by day, stacked by bucket; their numbers are in the table below",
    )
    columns = (
        Column("start", "From", Kind.TIME),
        Column("bucket", "Bucket"),
        Column("tokens", "Tokens", Kind.COUNT),
    )
    shown.numbers(buckets, columns, key="tokens_numbers", alt="Tokens by day and bucket")


def _show_hours(client: Client, chosen: Chosen) -> None:
    hours = frames.heat_frame(usage.hours(client, chosen.query))
    shown.figure(
        figures.heat_map(hours, is_dark=wiring.is_dark()),
        key="hours",
        alt="Map of requests by weekday and hour; its numbers are in the table below it",
    )
    columns = (
        Column("day", "Day"),
        Column("hour", "Hour", Kind.COUNT),
        Column("requests", "Requests", Kind.COUNT),
        Column("tokens", "Tokens", Kind.COUNT),
        Column("usd", "Spent", Kind.MONEY),
    )
    busy = hours[hours["requests"] > 0]
    shown.numbers(busy, columns, key="hours_numbers", alt="Requests by weekday and hour")


def _show_adoption(client: Client, chosen: Chosen) -> None:
    found = usage.adoption(client, chosen.query)
    adoption = frames.adoption_frame(found.rows, found.tz)
    total = found.total
    st.markdown(
        f"In all: users **{total.users:,}**, applications **{total.applications:,}**, "
        f"teams **{total.teams:,}**."
    )
    shown.figure(
        figures.lines(adoption, _ACTIVE, kind="kind", value="active", is_dark=wiring.is_dark()),
        key="adoption",
        alt="Lines of active users, applications and teams by day; numbers in the table below",
    )
    columns = (
        Column("start", "Day", Kind.TIME),
        Column("kind", "Who"),
        Column("active", "Active", Kind.COUNT),
    )
    shown.numbers(adoption, columns, key="adoption_numbers", alt="Who was active by day")


def _show_mix(client: Client, chosen: Chosen) -> None:
    mix = frames.mix_frame(costs.costs(client, chosen.query, ("model",)).rows, "model")
    shown.figure(
        figures.counted_bars(mix, name="name", is_dark=wiring.is_dark()),
        key="mix",
        alt="Bars of requests by model; their numbers are in the table below",
    )
    columns = (
        Column("name", "Model"),
        Column("share", "Share", Kind.BAR),
        Column("requests", "Requests", Kind.COUNT),
        Column("tokens", "Tokens", Kind.COUNT),
        Column("usd", "Spent", Kind.MONEY),
    )
    shown.numbers(mix, columns, key="mix_numbers", alt="Requests, tokens and spend by model")


def _show_caches(days: pd.DataFrame) -> None:
    rates = days.melt("start", list(_CACHES), "cache", "rate").replace({"cache": _CACHES})
    shown.figure(
        figures.lines(
            rates,
            list(_CACHES.values()),
            kind="cache",
            value="rate",
            is_dark=wiring.is_dark(),
            as_percent=True,
        ),
        key="caches",
        alt="Lines of cache rates over time; their numbers are in the table below",
    )
    columns = (
        Column("start", "From", Kind.TIME),
        Column("prompt_cache", "Of input tokens", Kind.SHARE),
        Column("response_cache", "Of requests", Kind.SHARE),
    )
    shown.numbers(days, columns, key="caches_numbers", alt="Cache rates over time")


page.show("Usage", "Who uses models, when, and for how much of what.", render, needs="usage.read")
