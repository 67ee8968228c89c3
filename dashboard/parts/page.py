"""The frame of a page: who looks, what cannot be shown, and why.

A page is a function of a `Viewer` under `page`. Parts of it stand in `section`: what the service
does not offer, or the viewer may not see, is said in its place, and the rest goes on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard import gate, wiring
from dashboard.api import identity
from dashboard.api.client import Client
from dashboard.api.errors import (
    NotOffered,
    NotPermitted,
    Refused,
    ServiceFailure,
    SignInNeeded,
)
from dashboard.api.identity import Viewer
from dashboard.settings import SettingsMissing

Render = Callable[[Client, Viewer], None]
_DONE = "_done"
_ALL = "_all_anew"
PAGES_UNKNOWN = "_pages_unknown"
"""In the session, while the list of pages was drawn without knowing who looks."""


def show(title: str, told: str, render: Render, *, needs: str | None = None) -> None:
    """Show a page.

    Args:
        title: Its heading.
        told: One sentence below it: what the page answers.
        render: Shows the rest.
        needs: The permission without which there is nothing to see.
    """
    with st.container(gap=None):
        st.title(title, anchor=False)
        st.caption(told)
    _show_content(render, needs)


@st.fragment
def _show_content(render: Render, needs: str | None) -> None:
    """What a change of the page's own filters draws anew; all around it stays as it is."""
    if st.session_state.pop(_ALL, False):
        st.rerun()
    _show_done()
    try:
        client = wiring.client()
        viewer = identity.whoami(client)
        if st.session_state.get(PAGES_UNKNOWN):
            st.rerun()
        wiring.go_by(viewer.time_zone)
        if needs is not None and not viewer.may(needs):
            raise NotPermitted(
                "You may not see this.",
                f"None of your roles permits `{needs}` anywhere. Ask your team's owner, or an "
                "administrator, for a role. Your own use of models is on the page My usage.",
            )
        render(client, viewer)
    except (ServiceFailure, SettingsMissing) as error:
        show_failure(error)


@contextmanager
def section(title: str = "", told: str = "") -> Iterator[None]:
    """A part of a page, with its heading; what cannot be shown of it is said in its place.

    Raises:
        ServiceFailure: Nobody answers, or the sign-in is over: the whole page cannot be shown.
    """
    with st.container(border=bool(title)):
        if title:
            with st.container(gap="xxsmall"):
                st.subheader(title, anchor=False)
                if told:
                    st.caption(told)
        try:
            yield
        except (NotOffered, NotPermitted, Refused) as error:
            show_failure(error)


def show_failure(error: ServiceFailure | SettingsMissing) -> None:
    """Say in words what is wrong and what to do about it."""
    what, hint = (
        (error.what, error.hint)
        if isinstance(error, ServiceFailure)
        else ("The dashboard is not set up yet.", str(error))
    )
    told = f"**{what}**\n\n{hint}"
    if isinstance(error, SignInNeeded):
        st.warning(told, icon=":material/lock_clock:")
        gate.sign_in_button("Sign in again", draw_door=_draw_all)
    elif isinstance(error, NotPermitted):
        st.info(told, icon=":material/lock:")
    elif isinstance(error, NotOffered):
        st.info(told, icon=":material/update:")
    elif isinstance(error, Refused):
        st.error(told, icon=":material/block:")
    else:
        st.error(told, icon=":material/cloud_off:")
        # Who looks was not known either, so the list of pages is to be drawn too.
        st.button("Try again", key="retry", on_click=_draw_all)


def _draw_all() -> None:
    st.session_state[_ALL] = True


def nothing(what: str, hint: str) -> None:
    """There is nothing to show, and this is what to do for there to be something."""
    st.info(f"**{what}** {hint}", icon=":material/inbox:")


def done(told: str) -> None:
    """Draw the page anew, with what was changed, and say so on it."""
    wiring.forget()
    st.session_state[_DONE] = told
    st.rerun()


def _show_done() -> None:
    told = st.session_state.pop(_DONE, None)
    if told:
        st.success(told, icon=":material/check_circle:")
