"""What the pages are given. Session state wins, so that a test can put something else there."""

from datetime import UTC, date, datetime

import streamlit as st

from dashboard.settings import load_settings
from dashboard.usage_api import HttpUsageApi, UsageApi


def usage_api() -> UsageApi:
    """The policy service; `session_state["usage_api"]` takes its place when it is there.

    Raises:
        SettingsMissing: The environment does not say where the service is.
    """
    seeded: UsageApi | None = st.session_state.get("usage_api")
    return seeded or _http_usage_api()


def today() -> date:
    """The day in UTC, as budgets count; `session_state["today"]` takes its place."""
    seeded: date | None = st.session_state.get("today")
    return seeded or datetime.now(UTC).date()


def is_dark() -> bool:
    """Whether the reader's theme is dark."""
    return st.context.theme.type == "dark"


@st.cache_resource(show_spinner=False)
def _http_usage_api() -> HttpUsageApi:
    """One client, with its connections, for all sessions."""
    return HttpUsageApi(load_settings())
