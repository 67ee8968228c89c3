"""Buttons that change something: asked twice, done once."""

from collections.abc import Callable

import streamlit as st

from dashboard.api.errors import NotOffered, NotPermitted, Refused
from dashboard.parts.page import done, show_failure


def action(
    label: str,
    act: Callable[[], str],
    *,
    key: str,
    warning: str,
    yes: str,
    icon: str | None = None,
    disabled: bool = False,
    primary: bool = False,
) -> None:
    """A button that asks back before it does something.

    Args:
        label: What it says.
        act: Does it, and gives the sentence that tells so.
        key: Of the widgets; `<key>_yes` and `<key>_no` are the two answers.
        warning: What will happen, in a sentence.
        yes: The button that goes on.
        icon: Beside the label.
        disabled: Whether it cannot be done now.
        primary: Whether it is the page's main thing.
    """
    asked, confirmed = f"_{key}_asked", f"_{key}_confirmed"
    if st.session_state.pop(confirmed, False):
        attempt(act)
    if not st.session_state.get(asked):
        st.button(
            label,
            key=key,
            icon=icon,
            disabled=disabled,
            type="primary" if primary else "secondary",
            on_click=_set,
            args=(asked, True),
        )
        return
    st.warning(warning, icon=":material/help:")
    with st.container(horizontal=True):
        st.button(yes, key=f"{key}_yes", type="primary", on_click=_confirm, args=(asked, confirmed))
        st.button("Cancel", key=f"{key}_no", on_click=_set, args=(asked, False))


def attempt(act: Callable[[], str]) -> None:
    """Do something, and say what came of it."""
    try:
        told = act()
    except (NotOffered, NotPermitted, Refused) as error:
        show_failure(error)
        return
    done(told)


def _confirm(asked: str, confirmed: str) -> None:
    _set(asked, False)
    _set(confirmed, True)


def _set(name: str, value: bool) -> None:
    st.session_state[name] = value
