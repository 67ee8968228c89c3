"""What the pages are given. Session state wins, so that a test can put something else there."""

from datetime import UTC, date, datetime
from decimal import Decimal

import streamlit as st

from dashboard.api import identity
from dashboard.api.client import Client
from dashboard.api.errors import SignInNeeded
from dashboard.formats import Currency, in_zone
from dashboard.memory import Memory
from dashboard.settings import USD, Settings, load_settings

CURRENCY_KEY = "currency"
_ZONE_KEY = "_zone"
_CAME_IN_BY = "_own_token"


def client() -> Client:
    """The policy service.

    Where people sign in, or bring a token, it is asked in the name of whoever looks, and by nobody
    else.

    Raises:
        SettingsMissing: The environment does not say where the service is.
        SignInNeeded: Nobody is signed in.
    """
    asked, given = _client(), settings()
    if given.asks_for_token:
        token = st.session_state.get(_CAME_IN_BY)
    elif given.sign_in is not None:
        token = st.user.tokens.get("access") if is_signed_in() else None
    else:
        return asked
    if not token:
        raise SignInNeeded("You are not signed in.", "Sign in to see what is yours to see.")
    return asked.speaking_for(token)


def come_in(token: str) -> None:
    """Look by an admin token of one's own from now on, in this session.

    Raises:
        ServiceFailure: It is nobody's, or nobody can be asked.
    """
    identity.whoami(_client().speaking_for(token))
    st.session_state[_CAME_IN_BY] = token


def leave() -> None:
    """Forget the token that somebody came in by."""
    st.session_state.pop(_CAME_IN_BY, None)


def has_come_in() -> bool:
    """Whether somebody looks by a token of their own."""
    return bool(st.session_state.get(_CAME_IN_BY))


def is_signed_in() -> bool:
    """Whether somebody is; nobody where Streamlit was not told how."""
    return st.user.get("is_logged_in") is True


def now() -> datetime:
    """The moment; `session_state["today"]` puts noon of another day in its place."""
    seeded: date | None = st.session_state.get("today")
    if seeded is not None:
        return datetime(seeded.year, seeded.month, seeded.day, 12, tzinfo=UTC)
    return datetime.now(UTC)


def go_by(zone: str) -> None:
    """Let days and months begin where the viewer's organisation's do."""
    st.session_state[_ZONE_KEY] = zone


def zone(chosen: str = "") -> str:
    """Whose days and months are shown: those of a zone that was chosen, else the organisation's."""
    return chosen or st.session_state.get(_ZONE_KEY, "UTC")


def today(chosen: str = "") -> date:
    """The day that it is there."""
    return in_zone(now(), zone(chosen)).date()


def is_dark() -> bool:
    """Whether the reader's theme is dark."""
    return st.context.theme.type == "dark"


def currencies() -> tuple[str, ...]:
    """What amounts can be shown in, USD first."""
    return tuple(dict.fromkeys((USD, settings().currency)))


def currency() -> Currency:
    """What amounts are shown in: the viewer's choice."""
    chosen = st.session_state.get(CURRENCY_KEY) or st.query_params.get(CURRENCY_KEY)
    if chosen == USD or chosen not in currencies():
        return Currency(USD, Decimal(1))
    return Currency(settings().currency, settings().usd_rate)


def forget() -> None:
    """Read everything anew: something was changed."""
    _memory().forget()


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """Read once: a secret that is made up at the start stays the same.

    Raises:
        SettingsMissing: One that is needed is not set.
    """
    return load_settings()


@st.cache_resource(show_spinner=False, on_release=Client.close)
def _client() -> Client:
    """One client, with its connections, for all sessions."""
    return Client(settings(), memory=_memory())


@st.cache_resource(show_spinner=False)
def _memory() -> Memory:
    """One memory for all sessions; it keeps people apart."""
    return Memory()
