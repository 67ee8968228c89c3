"""Lets people in who have signed in, where sign-in is set up; shows them who they are."""

import streamlit as st

from dashboard import wiring
from dashboard.settings import SettingsMissing


def is_open() -> bool:
    """Whether whoever looks may go on to the page; what they see instead is shown here."""
    try:
        needs_sign_in = wiring.settings().sign_in is not None
    except SettingsMissing:
        # The page says what is missing.
        return True
    if not needs_sign_in:
        return True
    if not wiring.is_signed_in():
        _show_door()
        return False
    _show_who()
    return True


def sign_in_button(label: str) -> None:
    """A button that leads to the identity provider."""
    st.button(label, key="sign_in", type="primary", on_click=st.login)


def _show_door() -> None:
    st.title("Gatehouse")
    st.write("Sign in with your company account to see what models cost your teams.")
    sign_in_button("Sign in")


def _show_who() -> None:
    _, name, way_out = st.columns([6, 2, 1], vertical_alignment="center")
    shown = st.user.get("email") or st.user.get("name") or "Signed in"
    name.caption(str(shown), text_alignment="right")
    way_out.button("Sign out", key="sign_out", on_click=st.logout)
