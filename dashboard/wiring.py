"""What the pages are given. Session state wins, so that a test can put something else there."""

from datetime import UTC, date, datetime

import streamlit as st

from dashboard.settings import Settings, load_settings
from dashboard.usage_api import HttpUsageApi, SignInNeeded, UsageApi


def usage_api() -> UsageApi:
    """The policy service; `session_state["usage_api"]` takes its place when it is there.

    Where people sign in it is asked in the name of whoever looks, and by nobody else.

    Raises:
        SettingsMissing: The environment does not say where the service is.
        SignInNeeded: Nobody is signed in.
    """
    seeded: UsageApi | None = st.session_state.get("usage_api")
    if seeded is not None:
        return seeded
    api = _http_usage_api()
    if settings().sign_in is None:
        return api
    token = st.user.tokens.get("access") if is_signed_in() else None
    if not token:
        raise SignInNeeded("You are not signed in.", "Sign in to see what is yours to see.")
    return api.speaking_for(token)


def is_signed_in() -> bool:
    """Whether somebody is; nobody where Streamlit was not told how."""
    return st.user.get("is_logged_in") is True


def today() -> date:
    """The day in UTC, as budgets count; `session_state["today"]` takes its place."""
    seeded: date | None = st.session_state.get("today")
    return seeded or datetime.now(UTC).date()


def is_dark() -> bool:
    """Whether the reader's theme is dark."""
    return st.context.theme.type == "dark"


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """Read once: a secret that is made up at the start stays the same.

    Raises:
        SettingsMissing: One that is needed is not set.
    """
    return load_settings()


@st.cache_resource(show_spinner=False)
def _http_usage_api() -> HttpUsageApi:
    """One client, with its connections, for all sessions."""
    return HttpUsageApi(settings())
