"""What a developer's own key is good for, what it has used, and what is left."""

import streamlit as st

from dashboard import formats, wiring
from dashboard.api import mine
from dashboard.api.client import Client
from dashboard.api.errors import ServiceFailure
from dashboard.api.identity import Viewer
from dashboard.api.mine import Me, MyUsage
from dashboard.figures import usage as figures
from dashboard.frames import control
from dashboard.frames import usage as frames
from dashboard.parts import page, shown
from dashboard.tables import Column, Kind

_KEY = "_my_key"
_LIMITS = (
    Column("node", "Whose"),
    Column("limit", "Limit"),
    Column("used_percent", "Used", Kind.BAR),
    Column("used", "Used", Kind.NUMBER_TEXT),
    Column("amount", "Limit is", Kind.NUMBER_TEXT),
    Column("left", "Left", Kind.NUMBER_TEXT),
)
_MODELS = (
    Column("model", "Model"),
    Column("requests", "Requests", Kind.COUNT),
    Column("input_tokens", "Input tokens", Kind.COUNT),
    Column("output_tokens", "Output tokens", Kind.COUNT),
    Column("usd", "Cost", Kind.MONEY),
)
_DAYS = (
    Column("start", "Day", Kind.TIME),
    Column("requests", "Requests", Kind.COUNT),
    Column("errors", "Failed", Kind.COUNT),
    Column("usd", "Cost", Kind.MONEY),
)


def render(client: Client, viewer: Viewer) -> None:
    """Ask for a key, and show what it is told about itself."""
    del client, viewer
    settings = wiring.settings()
    if not settings.gateway_url:
        page.nothing(
            "This dashboard does not know the gateway.",
            "Set `DASHBOARD_GATEWAY_URL` to its address and start the dashboard again. Until then: "
            '`curl <gateway>/v1/me -H "Authorization: Bearer <your key>"`.',
        )
        return
    key = st.session_state.get(_KEY, "")
    if not key:
        _ask_for_key()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Forget the key", key="forget", icon=":material/logout:", on_click=_forget)
    with page.section():
        try:
            me, used = mine.about_me(settings, key)
        except ServiceFailure as error:
            page.show_failure(error)
            return
        _show_me(me)
        _show_used(used)
        # Below each other: side by side a narrow window cuts their last columns off.
        with page.section("Limits that bind you", "Calls under way at their worst case."):
            _show_limits(me)
        with page.section("By model", formats.month_text(used.month)):
            _show_models(used)
        with page.section("By day", "The last 30 days."):
            _show_days(used)


def _ask_for_key() -> None:
    with st.form("key", width=520):
        st.text_input(
            "Your API key",
            type="password",
            key="given_key",
            autocomplete="off",
            placeholder="gk-...",
            help="Kept in this browser session only, sent to the gateway only, written nowhere.",
        )
        st.form_submit_button("Show my usage", key="show_mine", type="primary", on_click=_take)


def _take() -> None:
    # The field's own value ends with the field; this is what stays for the session.
    st.session_state[_KEY] = st.session_state.pop("given_key", "").strip()


def _forget() -> None:
    st.session_state.pop(_KEY, None)


def _show_me(me: Me) -> None:
    who = me.user or me.application or me.project or me.team
    where = " / ".join(one for one in (me.organisation, me.department, me.team, me.project) if one)
    st.markdown(f"**{who}**, {where}")
    if me.key is not None:
        ends = "" if me.key.expires_at is None else f", until {me.key.expires_at:%Y-%m-%d}"
        st.caption(f"Key {me.key.name} (`{me.key.prefix}...`){ends}. Times in {me.time_zone}.")
    models = ", ".join(f"`{one}`" for one in me.models) or "none"
    with st.expander("Models you may use", icon=":material/deployed_code:"):
        st.markdown(models)


def _show_used(used: MyUsage) -> None:
    total = used.total
    told = (
        (f"{formats.month_text(used.month)}", wiring.currency().text(total.usd)),
        ("Requests", formats.count_text(total.requests)),
        ("Failed", formats.count_text(total.errors)),
        ("From the cache", formats.count_text(total.cache_hits)),
        ("Input tokens", formats.short_count_text(total.input_tokens)),
        ("Output tokens", formats.short_count_text(total.output_tokens)),
    )
    shown.metrics([(label, value, "") for label, value in told])


def _show_limits(me: Me) -> None:
    if not me.limits:
        page.nothing("No limit binds you.", "What you may use is not counted against anything.")
        return
    frame = control.own_limits_frame(me.limits, wiring.currency())
    shown.table(frame, _LIMITS, key="my_limits", alt="Limits that bind you")


def _show_models(used: MyUsage) -> None:
    if not used.by_model:
        page.nothing("You have used no model this month.", "Send a request with your key.")
        return
    frame = frames.own_models_frame(used.by_model)
    shown.table(frame, _MODELS, key="my_models", alt="What you used by model")


def _show_days(used: MyUsage) -> None:
    if not any(one.used.requests for one in used.by_day):
        page.nothing("You have used nothing in 30 days.", "Send a request with your key.")
        return
    days = frames.own_days_frame(used.by_day)
    shown.figure(
        figures.requests_line(
            days.rename(columns={"errors": "failed"}).drop(columns="usd"), is_dark=wiring.is_dark()
        ),
        key="my_days",
        alt="Line of your requests by day; its numbers are in the table below",
    )
    shown.numbers(days, _DAYS, key="my_days_numbers", alt="Your requests by day")


page.show(
    "My usage",
    "What your own key is good for, what it has used, and what is left.",
    render,
)
