"""What the services need from the outside world, and what must hold for each of them.

Adapters implement these; services know nothing else. Every adapter translates its own library's
exceptions into `PolicyUnavailable` (or the error a method names) at the line where they arise.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from llm_core.apis.ask import Exchange
from llm_core.catalogue import Deployment
from llm_core.policy.caller import Caller
from llm_core.policy.decision import Obligations, Reason, Reservation
from llm_core.policy.limits import Amounts, Limit, LimitState
from llm_core.pricing.charge import ModelPrice
from llm_core.providers.translator import ProviderRequest
from llm_core.routing.facts import DeploymentFacts, Observation


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> datetime:
        """Now, UTC-aware."""
        ...


# --- policy ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What Rego says about one call and every candidate deployment.

    Args:
        allow: True only when policy said so explicitly and permits at least one deployment; for the
            operation `models`, when the caller may ask for the list.
        permitted: Ids of the permitted deployments, in the candidates' order.
        reasons: Why not; for a call that is allowed, why some deployments are not.
        revision: The bundle's revision.
        models: For the operation `models`: the aliases the caller may ask for, in the order given.
    """

    allow: bool
    permitted: tuple[str, ...]
    reasons: tuple[Reason, ...]
    obligations: Obligations
    revision: str
    models: tuple[str, ...] = ()


class PolicyEngine(Protocol):
    """Evaluates the bundle's one entrypoint; undefined is deny."""

    @property
    def name(self) -> str:
        """`opa` or `regopy`, for the decision log and `/readyz`."""
        ...

    async def evaluate(self, document: dict[str, Any]) -> PolicyResult:
        """Decide about `document`, as `llm_core.policy.input` builds it.

        Raises:
            PolicyUnavailable: The engine cannot be reached, fails, or has no bundle.
        """
        ...

    async def ready(self) -> bool:
        """Whether the engine answers and has the bundle."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


# --- limits ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reserved:
    """Everything fitted and is reserved; the states count this call as used."""

    states: tuple[LimitState, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was reserved.

    Args:
        exceeded: The first limit that would have been passed, in the order given.
        retry_after_s: Seconds until the same call fits; `None` when it never will (it is larger
            than the limit itself, or the limit is money).
        states: Where all limits stand, without this call.
    """

    exceeded: Limit
    retry_after_s: float | None
    states: tuple[LimitState, ...]


@dataclass(frozen=True, slots=True)
class Unprimed:
    """Nothing was reserved: these money limits have no counter in the store for this month.

    That is so on the first call of a month, on a new limit, and after the store lost its data. The
    service sums the ledger, calls `prime`, and asks again.
    """

    limits: tuple[Limit, ...]


class SettleOutcome(StrEnum):
    """What settling did."""

    SETTLED = "settled"
    """It was open, or had expired on an estimate, and now stands at the true figure."""
    ALREADY_SETTLED = "already_settled"
    UNKNOWN = "unknown"
    """No such reservation: never made, or forgotten long after it ended."""


@dataclass(frozen=True, slots=True)
class QueuedRow:
    """A usage row on its way to the ledger.

    Args:
        token: What `acknowledge` takes.
        row: The JSON text given to `settle`.
    """

    token: str
    row: bytes


class LimitsStore(Protocol):
    """Counters, reservations and the queue of usage rows.

    Every method is one atomic step, whatever the number of processes. Amounts are exact: money is
    kept to the pico-dollar, never as a float. Windows per minute slide: at no moment do more than
    the limit's amount lie in the last 60 s. `usd_per_month` is a calendar month, UTC.

    A reservation is a lease. Its life is `open` -> `settled`, or `open` -> `expired` (its reserved
    amounts stand as charged) -> `settled` (the true figure replaces the estimate). Settling twice
    changes nothing the second time. Every method raises `PolicyUnavailable` when the store is gone.
    """

    async def states(self, limits: Sequence[Limit], now: datetime) -> tuple[LimitState, ...]:
        """Where the limits stand; a money limit without a counter yet reads as nothing used."""
        ...

    async def reserve(
        self, reservation: Reservation, amounts: Amounts, now: datetime
    ) -> Reserved | Refused | Unprimed:
        """Check every limit of `reservation.caller` and take `amounts` from all, or from none."""
        ...

    async def prime(self, limit: Limit, used: Decimal, now: datetime) -> None:
        """Give a money limit its counter for this month, unless it has one by now."""
        ...

    async def redeem(self, decision_id: str, now: datetime) -> Reservation | None:
        """Hand the reservation to the relay, once.

        `None` the second time, when it is no longer open, or when there is none.
        """
        ...

    async def find(self, decision_id: str) -> Reservation | None:
        """The reservation in whatever state, as long as it is remembered (a day past its end)."""
        ...

    async def extend(self, decision_id: str, expires_at: datetime) -> None:
        """Move an open lease's end; a no-op when it is no longer open."""
        ...

    async def settle(
        self, decision_id: str, actual: Amounts, row: bytes, now: datetime
    ) -> SettleOutcome:
        """Move the reservation to the true figure and queue `row`, in one step, once."""
        ...

    async def overdue(self, now: datetime, most: int) -> tuple[Reservation, ...]:
        """Open reservations whose lease has ended."""
        ...

    async def expire(self, decision_id: str, row: bytes, now: datetime) -> bool:
        """End an overdue lease: the reserved amounts stand, `row` is queued.

        False when it was settled, extended or expired meanwhile.
        """
        ...

    async def take_rows(self, most: int, wait_s: float) -> tuple[QueuedRow, ...]:
        """Wait up to `wait_s` for rows.

        A row comes again, here or to another process, until it is acknowledged: one that was taken
        and never acknowledged comes after 30 s.
        """
        ...

    async def acknowledge(self, tokens: Sequence[str]) -> None:
        """These rows are in the ledger."""
        ...

    async def ready(self) -> bool:
        """Whether the store answers."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


# --- answers that were given before ---------------------------------------------------------------


class ResponseCache(Protocol):
    """Answers by the key of their question, and who is asking a provider for one just now.

    What is kept is personal data. It may be forgotten at any time. Every method raises
    `PolicyUnavailable` when the store is gone; who uses it goes on without.
    """

    async def get(self, key: str) -> bytes | None:
        """What is kept, as it was put."""
        ...

    async def put(self, key: str, value: bytes, ttl_s: int) -> None:
        """Keep `value` for `ttl_s` seconds, in place of what was there."""
        ...

    async def claim(self, key: str, holder: str, ttl_s: float) -> bool:
        """Say that `holder` is asking for this answer; false when somebody else is.

        The claim ends with `release`, or by itself after `ttl_s`.
        """
        ...

    async def release(self, key: str, holder: str) -> None:
        """End the claim of `holder`; nobody else's."""
        ...

    async def wait(self, key: str, timeout_s: float) -> bytes | None:
        """Wait until somebody's claim has ended, and give what is kept then.

        `None` as well when it has not ended after `timeout_s`.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Neighbours(Protocol):
    """Names by vector, in groups; finds those that are near.

    Every method raises `PolicyUnavailable` when the store is gone.
    """

    async def nearest(self, group: str, vector: Sequence[float]) -> Sequence[tuple[str, float]]:
        """A few names and the cosine of their vectors with `vector`, the nearest first."""
        ...

    async def add(self, group: str, name: str, vector: Sequence[float], ttl_s: int) -> None:
        """Put a name into a group, which is forgotten `ttl_s` after the last was put there."""
        ...

    async def forget(self, group: str, name: str, vector: Sequence[float]) -> None:
        """Take a name out."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


# --- identity, ledger, prices ---------------------------------------------------------------------


class Callers(Protocol):
    """Finds who stands behind a credential; `PolicyUnavailable` when the database is gone."""

    async def by_key(self, api_key: str) -> Caller | None:
        """The caller of a key that is known, not revoked and not expired; else `None`."""
        ...

    async def by_consumer(self, *, username: str | None, custom_id: str | None) -> Caller | None:
        """The caller that a Kong consumer is bound to; `custom_id` wins over `username`."""
        ...


class Ledger(Protocol):
    """The truth about what was used: the `usage` table and its hourly roll-ups."""

    async def record(self, rows: Sequence["UsageRow"]) -> None:
        """Insert, with the roll-ups, in one transaction.

        A decision id that is there already is left alone, unless the stored row is an estimate and
        the new one is not: then it is replaced and the roll-ups are corrected.
        """
        ...

    async def month_usd(self, node: str, now: datetime) -> Decimal:
        """USD charged this calendar month (UTC) to a node, `<kind>:<id>` as in `Limit.node`."""
        ...

    async def ready(self) -> bool:
        """Whether the database answers and its schema is up to date."""
        ...


class Prices(Protocol):
    """Looks prices up."""

    def price(self, provider: str, model: str, at: datetime) -> ModelPrice | None:
        """The price in force at `at`; `None` when it is not known, which is not free."""
        ...


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One line of the ledger. Ids and numbers only: no prompt, no answer, no key.

    Args:
        source: `provider`, `counted` or `estimated`.
        error_class: See `ErrorClass`.
        usd: Charged, exact.
        price_version: What it was charged at.
        cache: `hit`, `miss` or `bypass`.
        saved_usd: What a hit would have cost at the price in force; it has no tokens of its own.
    """

    decision_id: str
    at: datetime
    organisation: str
    department: str
    team: str
    project: str | None
    user: str | None
    application: str | None
    key_id: str | None
    operation: str
    asked_model: str
    routed_model: str | None
    served_model: str | None
    deployment_id: str | None
    provider: str | None
    region: str | None
    transport: str
    is_streaming: bool
    http_status: int
    error_class: str
    source: str
    input_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    usd: Decimal
    price_version: str | None
    policy_revision: str
    total_ms: float | None = None
    time_to_first_token_ms: float | None = None
    overhead_ms: float | None = None
    fallbacks: int = 0
    request_digest: str | None = None
    response_digest: str | None = None
    cache: str = "bypass"
    saved_usd: Decimal = Decimal(0)


# --- reports --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpendRow:
    """What a team used of a model in a month.

    Args:
        cache_hits: Of the requests, those that the response cache answered.
        saved_usd: What they would have cost.
    """

    department: str
    team: str
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    usd: Decimal
    cache_hits: int = 0
    saved_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A team's budget and what is used of it; `None` when no budget is set."""

    department: str
    team: str
    budget_usd: Decimal | None
    used_usd: Decimal


class Reports(Protocol):
    """What managers read. Months are calendar months, UTC, written `2026-11`."""

    async def spend(self, month: str) -> Sequence[SpendRow]:
        """By department, team and asked model; from the roll-ups only."""
        ...

    async def recent(self, limit: int) -> Sequence["UsageRow"]:
        """The newest rows of the ledger."""
        ...

    async def budgets(self, month: str) -> Sequence[BudgetRow]:
        """Every team; spending from the roll-ups only."""
        ...


# --- providers ------------------------------------------------------------------------------------


class ProviderAnswer(Protocol):
    """A provider's answer whose head has arrived."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case names."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            ProviderUnavailable: The connection broke before the body's end.
            ProviderTimeout: Nothing came for the idle timeout.
        """
        ...

    async def close(self) -> None:
        """Cancel what has not arrived, and give the connection back."""
        ...


class Health(Protocol):
    """How deployments fare, as all processes together have seen it.

    Reading costs no I/O: what other processes saw arrives in the background, within a second.
    Should the shared store be away, each process goes by what it has seen itself.
    """

    def facts(self, deployment_id: str) -> DeploymentFacts:
        """What is known now."""
        ...

    def observe(self, observation: Observation) -> None:
        """Note how a call went; told to the other processes in the background."""
        ...

    async def may_try(self, deployment_id: str) -> bool:
        """Whether a call may go there now.

        True while the breaker is closed, false while it is open. Half-open, it is true for one call
        at a time, over all processes, until that call was observed or some seconds have passed.
        """
        ...


class Probe(Protocol):
    """Asks a deployment whether it is there, without a caller's call."""

    async def ask(self, deployment: Deployment) -> Observation:
        """Ask once, for nothing: no model is called. Never raises; no answer is a failure."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Credentials(Protocol):
    """Proves to providers who pays."""

    async def headers(self, deployment: Deployment, exchange: Exchange) -> Mapping[str, str]:
        """The headers to add to `exchange.request`; none for a server that asks for none.

        Raises:
            ProviderUnavailable: There is no such credential, or it cannot be had just now.
        """
        ...


class Providers(Protocol):
    """Sends requests to model providers."""

    async def send(
        self, request: ProviderRequest, credential: Mapping[str, str], timeout_s: float
    ) -> ProviderAnswer:
        """Send, and wait for the answer's head at most `timeout_s`.

        Raises:
            ProviderUnavailable: No connection.
            ProviderTimeout: No head in time.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
