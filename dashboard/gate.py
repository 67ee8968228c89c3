"""Lets people in who have signed in, where sign-in is set up; shows them who they are."""

from collections.abc import Callable

import streamlit as st

from dashboard import wiring
from dashboard.api.errors import ServiceFailure, SignInNeeded
from dashboard.api.identity import Viewer
from dashboard.settings import SettingsMissing


def is_open() -> bool:
    """Whether whoever looks may go on to the page; what they see instead is shown here."""
    try:
        settings = wiring.settings()
    except SettingsMissing:
        # The page says what is missing.
        return True
    if settings.sign_in is not None and not wiring.is_signed_in():
        _show_door()
        return False
    if settings.asks_for_token and not wiring.has_come_in():
        _ask_for_token()
        return False
    return True


def sign_in_button(label: str, draw_door: Callable[[], None] = lambda: None) -> None:
    """A button that leads to the identity provider, or back to the door, which is drawn then."""
    if not wiring.settings().asks_for_token:
        # Nothing is drawn anew after it: Streamlit forgets where a browser is to go when a run
        # begins before the browser was told.
        st.button(label, key="sign_in", type="primary", on_click=st.login)
        return

    def leave() -> None:
        wiring.leave()
        draw_door()

    st.button(label, key="sign_in", type="primary", on_click=leave)


def show_reader(viewer: Viewer | None) -> None:
    """Beside the pages: who looks, and what they have amounts shown in."""
    with st.sidebar:
        _show_currencies()
        if wiring.is_signed_in():
            shown = st.user.get("email") or st.user.get("name") or "Signed in"
            st.caption(str(shown))
            st.button("Sign out", key="sign_out", icon=":material/logout:", on_click=st.logout)
            return
        if viewer is not None:
            st.caption(viewer.name)
        if wiring.has_come_in():
            st.button("Sign out", key="sign_out", icon=":material/logout:", on_click=wiring.leave)


def _show_currencies() -> None:
    try:
        known = wiring.currencies()
    except SettingsMissing:
        return
    if len(known) > 1:
        st.segmented_control(
            "Amounts in",
            known,
            default=known[0],
            key=wiring.CURRENCY_KEY,
            required=True,
            bind="query-params",
        )


def _show_door() -> None:
    st.title("Gatehouse", anchor=False)
    st.write("Sign in with your company account to see what models cost your teams.")
    sign_in_button("Sign in")


def _ask_for_token() -> None:
    st.title("Gatehouse", anchor=False)
    st.write("Sign in with an admin token of your own to see what is yours to see.")
    with st.form("door", border=False):
        token = st.text_input(
            "Admin token",
            key="token",
            type="password",
            placeholder="ga-...",
            help="Whoever administers Gatehouse issues it. It is kept until this page is closed, "
            "and nowhere but in this session.",
            width=420,
        ).strip()
        asked = st.form_submit_button("Sign in", key="come_in", type="primary")
    if not asked:
        return
    if not token or not token.isascii() or any(map(str.isspace, token)):
        st.error("An admin token is one word, such as ga-...", icon=":material/block:")
        return
    try:
        wiring.come_in(token)
    except SignInNeeded as failure:
        st.error(f"Nobody comes in by this token: {failure.hint}", icon=":material/block:")
    except ServiceFailure as failure:
        st.error(f"**{failure.what}**\n\n{failure.hint}", icon=":material/cloud_off:")
    else:
        st.rerun()
