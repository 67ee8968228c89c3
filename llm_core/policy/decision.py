"""What was decided about a call, and what the plugins and the relay need to carry it out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller
from llm_core.policy.limits import Limit
from llm_core.policy.route import AS_USUAL, RouteOptions
from llm_core.pricing.charge import ModelPrice
from llm_core.tokens.usage import TokenUsage, UsageSource

TICKET_HEADER = "x-gatehouse-ticket"
"""Carries a decision's ticket from the gateway to the relay."""


class Transport(StrEnum):
    """How an allowed call travels."""

    DIRECT = "direct"
    RELAY = "relay"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why policy said no, in words a developer can act on."""

    code: str
    message: str
    rule: str
    solution: str = ""


class CacheScope(StrEnum):
    """Who may be given an answer that was kept; each is a part of the one below it."""

    USER = "user"
    PROJECT = "project"
    TEAM = "team"
    DEPARTMENT = "department"
    ORGANISATION = "organisation"


class CacheUse(StrEnum):
    """What the response cache had to do with a call."""

    HIT = "hit"
    """It answered."""
    MISS = "miss"
    """It was asked, and had no answer."""
    BYPASS = "bypass"
    """It was not asked: policy, the route or the client said so, or it was away."""


class PiiMode(StrEnum):
    """What becomes of personal data."""

    OFF = "off"
    REDACT = "redact"
    """Each is replaced by a placeholder, such as `<PERSON_1>`."""
    BLOCK = "block"
    """The call is refused."""


class LogLevel(StrEnum):
    """What is kept of a call's words; each keeps more than the one before."""

    NONE = "none"
    DIGEST = "digest"
    """Keyed digests and sizes."""
    REDACTED = "redacted"
    """The words without personal data."""
    FULL = "full"
    """The words, encrypted."""


@dataclass(frozen=True, slots=True)
class PiiRules:
    """How personal data is treated on its way to a provider, and back.

    Args:
        input: In what is asked.
        output: In what is answered.
        restores: Placeholders of the question become the words again in the answer.
        kinds: Which are looked for, for example `EMAIL_ADDRESS`; empty for all.
    """

    input: PiiMode = PiiMode.OFF
    output: PiiMode = PiiMode.OFF
    restores: bool = False
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Obligations:
    """What must be done to an allowed call.

    Args:
        max_output_tokens: The answer is to be no longer than this; told to the provider.
        cache_seconds: How long the answer may be kept for the same question; 0 for not at all.
        cache_scope: Who may be given it.
        pii: What is done about personal data.
        guard: The prompt guard's profile, a name in compliance's lists; `None` for none.
        log_level: What is kept of the words.
        log_days: For how long that is kept.
    """

    max_output_tokens: int | None = None
    cache_seconds: int = 0
    cache_scope: CacheScope = CacheScope.TEAM
    pii: PiiRules = PiiRules()
    guard: str | None = None
    log_level: LogLevel = LogLevel.DIGEST
    log_days: int = 30

    @property
    def is_screened(self) -> bool:
        """Whether the words are looked at before they go on."""
        modes = {self.pii.input, self.pii.output}
        return modes != {PiiMode.OFF} or self.guard is not None

    @property
    def changes_answers(self) -> bool:
        """Whether what the model says is looked at, or placeholders in it restored."""
        restores = self.pii.restores and self.pii.input is PiiMode.REDACT
        return restores or self.pii.output is not PiiMode.OFF

    @property
    def needs_words(self) -> bool:
        """Whether the call has to go by the relay, which sees question and answer."""
        return self.is_screened or self.keeps_words

    @property
    def keeps_words(self) -> bool:
        """Whether question and answer are written down, redacted or encrypted."""
        return self.log_level in (LogLevel.REDACTED, LogLevel.FULL)


@dataclass(frozen=True, slots=True)
class PricedDeployment:
    """A permitted deployment and the price that was in force when the call was decided."""

    deployment: Deployment
    price: ModelPrice


@dataclass(frozen=True, slots=True)
class Denial:
    """An answer to give instead of the provider's: status, headers and OpenAI's error body."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy service answers to `POST /v1/decisions`.

    Args:
        denial: Set exactly when the call is refused; then nothing below it matters.
        transport: How an allowed call travels.
        ticket: What the relay asks for; single use.
        deployments: The permitted ones in order.
        headers: For the client's answer: decision id, rate limits, remaining budget.
        approval: The grant that the permission rests on.
        approval_usd: That grant's cap, which the call counts for; `None` for none.
        answer: The whole body when no provider is to be asked (`transport` is `answer`); a call
            that asked for a stream gets it as one.
        issued_at: When it was decided, by the service's clock.
    """

    decision_id: str
    policy_revision: str
    denial: Denial | None = None
    transport: Transport = Transport.RELAY
    ticket: str = field(default="", repr=False)
    deployments: tuple[PricedDeployment, ...] = ()
    obligations: Obligations = Obligations()
    headers: Mapping[str, str] = field(default_factory=dict)
    answer: dict[str, Any] | None = None
    issued_at: datetime | None = None
    approval: str | None = None
    approval_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """The body of `POST /v1/decisions`.

    Args:
        decision_id: Chosen by the plugin, so that it can take back a decision whose answer it
            never got; the service chooses one otherwise.
        route: What the route's admin set.
        body: What the client sent, for an operation of the gateway's own that takes something.
    """

    caller: Caller
    call: Call
    decision_id: str | None = None
    route: RouteOptions = AS_USUAL
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is kept about an allowed call until it is settled.

    Args:
        prompt_tokens: Estimated.
        max_output_tokens: For one choice, obligations applied.
        usd: Reserved, the worst case over `deployments`.
        cache: What the response cache had to do with it, when it was decided.
        cache_key: Under which the answer is to be kept, and other calls wait for it; `None` where
            it must not be.
        is_degraded: Admitted by one process alone, while the shared limits could not be asked.
        unmet: Limits of the caller that are about other models, for the gateway's own calls on its
            behalf; empty where the route has none made.
        approval: The grant that the permission rests on; its cap is among the caller's limits.
    """

    decision_id: str
    caller: Caller
    call: Call
    operation: Operation
    deployments: tuple[PricedDeployment, ...]
    obligations: Obligations
    prompt_tokens: int
    max_output_tokens: int
    usd: Decimal
    decided_at: datetime
    expires_at: datetime
    policy_revision: str
    route: RouteOptions = AS_USUAL
    cache: CacheUse = CacheUse.BYPASS
    cache_key: str | None = None
    is_degraded: bool = False
    unmet: tuple[Limit, ...] = ()
    approval: str | None = None


class ErrorClass(StrEnum):
    """What went wrong with a call, in classes that a chart can show."""

    NONE = "none"
    CALLER = "caller"
    RATE_LIMITED = "rate_limited"
    PROVIDER = "provider"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    CUT_OFF = "cut_off"
    CLIENT_GONE = "client_gone"
    GATEWAY = "gateway"
    UNREPORTED = "unreported"


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The body of `POST /v1/decisions/{id}/usage`: what became of an allowed call.

    Args:
        deployment_id: Which one answered, or was tried last; `None` when none was reached.
        usage: `None` when the provider was not reached, or failed before it produced anything.
        source: Who counted `usage`.
        http_status: What the client got.
        time_to_first_token_ms: Streams only.
        overhead_ms: What the gateway itself added.
        reservation: What was decided, brought along when the service may have forgotten it.
        total_ms: From Kong's reading the request to the last byte of the answer.
        cache: `hit` for what the response cache answered in the end; `None` for what was decided.
        saved_usd: What a hit's answer would have cost.
        response_bytes: How long the answer was, as the client got it; `None` when nobody counted.
        findings: What screening found, by direction and kind: `input.EMAIL_ADDRESS`.
    """

    deployment_id: str | None
    transport: Transport
    http_status: int
    error_class: ErrorClass = ErrorClass.NONE
    usage: TokenUsage | None = None
    source: UsageSource = UsageSource.PROVIDER
    served_model: str | None = None
    total_ms: float | None = None
    time_to_first_token_ms: float | None = None
    overhead_ms: float | None = None
    fallbacks: int = 0
    response_digest: str | None = None
    reservation: Reservation | None = None
    cache: CacheUse | None = None
    saved_usd: Decimal = Decimal(0)
    response_bytes: int | None = None
    findings: Mapping[str, int] = field(default_factory=dict)
