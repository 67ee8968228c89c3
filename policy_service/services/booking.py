"""Bookings that outlive their request, and the one report that every call owes."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from llm_core.errors import GatewayError, GatewayFault, PolicyUnavailable
from llm_core.policy.decision import Reservation, UsageReport
from llm_core.tokens.usage import TokenUsage, UsageSource
from policy_service.ports.clock import Clock
from policy_service.ports.limits import LimitsStore
from policy_service.services.answer_cache import AnswerCache, Kept
from policy_service.services.content_log import ContentLog
from policy_service.services.progress import Progress, error_class_of, status_of
from policy_service.services.screening import UNSCREENED, Screening
from policy_service.services.settle import Settler

_log = logging.getLogger(__name__)
_DRAIN_S = 10.0
_Task = asyncio.Task[Any]


@dataclass(frozen=True, slots=True)
class Lease:
    """Pushes the ends of calls that are under way on, so that nobody charges their estimates.

    Args:
        lease_s: How far; three times as long as until it does so again.
    """

    limits: LimitsStore
    clock: Clock
    lease_s: float

    async def renew_for_ever(self, reservation: Reservation) -> None:
        """Renew until cancelled, from whenever the reservation is to end."""
        left_s = (reservation.expires_at - self.clock()).total_seconds()
        await asyncio.sleep(min(left_s, self.lease_s) / 3)
        while True:
            await self.renew(reservation)
            await asyncio.sleep(self.lease_s / 3)

    async def renew(self, reservation: Reservation) -> None:
        """Push its end on."""
        until = self.clock() + timedelta(seconds=self.lease_s)
        try:
            await self.limits.extend(reservation.decision_id, until)
        except PolicyUnavailable as outage:
            # The call goes on. Should the lease end meanwhile, the estimate stands in until the
            # true figure replaces it.
            _log.warning("%s: its lease was not renewed: %s", reservation.decision_id, outage)


@dataclass(frozen=True, slots=True)
class Bookings:
    """Work that goes on when its request has ended: bookings, and readings that lead to one.

    Args:
        lease: Renews the reservations of calls that are under way.
        content: Keeps what is said in calls where policy wants that; without it nothing is kept.
        screening: Told what was found in a call.
    """

    settler: Settler
    lease: Lease
    answers: AnswerCache | None = None
    content: ContentLog | None = None
    screening: Screening = UNSCREENED
    _leases: dict[str, _Task] = field(default_factory=dict)
    _bookings: set[_Task] = field(default_factory=set)
    _readings: set["asyncio.Future[Any]"] = field(default_factory=set)

    def book(self, reservation: Reservation, report: UsageReport) -> None:
        """Book in the background.

        The store's round trip is not the client's to wait for, and a client that leaves now cannot
        stop it.
        """
        self.later(self.booked(reservation, report))

    async def booked(self, reservation: Reservation, report: UsageReport) -> None:
        """Book, and let go of the lease that `hold` keeps."""
        if self.content is not None:
            self.content.ends(reservation, report)
        self.screening.told(reservation, report.findings)
        try:
            await self.settler.book_surely(reservation, report)
        finally:
            renewing = self._leases.pop(reservation.decision_id, None)
            if renewing is not None:
                renewing.cancel()

    @property
    def held(self) -> int:
        """How many leases are being renewed."""
        return len(self._leases)

    def hold(self, reservation: Reservation) -> None:
        """Renew a redeemed reservation's lease until it is booked: whatever the call waits for."""
        renewing = asyncio.ensure_future(self.lease.renew_for_ever(reservation))
        self._leases[reservation.decision_id] = renewing

    def land(self, reservation: Reservation, kept: Kept | None = None) -> None:
        """Keep what a call was answered, in the background; see `AnswerCache.land`."""
        if self.answers is not None and reservation.cache_key is not None:
            self.later(self.answers.land(reservation, kept))

    def asked(self, reservation: Reservation, question: Mapping[str, Any]) -> None:
        """Note what goes to a provider; see `ContentLog.asked`."""
        if self.content is not None:
            self.content.asked(reservation, question)

    def answered(self, reservation: Reservation, answer: object) -> None:
        """Note what a client is answered; see `ContentLog.answered`."""
        if self.content is not None:
            self.content.answered(reservation, answer)

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let `work` finish whatever becomes of the request it belongs to."""
        task = asyncio.ensure_future(work)
        self._bookings.add(task)
        task.add_done_callback(self._bookings.discard)
        task.add_done_callback(_told_of_booking)

    def read_on(self, reading: "asyncio.Future[Any]") -> None:
        """Let a provider's answer be read to its end for a client that has left.

        Args:
            reading: Books by itself, also when it is cancelled; its end may be an exception.
        """
        self._readings.add(reading)
        reading.add_done_callback(self._readings.discard)
        reading.add_done_callback(_told_of_reading)

    async def drain(self) -> None:
        """Wait for what outlived its request, but not for ever.

        An answer that is still being read then is charged for what came. What is not booked by the
        end is charged as an estimate when its lease ends: nothing renews it any more.
        """
        # The end of one reading can be the beginning of another.
        until_s = asyncio.get_running_loop().time() + _DRAIN_S
        while self._readings and (left_s := until_s - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._readings, timeout=left_s)
        while self._readings:
            await asyncio.sleep(0)  # each has begun, so that its cancellation books
            unfinished = list(self._readings)
            for reading in unfinished:
                reading.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        while self._bookings:
            _, late = await asyncio.wait(self._bookings, timeout=_DRAIN_S)
            if late:
                break
        for renewing in self._leases.values():
            renewing.cancel()


def _told_of_reading(reading: "asyncio.Future[Any]") -> None:
    if not reading.cancelled() and (fault := reading.exception()) is not None:
        # It has been booked; its client is gone.
        _log.info("an answer that nobody waits for failed: %s", type(fault).__name__)


def _told_of_booking(task: _Task) -> None:
    if not task.cancelled() and (fault := task.exception()) is not None:
        # When its lease ends the estimate is charged: precision is lost, the call is not.
        _log.error("a call could not be booked: %s: %s", type(fault).__name__, fault)


@dataclass(slots=True)
class Owed:
    """Books a call that failed before its answer was handed over.

    A provider that took the request and was not heard of in time has its prompt at least; so has
    one that failed behind a good head, and one that was being waited for when the client left. One
    prompt is charged, that of the last such try, at that deployment's price: a row has one
    deployment and one price, and the reservation covers one try.
    """

    bookings: Bookings
    reservation: Reservation
    progress: Progress

    async def __aenter__(self) -> "Owed":
        return self

    async def __aexit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        if fault is None:
            return
        self.bookings.land(self.reservation)
        error = _told(fault)
        if error is not None:
            error.decision_id = self.reservation.decision_id
        usage, source = self.progress.consumed or self._prompt()
        report = self.progress.report(
            status_of(error), usage=usage, source=source, error_class=error_class_of(error)
        )
        self.bookings.book(self.reservation, report)

    def _prompt(self) -> tuple[TokenUsage | None, UsageSource]:
        """The prompt of the last deployment that may have worked; nothing when none has."""
        if self.progress.owing_id is None:
            return None, UsageSource.PROVIDER
        self.progress.deployment_id = self.progress.owing_id
        prompt = TokenUsage(input_tokens=self.reservation.prompt_tokens, output_tokens=0)
        return prompt, UsageSource.ESTIMATED


def _told(fault: BaseException) -> GatewayError | None:
    """The failure to book; none at all when the call was cancelled."""
    if isinstance(fault, GatewayError):
        return fault
    return GatewayFault("The gateway failed.") if isinstance(fault, Exception) else None
