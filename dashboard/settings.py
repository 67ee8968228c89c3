"""The dashboard's settings, read once from the environment."""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

DEFAULT_TIMEOUT_S = 10.0
DEFAULT_SCOPES = "openid email profile"
_COOKIE_SECRET_BYTES = 32
_MIN_SECRET_CHARS = 16
USD = "USD"
_CURRENCY = re.compile("[A-Z]{3}")


class SettingsMissing(Exception):
    """The dashboard cannot start to ask; the text says which variable to set."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """How people sign in: authorization code with PKCE at an OpenID provider.

    Args:
        issuer: As it calls itself.
        client_id: A client that may redirect to `<url>/oauth2callback`.
        url: Where browsers reach the dashboard, without a trailing slash.
        scopes: With spaces between.
        secrets_dir: Where the file is written that Streamlit reads this from.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    cookie_secret: str = field(repr=False)
    url: str
    scopes: str
    secrets_dir: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the figures come from.

    Args:
        policy_url: Base URL of the policy service, without a trailing slash.
        admin_token: Bearer token of its admin API; empty where people sign in, or bring their own.
        timeout_s: Longest wait for one answer.
        sign_in: How people sign in; `None`: whoever reaches the dashboard sees what the admin token
            may see, or brings one.
        gateway_url: Base URL of the gateway, where developers' keys are asked about; empty: they
            cannot be.
        currency: ISO 4217 code of what amounts can be shown in beside USD.
        usd_rate: How much of it a dollar is.
    """

    policy_url: str
    admin_token: str = field(repr=False)
    timeout_s: float = DEFAULT_TIMEOUT_S
    sign_in: SignIn | None = None
    gateway_url: str = ""
    currency: str = USD
    usd_rate: Decimal = Decimal(1)

    @property
    def asks_for_token(self) -> bool:
        """Whether everybody brings an admin token of their own."""
        return self.sign_in is None and not self.admin_token


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the `DASHBOARD_...` variables; docs/settings.md lists them.

    Args:
        environment: In place of the process's own, for tests.

    Raises:
        SettingsMissing: One that is needed is not set, or makes no sense.
    """
    if environment is None:
        environment = os.environ  # noqa: TID251 - this is the one place that reads it
    sign_in = _sign_in(environment)
    _check(environment, ["DASHBOARD_POLICY_URL"])
    given = environment.get("DASHBOARD_TIMEOUT_S", str(DEFAULT_TIMEOUT_S))
    try:
        timeout_s = float(given)
    except ValueError:
        timeout_s = 0.0
    if not timeout_s > 0:
        raise SettingsMissing("Set DASHBOARD_TIMEOUT_S to a number of seconds above zero.")
    return Settings(
        policy_url=environment["DASHBOARD_POLICY_URL"].rstrip("/"),
        # With sign-in no token may speak for people who have not signed in.
        admin_token="" if sign_in else environment.get("DASHBOARD_ADMIN_TOKEN", ""),
        timeout_s=timeout_s,
        sign_in=sign_in,
        gateway_url=environment.get("DASHBOARD_GATEWAY_URL", "").rstrip("/"),
        currency=_currency(environment),
        usd_rate=_usd_rate(environment),
    )


def _currency(environment: Mapping[str, str]) -> str:
    given = environment.get("DASHBOARD_CURRENCY") or USD
    if not _CURRENCY.fullmatch(given):
        raise SettingsMissing("Set DASHBOARD_CURRENCY to a currency's three letters, such as EUR.")
    return given


def _usd_rate(environment: Mapping[str, str]) -> Decimal:
    if _currency(environment) == USD:
        return Decimal(1)
    try:
        rate = Decimal(environment.get("DASHBOARD_USD_RATE", ""))
    except InvalidOperation:
        rate = Decimal(0)
    if not (rate.is_finite() and rate > 0):
        raise SettingsMissing(
            "Set DASHBOARD_USD_RATE to how much of DASHBOARD_CURRENCY a dollar is, such as 0.92."
        )
    return rate


def _sign_in(environment: Mapping[str, str]) -> SignIn | None:
    if not environment.get("DASHBOARD_OIDC_ISSUER"):
        return None
    needed = ("DASHBOARD_OIDC_CLIENT_ID", "DASHBOARD_OIDC_CLIENT_SECRET", "DASHBOARD_PUBLIC_URL")
    _check(environment, needed)
    cookie_secret = environment.get("DASHBOARD_COOKIE_SECRET") or secrets.token_urlsafe(
        _COOKIE_SECRET_BYTES
    )
    if len(cookie_secret) < _MIN_SECRET_CHARS:
        raise SettingsMissing(
            f"Set DASHBOARD_COOKIE_SECRET to at least {_MIN_SECRET_CHARS} random characters."
        )
    return SignIn(
        issuer=environment["DASHBOARD_OIDC_ISSUER"],
        client_id=environment["DASHBOARD_OIDC_CLIENT_ID"],
        client_secret=environment["DASHBOARD_OIDC_CLIENT_SECRET"],
        cookie_secret=cookie_secret,
        url=environment["DASHBOARD_PUBLIC_URL"].rstrip("/"),
        scopes=environment.get("DASHBOARD_OIDC_SCOPES") or DEFAULT_SCOPES,
        secrets_dir=_secrets_dir(environment),
    )


def _secrets_dir(environment: Mapping[str, str]) -> Path:
    given = environment.get("DASHBOARD_SECRETS_DIR")
    if given:
        return Path(given)
    # The first is in memory, and gone at the end of the session.
    base = environment.get("XDG_RUNTIME_DIR") or environment.get("XDG_STATE_HOME")
    return Path(base or Path.home() / ".local" / "state") / "gatehouse-dashboard"


def _check(environment: Mapping[str, str], names: tuple[str, ...] | list[str]) -> None:
    for name in names:
        if not environment.get(name):
            raise SettingsMissing(f"Set {name} and start the dashboard again.")
