"""Reads the alerts' file: who is told of what, by which way, and when something is an incident.

```yaml
time_zone: Europe/Berlin              # of quiet hours; UTC by default
quiet_hours:                          # for every channel that has none of its own
  - {from: "20:00", to: "07:00"}
  - {from: "00:00", to: "00:00", days: [sat, sun]}
channels:
  - name: ops
    kind: webhook
    url: https://ops.example.com/hooks/gatehouse
    secret: ops_webhook               # a secret of POLICY_CREDENTIALS or POLICY_CREDENTIALS_DIR
  - name: chat
    kind: slack
    url_secret: slack_url             # the address is the secret
    least: warning
  - name: finance
    kind: email
    kinds: [budget, spend_anomaly]
    host: smtp.example.com
    port: 587
    security: starttls
    username: gatehouse
    password: smtp                    # a secret's name again
    from: gatehouse@example.com
    to: [finance@example.com]
rules:
  again_after_h: 24
  spend_anomaly: {floor_usd: 50, weeks: 6}
  provider_down: {is_on: false}
```
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from llm_core.alerts.anomaly import AnomalyRules
from llm_core.alerts.incident import IncidentKind, Severity
from llm_core.alerts.routing import EVERY_DAY, ChannelRule, QuietHours, Routes
from llm_core.alerts.rules import (
    AlertRules,
    AuditCheck,
    Backlog,
    ErrorRate,
    JournalGrowing,
    SpendAnomaly,
)
from policy_service.adapters.channels import (
    EmailChannel,
    Poster,
    SlackChannel,
    WebhookChannel,
)
from policy_service.adapters.smtp import MailServer
from policy_service.adapters.yaml_file import InvalidFile, read_yaml
from policy_service.ports.incidents import Channel

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"
_LOCAL = ("localhost", "127.0.0.1", "::1")
SecretOf = Callable[[str], str | None]
_Hours = Annotated[Decimal, Field(gt=0, le=8760)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class QuietEntry(_Strict):
    """A time of day, and the weekdays on which it begins; every one, where none is named."""

    starts: time = Field(alias="from")
    ends: time = Field(alias="to")
    days: tuple[_Day, ...] = ()

    def read(self, zone: ZoneInfo) -> QuietHours:
        """As the rules have it."""
        days = frozenset(_DAYS.index(day) for day in self.days)
        return QuietHours(self.starts, self.ends, zone, days or EVERY_DAY)


class _ChannelEntry(_Strict):
    name: StrictStr = Field(pattern=_NAME)
    kinds: tuple[IncidentKind, ...] | None = None
    least: Severity = Severity.INFO
    quiet_hours: tuple[QuietEntry, ...] | None = None


class WebhookEntry(_ChannelEntry):
    """A webhook; either its address, or the name of the secret that is it."""

    kind: Literal["webhook"]
    url: StrictStr | None = None
    url_secret: StrictStr | None = None
    secret: StrictStr

    @model_validator(mode="after")
    def _refuse_two_addresses(self) -> Self:
        if (self.url is None) is (self.url_secret is None):
            raise ValueError("give either `url` or `url_secret`")
        return self

    def open(self, secret_of: SecretOf) -> Channel:
        """The channel."""
        url = self.url if self.url is not None else _secret(secret_of, self.url_secret)
        poster = Poster(_checked(url, self.name), _secret(secret_of, self.secret))
        return WebhookChannel(self.name, poster)


class SlackEntry(_ChannelEntry):
    """An incoming webhook of Slack."""

    kind: Literal["slack"]
    url_secret: StrictStr

    def open(self, secret_of: SecretOf) -> Channel:
        """The channel."""
        url = _secret(secret_of, self.url_secret)
        return SlackChannel(self.name, Poster(_checked(url, self.name)))


class EmailEntry(_ChannelEntry):
    """A mail server, and who gets the mail."""

    kind: Literal["email"]
    host: StrictStr
    port: StrictInt = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: StrictStr | None = None
    password: StrictStr | None = None
    ca_file: Path | None = None
    sender: StrictStr = Field(alias="from", pattern=r"^[^\r\n]*[^\s@]@[^\s@]+$")
    to: tuple[Annotated[StrictStr, Field(pattern=r"^[^\s@,]+@[^\s@,]+$")], ...] = Field(
        min_length=1
    )

    @model_validator(mode="after")
    def _refuse_open_passwords(self) -> Self:
        if (self.username is None) is not (self.password is None):
            raise ValueError("`username` and `password` go together")
        if self.security == "none" and (self.password or self.host not in _LOCAL):
            raise ValueError("`security: none` is for a server on this machine, without a password")
        return self

    def open(self, secret_of: SecretOf) -> Channel:
        """The channel."""
        password = None if self.password is None else _secret(secret_of, self.password)
        server = MailServer(
            self.host, self.port, self.security, self.username, password, self.ca_file
        )
        return EmailChannel(self.name, server, self.sender, self.to)


class _RuleEntry(_Strict):
    is_on: StrictBool = True
    again_after_h: _Hours | None = None


class SpendAnomalyEntry(_RuleEntry):
    """See `llm_core.alerts.anomaly.AnomalyRules`."""

    level: Literal["team", "department", "organisation"] = "team"
    weeks: StrictInt = Field(default=6, ge=4, le=8)
    floor_usd: Decimal = Field(default=Decimal(25), ge=0)
    times: Decimal = Field(default=Decimal(3), ge=1)
    deviations: Decimal = Field(default=Decimal(6), ge=0)
    calm_hours: StrictInt = Field(default=3, ge=1, le=24)

    def read(self) -> SpendAnomaly:
        """As the rules have it."""
        rules = AnomalyRules(self.weeks, self.floor_usd, self.times, self.deviations)
        return SpendAnomaly(rules, self.level, self.calm_hours)


class ProviderDownEntry(_RuleEntry):
    """How long a breaker has to be open."""

    after_s: StrictInt = Field(default=60, ge=0)


class ErrorRateEntry(_RuleEntry):
    """See `llm_core.alerts.rules.ErrorRate`."""

    window_min: StrictInt = Field(default=15, ge=1, le=1440)
    least_calls: StrictInt = Field(default=20, ge=1)
    opens_at: Decimal = Field(default=Decimal("0.2"), gt=0, le=1)
    closes_at: Decimal = Field(default=Decimal("0.1"), gt=0, le=1)

    @model_validator(mode="after")
    def _refuse_flapping(self) -> Self:
        if self.closes_at > self.opens_at:
            raise ValueError("`closes_at` may not be more than `opens_at`")
        return self

    def read(self) -> ErrorRate:
        """As the rules have it."""
        window = timedelta(minutes=self.window_min)
        return ErrorRate(window, self.least_calls, float(self.opens_at), float(self.closes_at))


class UnpricedEntry(_RuleEntry):
    """How long after the last such call it is over."""

    window_min: StrictInt = Field(default=60, ge=1, le=1440)


class AuditChainEntry(_RuleEntry):
    """How much of the chains is verified, and how often."""

    every_min: StrictInt = Field(default=10, ge=1, le=1440)
    newest: StrictInt = Field(default=2000, ge=1, le=100_000)


class BacklogEntry(_RuleEntry):
    """How many rows may wait."""

    rows: StrictInt = Field(default=10_000, ge=1)


class JournalGrowingEntry(_RuleEntry):
    """How many reports may wait in one journal, and for how long some may."""

    reports: StrictInt = Field(default=1, ge=1)
    after_min: StrictInt = Field(default=5, ge=0, le=1440)

    def read(self) -> JournalGrowing:
        """As the rules have it."""
        return JournalGrowing(self.reports, timedelta(minutes=self.after_min))


class RulesEntry(_Strict):
    """One for each kind; `again_after_h` 0 is never."""

    again_after_h: Decimal = Field(default=Decimal(24), ge=0, le=8760)
    budget: _RuleEntry = _RuleEntry()
    spend_anomaly: SpendAnomalyEntry = SpendAnomalyEntry()
    provider_down: ProviderDownEntry = ProviderDownEntry()
    error_rate: ErrorRateEntry = ErrorRateEntry()
    degraded: _RuleEntry = _RuleEntry()
    unpriced_model: UnpricedEntry = UnpricedEntry()
    audit_chain: AuditChainEntry = AuditChainEntry()
    backlog: BacklogEntry = BacklogEntry()
    journal_growing: JournalGrowingEntry = JournalGrowingEntry()

    def read(self) -> AlertRules:
        """As the watchers have it."""
        entries: dict[IncidentKind, _RuleEntry] = {
            kind: getattr(self, kind.value) for kind in IncidentKind
        }
        again: dict[IncidentKind, timedelta | None] = {IncidentKind.BUDGET: None}
        again |= {
            kind: _hours(one.again_after_h)
            for kind, one in entries.items()
            if one.again_after_h is not None
        }
        return AlertRules(
            off=frozenset(kind for kind, one in entries.items() if not one.is_on),
            spend_anomaly=self.spend_anomaly.read(),
            provider_down_after=timedelta(seconds=self.provider_down.after_s),
            error_rate=self.error_rate.read(),
            unpriced_window=timedelta(minutes=self.unpriced_model.window_min),
            audit_chain=AuditCheck(
                timedelta(minutes=self.audit_chain.every_min), self.audit_chain.newest
            ),
            backlog=Backlog(self.backlog.rows),
            journal_growing=self.journal_growing.read(),
            again_after=_hours(self.again_after_h) if self.again_after_h else None,
            again=tuple(again.items()),
        )


_Entry = Annotated[WebhookEntry | SlackEntry | EmailEntry, Field(discriminator="kind")]


class AlertsFile(_Strict):
    """The whole file."""

    time_zone: StrictStr = "UTC"
    quiet_hours: tuple[QuietEntry, ...] = ()
    channels: tuple[_Entry, ...] = ()
    rules: RulesEntry = RulesEntry()

    @field_validator("time_zone")
    @classmethod
    def _refuse_unknown_zones(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError) as unknown:
            raise ValueError(f"there is no time zone {value[:60]!r}") from unknown
        return value

    @field_validator("channels")
    @classmethod
    def _refuse_equal_names(cls, value: tuple[_Entry, ...]) -> tuple[_Entry, ...]:
        names = [one.name for one in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two channels are called {', '.join(twice)}")
        return value


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """What the file says, opened."""

    rules: AlertRules
    routes: Routes
    channels: tuple[Channel, ...]


def read_alerts(path: Path, secret_of: SecretOf) -> AlertsConfig:
    """Read the file, and make its channels.

    Args:
        path: The YAML file.
        secret_of: Looks a secret up by its name.

    Raises:
        ValueError: The file is at fault, or a secret that it names is not there; no secret and no
            address is quoted.
    """
    said = read_yaml(path, AlertsFile)
    zone = ZoneInfo(said.time_zone)
    try:
        channels = tuple(one.open(secret_of) for one in said.channels)
    except ValueError as fault:
        raise InvalidFile(f"{path}: {fault}") from fault
    return AlertsConfig(said.rules.read(), _routes(said, zone), channels)


def _routes(said: AlertsFile, zone: ZoneInfo) -> Routes:
    return Routes(
        tuple(
            ChannelRule(
                one.name,
                None if one.kinds is None else frozenset(one.kinds),
                one.least,
                tuple(
                    quiet.read(zone)
                    for quiet in (said.quiet_hours if one.quiet_hours is None else one.quiet_hours)
                ),
            )
            for one in said.channels
        )
    )


def _hours(hours: Decimal) -> timedelta:
    return timedelta(hours=float(hours))


def _secret(secret_of: SecretOf, name: str | None) -> str:
    found = None if name is None else secret_of(name)
    if not found:
        raise ValueError(
            f"there is no secret {name!r}: set POLICY_CREDENTIALS__{str(name).upper()}, or put a "
            "file of that name into POLICY_CREDENTIALS_DIR"
        )
    return found


def _checked(url: str, name: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError(f"the address of the channel {name!r} is no https:// address")
    return url
