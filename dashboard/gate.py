"""Lets people in who have signed in, where sign-in is set up; shows them who they are."""

import streamlit as st

from dashboard import wiring
from dashboard.api.identity import Viewer
from dashboard.settings import SettingsMissing


def is_open() -> bool:
    """Whether whoever looks may go on to the page; what they see instead is shown here."""
    try:
        needs_sign_in = wiring.settings().sign_in is not None
    except SettingsMissing:
        # The page says what is missing.
        return True
    if needs_sign_in and not wiring.is_signed_in():
        _show_door()
        return False
    return True


def sign_in_button(label: str) -> None:
    """A button that leads to the identity provider."""
    st.button(label, key="sign_in", type="primary", on_click=st.login)


def show_reader(viewer: Viewer | None) -> None:
    """Beside the pages: who looks, and what they have amounts shown in."""
    with st.sidebar:
        _show_currencies()
        if wiring.is_signed_in():
            shown = st.user.get("email") or st.user.get("name") or "Signed in"
            st.caption(str(shown))
            st.button("Sign out", key="sign_out", icon=":material/logout:", on_click=st.logout)
        elif viewer is not None:
            st.caption(viewer.name)


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
