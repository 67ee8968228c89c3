"""What a developer's key is told about itself, through the gateway."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

import httpx

from dashboard.api.client import Client
from dashboard.api.errors import NotPermitted, SignInNeeded
from dashboard.settings import Settings


@dataclass(frozen=True, slots=True)
class OwnLimit:
    """A limit that binds the caller, in its own unit."""

    node: str
    measure: str
    amount: Decimal
    used: Decimal
    remaining: Decimal
    scope: str = ""
    renews_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OwnKey:
    """The key that asked."""

    id: str
    name: str
    prefix: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Me:
    """What `GET /v1/me` answers, as far as it is shown."""

    organisation: str
    department: str
    team: str
    project: str | None = None
    user: str | None = None
    application: str | None = None
    key: OwnKey | None = None
    models: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    time_zone: str = "UTC"
    limits: tuple[OwnLimit, ...] = ()


@dataclass(frozen=True, slots=True)
class Used:
    """Sums over some calls."""

    requests: int = 0
    errors: int = 0
    cache_hits: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """What was used of one model this month."""

    model: str
    used: Used


@dataclass(frozen=True, slots=True)
class DayUsed:
    """What was used in one day."""

    day: date
    used: Used


@dataclass(frozen=True, slots=True)
class MyUsage:
    """What `GET /v1/me/usage` answers."""

    month: str
    total: Used
    of: str | None = None
    by_model: tuple[ModelUsed, ...] = ()
    by_day: tuple[DayUsed, ...] = ()


def about_me(
    settings: Settings, key: str, *, transport: httpx.BaseTransport | None = None
) -> tuple[Me, MyUsage]:
    """Ask the gateway with a developer's own key; nothing is remembered.

    Raises:
        ServiceFailure: The gateway cannot be asked, or does not know the key.
    """
    gateway = replace(settings, policy_url=settings.gateway_url, admin_token="")
    with Client(gateway, transport=transport, called="gateway") as client:
        theirs = client.speaking_for(key)
        try:
            return theirs.get("/v1/me", Me), theirs.get("/v1/me/usage", MyUsage)
        except SignInNeeded as error:
            raise NotPermitted("The gateway does not accept this key.", error.hint) from error
