"""What did a call really cost? Moves reservations to the true figure, exactly once."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from llm_core.errors import PolicyUnavailable
from llm_core.policy.allowance import worst_case
from llm_core.policy.binding import priority_of
from llm_core.policy.decision import (
    CacheUse,
    ErrorClass,
    PricedDeployment,
    Reservation,
    Transport,
    UsageReport,
)
from llm_core.policy.limits import Amounts
from llm_core.policy.route import WhenLimitsDown
from llm_core.pricing.charge import UnpriceableUsage, usd_for
from llm_core.routing.facts import Observation
from llm_core.tokens.usage import TokenUsage, UsageSource
from policy_service import call_context
from policy_service.digests import Digests
from policy_service.ports.clock import Clock
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import LimitsStore, SettleOutcome
from policy_service.ports.providers import Health
from policy_service.services.reserving import Reserving
from policy_service.services.thresholds import Thresholds
from policy_service.services.traces import Traces, traces_of
from policy_service.services.unconfirmed import Unconfirmed
from policy_service.services.watching import UNWATCHED, Watch

_log = logging.getLogger(__name__)
_MOST_OVERDUE = 100
_RETRY_AFTER_S = (0.2, 1.0)
"""A moment's absence; what takes longer is the keeper's."""

TAKEN_UP_LEASE = timedelta(minutes=1)
_FRESH = timedelta(minutes=5)
"""An older call, whose report waited in a journal, says nothing of how a provider is now."""

_DEPLOYMENTS_FAULT = frozenset({ErrorClass.TIMEOUT, ErrorClass.PROVIDER, ErrorClass.CUT_OFF})
_BY_KONG = frozenset({502, 504})
"""What Kong itself answers when it cannot reach the provider, or not in time."""


@dataclass(frozen=True, slots=True)
class Settler:
    """Settles reports and ends leases that nobody reported on.

    Args:
        health: Told how direct calls went; the relay tells of its own. `None`: nobody is told.
        unconfirmed: Remembers what was booked until the ledger has it, and what could not be.
        thresholds: Told which limits a settled call has moved. `None`: nobody is told.
        digests: Makes those that the ledger keeps; without it there are none in it.
        watch: Counts what is booked, and traces what Kong called.
    """

    limits: LimitsStore
    reserving: Reserving
    clock: Clock
    health: Health | None = None
    unconfirmed: Unconfirmed = field(default_factory=Unconfirmed)
    thresholds: Thresholds | None = None
    digests: Digests | None = None
    watch: Watch = UNWATCHED

    async def settle(self, decision_id: str, report: UsageReport) -> SettleOutcome:
        """Book what a plugin reports about a call.

        A report that could not see the answer (`unreachable`, `unreported`) counts only when the
        relay has not taken the call over, and then it never can: the ticket is redeemed here. That
        holds after the lease as well: the estimate gives way to what is known by then.

        A reservation that the store has lost is taken up again when the report brings it along.

        Raises:
            PolicyUnavailable: It is not booked; the same report may be given again.
        """
        call_context.decision_id.set(decision_id)
        with self.watch.tracing.following(decision_id):
            outcome = await self._settled(decision_id, report)
        self.watch.observer.reported(outcome.value, is_brought_along=report.reservation is not None)
        return outcome

    async def _settled(self, decision_id: str, report: UsageReport) -> SettleOutcome:
        now = self.clock()
        reservation = await self.limits.find(decision_id)
        is_taken_up = False
        if reservation is None:
            lost = report.reservation
            if lost is None or lost.decision_id != decision_id:
                return SettleOutcome.UNKNOWN
            reservation, is_taken_up = await self._taken_up(lost, now), True
        is_blind = report.error_class in (ErrorClass.UNREACHABLE, ErrorClass.UNREPORTED)
        if is_blind and await self.limits.redeem(decision_id, now, is_late=True) is None:
            return SettleOutcome.ALREADY_SETTLED
        try:
            outcome = await self._booked(reservation, report, is_taken_up=is_taken_up)
        except PolicyUnavailable:
            if is_blind or reservation.is_degraded:
                # Given again it would find the ticket redeemed, and not count; or a process that
                # does not know the call.
                self.unconfirmed.owes(reservation, report)
            raise
        if outcome is SettleOutcome.SETTLED:
            self._observe(reservation, report, now)
        return outcome

    def _observe(self, reservation: Reservation, report: UsageReport, now: datetime) -> None:
        if self.health is None or now - reservation.decided_at > _FRESH:
            return
        observation = _observed(reservation, report)
        if observation is not None:
            self.health.observe(observation)

    async def _taken_up(self, lost: Reservation, now: datetime) -> Reservation:
        """Make the reservation anew, as a lease from now on."""
        # Where all count, or nowhere: no process takes it up for itself alone.
        shared = replace(lost.route, when_limits_down=WhenLimitsDown.CLOSED)
        lease = replace(lost, expires_at=now + TAKEN_UP_LEASE, route=shared)
        await self.reserving.take_up(lease, reserved_for(lost), now)
        return lease

    async def book(self, reservation: Reservation, report: UsageReport) -> SettleOutcome:
        """Price the report, move the reservation, queue the ledger's row: one step.

        Should the store have lost the reservation while the call was served, it is taken up again:
        a call that reached a provider is in the ledger, whatever became of Redis meanwhile.

        Raises:
            PolicyUnavailable: The store is away; nothing was changed, or all of it was.
        """
        return await self._booked(reservation, report, is_taken_up=False)

    async def _booked(
        self, reservation: Reservation, report: UsageReport, *, is_taken_up: bool
    ) -> SettleOutcome:
        now = self.clock()
        charged = _charge(reservation, report)
        booked = self._row(reservation, report, charged)
        row = msgspec.json.encode(booked)
        actual = Amounts(
            requests=1,
            input_tokens=charged.usage.input_tokens or 0,
            output_tokens=charged.usage.output_tokens or 0,
            usd=charged.usd,
        )
        outcome = await self.limits.settle(reservation.decision_id, actual, row, now)
        if outcome is SettleOutcome.UNKNOWN:
            await self._taken_up(reservation, now)
            is_taken_up = True
            outcome = await self.limits.settle(reservation.decision_id, actual, row, now)
        if outcome is SettleOutcome.SETTLED:
            self.unconfirmed.booked(reservation, report, is_taken_up=is_taken_up)
            self.watch.observer.booked(booked)
            if report.transport is Transport.DIRECT:
                self.watch.tracing.called(booked)
            if self.thresholds is not None:
                self.thresholds.moved(reservation.caller.limits)
        return outcome

    async def book_surely(self, reservation: Reservation, report: UsageReport) -> None:
        """Book, now or as soon as the store is back: the keeper goes on where this gives up."""
        for wait_s in _RETRY_AFTER_S:
            try:
                await self.book(reservation, report)
            except PolicyUnavailable:
                await asyncio.sleep(wait_s)
            else:
                return
        self.unconfirmed.owes(reservation, report)
        _log.warning("%s is booked when the store is back", reservation.decision_id)

    async def sweep(self) -> int:
        """Charge the estimate for every lease that ended without a report.

        Returns:
            How many were ended.
        """
        now = self.clock()
        ended = 0
        for reservation in await self.limits.overdue(now, _MOST_OVERDUE):
            report = UsageReport(
                deployment_id=None,
                transport=Transport.RELAY,
                http_status=0,
                error_class=ErrorClass.UNREPORTED,
            )
            row = self._row(reservation, report, _charge(reservation, report))
            if await self.limits.expire(reservation.decision_id, msgspec.json.encode(row), now):
                ended += 1
                self.unconfirmed.booked(reservation, report)
                self.watch.observer.booked(row)
                _log.warning(
                    "no usage was reported for %s within its lease: charged the estimate",
                    reservation.decision_id,
                )
        return ended

    def _row(self, reservation: Reservation, report: UsageReport, charged: "_Charged") -> UsageRow:
        traces = traces_of(self.digests, reservation, report)
        return _row(reservation, report, charged, traces)


@dataclass(frozen=True, slots=True)
class _Charged:
    """What a report comes to."""

    usage: TokenUsage
    source: UsageSource
    usd: Decimal
    priced: PricedDeployment | None


def _charge(reservation: Reservation, report: UsageReport) -> _Charged:
    priced = _deployment(reservation, report.deployment_id)
    if report.cache is CacheUse.HIT:
        # Nobody was asked now: no tokens, no money, whatever the kept answer had cost.
        nothing = TokenUsage(input_tokens=0, output_tokens=0)
        return _Charged(nothing, report.source, Decimal(0), priced)
    if report.error_class is ErrorClass.UNREPORTED:
        return _estimated(reservation, priced)
    if report.usage is None and report.error_class is not ErrorClass.NONE:
        return _Charged(TokenUsage(), report.source, Decimal(0), priced)
    if report.usage is None or priced is None:
        # A success without usage, or usage of a deployment that was not permitted: nobody reports
        # so, and if somebody does it is not for nothing.
        _log.error("the usage of %s does not fit its decision", reservation.decision_id)
        return _estimated(reservation, priced)
    try:
        usd = usd_for(report.usage, priced.price)
    except UnpriceableUsage as fault:
        _log.error("usage of %s cannot be priced: %s", reservation.decision_id, fault)
        return _estimated(reservation, priced)
    return _Charged(report.usage, report.source, usd, priced)


def reserved_for(reservation: Reservation) -> Amounts:
    """What a reservation took from its limits."""
    if reservation.cache is CacheUse.HIT:
        return Amounts(requests=1, input_tokens=0, output_tokens=0, usd=Decimal(0))
    worst = worst_case(reservation.call, reservation.deployments, reservation.obligations)
    return replace(worst, usd=reservation.usd)


def _estimated(reservation: Reservation, priced: PricedDeployment | None) -> _Charged:
    """The reserved worst case: nothing is free because nobody counted it.

    All of it, so that the row says what the counters say.
    """
    taken = reserved_for(reservation)
    usage = TokenUsage(input_tokens=taken.input_tokens, output_tokens=taken.output_tokens)
    return _Charged(
        usage, UsageSource.ESTIMATED, reservation.usd, priced or reservation.deployments[0]
    )


def _deployment(reservation: Reservation, deployment_id: str | None) -> PricedDeployment | None:
    for priced in reservation.deployments:
        if priced.deployment.id == deployment_id:
            return priced
    return None


def _observed(reservation: Reservation, report: UsageReport) -> Observation | None:
    """What a direct call's report says about its deployment; `None` when it says nothing.

    A call that Kong could not send on is reported as `unreachable`, and so is one that it gave up
    for a reason of its own: only the statuses of the first kind count. A 429 comes here without its
    Retry-After, and a 4xx of the caller's may never have been sent; neither says how it fares.
    """
    priced = _deployment(reservation, report.deployment_id)
    if report.transport is not Transport.DIRECT or priced is None:
        return None
    deployment_id = priced.deployment.id
    if report.error_class is ErrorClass.NONE:
        return Observation(
            deployment_id, is_failure=False, time_to_first_token_ms=_answered_ms(report)
        )
    unreached = report.error_class is ErrorClass.UNREACHABLE and report.http_status in _BY_KONG
    if unreached or report.error_class in _DEPLOYMENTS_FAULT:
        return Observation(deployment_id, is_failure=True, error=report.error_class.value)
    return None


def _answered_ms(report: UsageReport) -> float | None:
    """How long the provider took: Kong gives a whole answer on when all of it is there."""
    if report.time_to_first_token_ms is not None or report.total_ms is None:
        return report.time_to_first_token_ms
    return max(report.total_ms - (report.overhead_ms or 0.0), 0.0)


def _saved_by_routing(reservation: Reservation, charged: _Charged) -> Decimal:
    """What the dearest way would have cost more; nothing where the cost itself is a guess."""
    if charged.source is UsageSource.ESTIMATED:
        return Decimal(0)
    dearest = charged.usd
    for way in reservation.deployments:
        try:
            dearest = max(dearest, usd_for(charged.usage, way.price))
        except UnpriceableUsage:  # no price for this kind of tokens there
            continue
    return dearest - charged.usd


def _row(
    reservation: Reservation, report: UsageReport, charged: _Charged, traces: Traces
) -> UsageRow:
    caller, call, priced = reservation.caller, reservation.call, charged.priced
    deployment = priced.deployment if priced else None
    usage = charged.usage
    return UsageRow(
        decision_id=reservation.decision_id,
        at=_to_ms(reservation.decided_at),
        organisation=caller.organisation,
        department=caller.department,
        team=caller.team,
        project=caller.project,
        user=caller.user,
        application=caller.application,
        key_id=caller.key_id,
        operation=reservation.operation.value,
        asked_model=call.asked_model,
        routed_model=deployment.model if deployment else None,
        served_model=report.served_model,
        deployment_id=deployment.id if deployment else None,
        provider=deployment.provider_name if deployment else None,
        region=deployment.region if deployment else None,
        transport=report.transport.value,
        is_streaming=call.is_streaming,
        http_status=report.http_status,
        error_class=report.error_class.value,
        source=charged.source.value,
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usd=charged.usd,
        price_version=priced.price.version if priced else None,
        policy_revision=reservation.policy_revision,
        total_ms=report.total_ms,
        time_to_first_token_ms=report.time_to_first_token_ms,
        overhead_ms=report.overhead_ms,
        fallbacks=report.fallbacks,
        request_digest=traces.request_digest,
        response_digest=traces.response_digest,
        cache=(report.cache or reservation.cache).value,
        saved_usd=report.saved_usd,
        cost_centre=caller.cost_centre,
        use_case=call.use_case,
        priority=priority_of(caller, call).value,
        request_bytes=traces.request_bytes,
        response_bytes=traces.response_bytes,
        data_labels=",".join(sorted(set(call.data_labels))),
        approval_id=reservation.approval,
        routing_saved_usd=_saved_by_routing(reservation, charged),
        input_audio_tokens=usage.input_audio_tokens,
        input_image_tokens=usage.input_image_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        cached_audio_tokens=usage.cached_audio_tokens,
    )


def _to_ms(at: datetime) -> datetime:
    """Cut to milliseconds, which every store keeps alike."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
