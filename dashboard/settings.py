"""The dashboard's three settings, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_TIMEOUT_S = 10.0


class SettingsMissing(Exception):
    """The dashboard cannot start to ask; the text says which variable to set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the figures come from.

    Args:
        policy_url: Base URL of the policy service, without a trailing slash.
        admin_token: Bearer token of its admin API.
        timeout_s: Longest wait for one answer.
    """

    policy_url: str
    admin_token: str = field(repr=False)
    timeout_s: float = DEFAULT_TIMEOUT_S


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read `DASHBOARD_POLICY_URL`, `DASHBOARD_ADMIN_TOKEN` and `DASHBOARD_TIMEOUT_S`.

    Args:
        environment: In place of the process's own, for tests.

    Raises:
        SettingsMissing: One of the first two is not set, or the third is no number above zero.
    """
    if environment is None:
        environment = os.environ  # noqa: TID251 - this is the one place that reads it
    for name in ("DASHBOARD_POLICY_URL", "DASHBOARD_ADMIN_TOKEN"):
        if not environment.get(name):
            raise SettingsMissing(f"Set {name} and start the dashboard again.")
    given = environment.get("DASHBOARD_TIMEOUT_S", str(DEFAULT_TIMEOUT_S))
    try:
        timeout_s = float(given)
    except ValueError:
        timeout_s = 0.0
    if not timeout_s > 0:
        raise SettingsMissing("Set DASHBOARD_TIMEOUT_S to a number of seconds above zero.")
    return Settings(
        policy_url=environment["DASHBOARD_POLICY_URL"].rstrip("/"),
        admin_token=environment["DASHBOARD_ADMIN_TOKEN"],
        timeout_s=timeout_s,
    )
