"""Approvals: what a costly or restricted model may need, beside everything else.

Somebody asks for a model, for a reason, for some money and until some day. Somebody else, who may
decide for that team, grants it, cuts or extends it, or refuses it. A grant ends by itself, is
capped where it has an amount, and can be revoked. `STEPS` says who may do what from which state.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from llm_core.policy.caller import Caller
from llm_core.policy.limits import Limit, Measure

APPROVAL_REQUIRED = "approval_required"
"""The code of the reason with which policy denies a call for lack of an approval."""

APPROVAL_TOO_SMALL = "approval_too_small"
"""Likewise where there is one that does not cover the call."""

NODE_KIND = "approval"
"""A grant's cap is a limit on the node `approval:<id>`."""

HOLDER_KINDS = ("user", "application", "project", "team")
"""Whom an approval can be for, the narrowest first."""

USUAL_LIFE = timedelta(days=7)
LONGEST_LIFE = timedelta(days=365)
LONGEST_CAPPED_LIFE = timedelta(days=30)
"""A cap is counted over any 30 days: a grant that lasts no longer can spend it once."""

MAX_REASON_CHARS = 2000
MAX_MODEL_CHARS = 200
FINEST_USD = Decimal("0.000001")
MOST_USD = Decimal(10) ** 9


class ApprovalState(StrEnum):
    """Where a request stands. All but the first two are final."""

    REQUESTED = "requested"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    """Nobody answered in time, or the grant's time is over."""
    REVOKED = "revoked"


class Step(StrEnum):
    """What is done to a request."""

    REQUEST = "request"
    GRANT = "grant"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    REVOKE = "revoke"
    EXPIRE = "expire"


class Side(StrEnum):
    """What somebody is to a request."""

    REQUESTER = "requester"
    APPROVER = "approver"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class StepRule:
    """One line of the table.

    Args:
        before: From which states.
        after: Into which one.
        sides: Who may.
        needs_another: Whether it takes a person other than the one who asked.
        needs_reason: Whether it takes a reason.
    """

    before: frozenset[ApprovalState]
    after: ApprovalState
    sides: frozenset[Side]
    needs_another: bool = False
    needs_reason: bool = False


_OPEN = frozenset({ApprovalState.REQUESTED})
_HOLDS = frozenset({ApprovalState.GRANTED})

STEPS: Mapping[Step, StepRule] = MappingProxyType(
    {
        Step.REQUEST: StepRule(
            frozenset(), ApprovalState.REQUESTED, frozenset({Side.REQUESTER}), needs_reason=True
        ),
        Step.GRANT: StepRule(
            _OPEN, ApprovalState.GRANTED, frozenset({Side.APPROVER}), needs_another=True
        ),
        Step.REFUSE: StepRule(
            _OPEN,
            ApprovalState.REFUSED,
            frozenset({Side.APPROVER}),
            needs_another=True,
            needs_reason=True,
        ),
        Step.WITHDRAW: StepRule(_OPEN, ApprovalState.WITHDRAWN, frozenset({Side.REQUESTER})),
        # Ending is safe: who asked may give a grant back.
        Step.REVOKE: StepRule(
            _HOLDS,
            ApprovalState.REVOKED,
            frozenset({Side.APPROVER, Side.REQUESTER}),
            needs_reason=True,
        ),
        Step.EXPIRE: StepRule(_OPEN | _HOLDS, ApprovalState.EXPIRED, frozenset({Side.CLOCK})),
    }
)
"""Who may do what, and what comes of it."""


class StepFault(StrEnum):
    """Why a step cannot be taken."""

    NOT_NOW = "not_now"
    """The request is in another state: decided already, say."""
    NOT_THEM = "not_them"
    """It is not theirs to do."""
    SAME_PERSON = "same_person"
    """Four eyes: whoever asked does not decide."""
    NO_REASON = "no_reason"


class StepRefused(Exception):
    """A step cannot be taken; the sentence says why, and is safe to show."""

    def __init__(self, fault: StepFault, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault


class BadTerms(ValueError):
    """What is asked or granted makes no sense; the sentence says what would.

    Args:
        field: `amount_usd`, `until`, `reason`, `model` or `for`.
    """

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def state_after(
    step: Step, state: ApprovalState, *, sides: Collection[Side], is_same_person: bool, reason: str
) -> ApprovalState:
    """What a step makes of a request.

    Args:
        step: What is to be done.
        state: Where the request stands now.
        sides: All that the one who does it is to the request.
        is_same_person: Whether they are, by whatever identity, the one who asked.
        reason: Theirs; may be empty where none is needed.

    Raises:
        StepRefused: The table does not have it.
    """
    rule = STEPS[step]
    if not rule.sides & set(sides):
        needed = " or the ".join(sorted(side.value for side in rule.sides))
        raise StepRefused(
            StepFault.NOT_THEM, f"To {step} is the {needed}'s, and you are not that here."
        )
    if rule.needs_another and is_same_person:
        raise StepRefused(
            StepFault.SAME_PERSON,
            "Whoever asked for an approval does not decide on it, by whatever identity: somebody "
            "else who may decide for this team has to.",
        )
    if state not in rule.before:
        raise StepRefused(
            StepFault.NOT_NOW, f"It is {state} already: there is nothing to {step} any more."
        )
    require_reason(reason, is_needed=rule.needs_reason)
    return rule.after


def require_reason(reason: str, *, is_needed: bool) -> None:
    """Hold a reason to what people can read.

    Raises:
        BadTerms: It is missing, too long, or holds what no text holds.
    """
    if is_needed and not reason.strip():
        raise BadTerms("reason", "Say why: a reason is needed.")
    if len(reason) > MAX_REASON_CHARS or "\x00" in reason:
        raise BadTerms("reason", f"A reason is a text of up to {MAX_REASON_CHARS} characters.")


def is_same_person(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether two sets of identities (`user:ada`, `key:key_01...`) speak of one person."""
    return not set(one).isdisjoint(other)


@dataclass(frozen=True, slots=True)
class Terms:
    """How much, and for how long.

    Args:
        amount_usd: Most that may be spent on it in all; `None` for no cap of its own.
        until: And no longer than that, UTC-aware.
    """

    amount_usd: Decimal | None
    until: datetime


def terms_of(amount_usd: Decimal | None, until: datetime | None, now: datetime) -> Terms:
    """Complete and check what is asked for, or granted.

    Args:
        amount_usd: `None` for no cap.
        until: `None` for a week from now.
        now: From when on it would hold.

    Raises:
        BadTerms: An amount or an end that cannot be; the sentence says which can.
    """
    until = now + USUAL_LIFE if until is None else until
    if until.tzinfo is None:
        raise BadTerms("until", "Write `until` with its zone, for example 2026-12-01T00:00:00Z.")
    if amount_usd is not None:
        _require_amount(amount_usd)
    if until <= now:
        raise BadTerms("until", "`until` is in the past: an approval ends in the future.")
    if until - now > LONGEST_LIFE:
        raise BadTerms("until", "An approval lasts 365 days at most.")
    if amount_usd is not None and until - now > LONGEST_CAPPED_LIFE:
        raise BadTerms(
            "until",
            "With an amount an approval lasts 30 days at most, because the amount is counted over "
            "30 days: choose an earlier end, or leave the amount out (then 365 days at most).",
        )
    return Terms(amount_usd, until.astimezone(UTC))


def granted_terms(
    asked: Terms, amount_usd: Decimal | None, until: datetime | None, now: datetime
) -> Terms:
    """What is granted: as asked, but for what the approver says otherwise.

    Raises:
        BadTerms: As `terms_of`; also where what was asked is over by now.
    """
    if until is None and asked.until <= now:
        raise BadTerms("until", "What was asked for is over by now: say until when you grant it.")
    return terms_of(
        asked.amount_usd if amount_usd is None else amount_usd, until or asked.until, now
    )


def differences(asked: Terms, granted: Terms) -> tuple[str, ...]:
    """`cut` where less was granted than asked for, `extend` where more; both can be."""
    less = more = False
    if granted.amount_usd != asked.amount_usd and granted.amount_usd is not None:
        is_less = asked.amount_usd is None or granted.amount_usd < asked.amount_usd
        less, more = is_less, not is_less
    less = less or granted.until < asked.until
    more = more or granted.until > asked.until
    return (*(["cut"] if less else []), *(["extend"] if more else []))


def _require_amount(amount: Decimal) -> None:
    is_amount = amount.is_finite() and 0 < amount <= MOST_USD
    if not is_amount or amount != amount.quantize(FINEST_USD):
        raise BadTerms(
            "amount_usd", "An amount is USD above 0, with six decimals at most, for example 50."
        )


# --- grants, as decisions see them ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ApprovalGrant:
    """A grant that holds.

    Args:
        node: Whom it is for: callers at or below it.
        models: The aliases it is for; more than one for a model group.
        until: UTC.
        amount_usd: Its cap; `None` for none.
    """

    id: str
    node: str
    models: tuple[str, ...]
    until: datetime
    amount_usd: Decimal | None = None

    @property
    def cap(self) -> Limit | None:
        """The limit that a call meets which relies on this grant."""
        return cap_of(self.id, self.amount_usd)


def cap_of(approval_id: str, amount_usd: Decimal | None) -> Limit | None:
    """The limit of a capped grant. Its life is at most the 30 days that the limit looks back."""
    if amount_usd is None:
        return None
    return Limit(f"{NODE_KIND}:{approval_id}", Measure.USD_PER_30_DAYS, amount_usd)


def holders(caller: Caller) -> tuple[str, ...]:
    """The nodes at which an approval can be that is good for this caller, the narrowest first."""
    named = {
        "user": caller.user,
        "application": caller.application,
        "project": caller.project,
        "team": caller.team,
    }
    return tuple(f"{kind}:{named[kind]}" for kind in HOLDER_KINDS if named[kind])


def in_order(grants: Iterable[ApprovalGrant]) -> tuple[ApprovalGrant, ...]:
    """Grants in the order in which calls rely on them: no cap first, then what ends first."""
    return tuple(sorted(grants, key=lambda one: (one.amount_usd is not None, one.until, one.id)))


def with_limit(caller: Caller, limit: Limit | None) -> Caller:
    """The caller with one more limit, unless it is there, or there is none."""
    if limit is None or any(one.key == limit.key for one in caller.limits):
        return caller
    return replace(caller, limits=(*caller.limits, limit))
