"""Carrying out an allowed call: translate, send, fail over, stream, settle.

The relay serves whoever brings a valid ticket, and nobody else. What it calls is fixed by the
decision behind the ticket; a fallback goes to the next deployment of that decision and cannot
reach any other. Whatever happens, one report is booked: nothing that was consumed is free, and
nothing stays reserved.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from llm_core.answer_headers import cost_header, deployment_headers, limit_headers
from llm_core.apis.ask import Ask, ClientStream
from llm_core.apis.registry import read_ask
from llm_core.digest import canonical, sha256_hex
from llm_core.errors import (
    GatewayError,
    GatewayFault,
    PolicyUnavailable,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    Undecided,
)
from llm_core.policy.decision import ErrorClass, Reservation
from llm_core.tokens.counted import filled_in
from llm_core.tokens.usage import TokenUsage, UsageSource
from policy_service.ports import Clock, LimitsStore
from policy_service.services.progress import Progress, error_class_of, status_of
from policy_service.services.reach import Attempt, Reach, read_whole
from policy_service.services.settle import Settler
from policy_service.services.tickets import Tickets

_log = logging.getLogger(__name__)
_OK = 200
_DRAIN_S = 10.0


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """A body to send at once."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """An event stream; whoever sends it iterates `events` to the end or closes them.

    Closing books the call even before the first event was asked for.
    """

    events: AsyncGenerator[bytes, None]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Relay:
    """Serves tickets.

    Args:
        count: Counts a text's tokens, for providers that report no usage.
        lease_s: How far a running stream pushes its reservation's end.
    """

    limits: LimitsStore
    reach: Reach
    settler: Settler
    tickets: Tickets
    clock: Clock
    count: Callable[[str], int]
    lease_s: float
    _bookings: set["asyncio.Task[Any]"] = field(default_factory=set)

    async def serve(self, ticket: str | None, body: bytes) -> WholeAnswer | StreamedAnswer:
        """Serve one call.

        Raises:
            Undecided: No valid, unused ticket, or the body is not the one that was decided on.
            ProviderError: Every permitted deployment failed.
        """
        progress = Progress()
        now = self.clock()
        reservation = await self.limits.redeem(self.tickets.decision_id(ticket, now), now)
        if reservation is None:
            raise Undecided("The ticket has been used or has expired: send the request again.")
        async with _Owed(self, reservation, progress) as owed:
            ask = _as_decided(body, reservation)
            attempt = await self.reach.first_that_answers(reservation, ask, progress)
            owed.take_over(attempt)
            headers = await self._headers(reservation, attempt)
            if ask.is_streaming:
                events = self._stream(reservation, attempt, progress)
                # Up to its first yield: closing a generator that never ran would book nothing.
                await anext(events)
                return StreamedAnswer(
                    events, {**headers, "content-type": "text/event-stream; charset=utf-8"}
                )
            return await self._whole(reservation, attempt, progress, headers)

    async def drain(self) -> None:
        """Wait for the bookings that outlived their request, but not for ever.

        What is not booked by then is charged as an estimate when its lease ends.
        """
        if self._bookings:
            await asyncio.wait(self._bookings, timeout=_DRAIN_S)

    async def _whole(
        self,
        reservation: Reservation,
        attempt: Attempt,
        progress: Progress,
        headers: dict[str, str],
    ) -> WholeAnswer:
        answered = attempt.exchange.answer(await read_whole(attempt.answer, progress))
        encoded = msgspec.json.encode(answered.body)
        usage, source = filled_in(
            answered.usage, reservation.prompt_tokens, answered.texts, self.count
        )
        report = progress.report(
            _OK,
            usage=usage,
            source=source,
            served_model=answered.served_model,
            response_digest=sha256_hex(encoded),
        )
        # In the background: the store's round trip is not the client's to wait for, and a client
        # that leaves now cannot stop it.
        self.book_later(self.settler.book_surely(reservation, report))
        return WholeAnswer(
            encoded,
            {
                **headers,
                **cost_header(usage, attempt.priced),
                "x-gatehouse-overhead-ms": f"{progress.own_ms():.2f}",
                "content-type": "application/json",
            },
        )

    async def _stream(
        self, reservation: Reservation, attempt: Attempt, progress: Progress
    ) -> AsyncGenerator[bytes, None]:
        """Translate chunk by chunk; book what was consumed, however it ends.

        The first thing it yields is empty and not to be sent: from there on it books.
        """
        stream = attempt.exchange.stream()
        outcome = ErrorClass.CLIENT_GONE
        renew_at_s = time.perf_counter() + self.lease_s / 3
        try:
            yield b""
            async for received in progress.timed(attempt.answer.chunks()):
                events = stream.feed(received)
                if stream.has_begun:
                    progress.token_came()
                for event in events:
                    yield event
                if time.perf_counter() > renew_at_s:
                    renew_at_s = time.perf_counter() + self.lease_s / 3
                    await self._renew(reservation)
            last = stream.finish()
            outcome = ErrorClass.NONE
            for event in last:
                yield event
        except ProviderError as error:
            cut_off = isinstance(error, ProviderUnavailable)
            outcome = ErrorClass.CUT_OFF if cut_off else error_class_of(error)
            yield stream.failed(error)
        except Exception as fault:  # noqa: BLE001 - the client must hear that this is no end
            outcome = ErrorClass.GATEWAY
            _log.error("%s: the stream stumbled: %s", reservation.decision_id, type(fault).__name__)
            yield stream.failed(GatewayFault("The gateway failed."))
        finally:
            self.book_later(self._book_stream(reservation, attempt, stream, progress, outcome))

    async def _book_stream(
        self,
        reservation: Reservation,
        attempt: Attempt,
        stream: ClientStream,
        progress: Progress,
        outcome: ErrorClass,
    ) -> None:
        await attempt.answer.close()
        usage, source = filled_in(
            stream.usage, reservation.prompt_tokens, stream.texts(), self.count
        )
        report = progress.report(
            _OK,
            usage=usage,
            source=source,
            error_class=outcome,
            served_model=stream.served_model,
        )
        await self.settler.book_surely(reservation, report)

    async def _headers(self, reservation: Reservation, attempt: Attempt) -> dict[str, str]:
        try:
            states = await self.limits.states(reservation.caller.limits, self.clock())
        except PolicyUnavailable:
            states = ()  # a provider has answered: that is not thrown away for want of a header
        return {
            "x-gatehouse-decision-id": reservation.decision_id,
            "x-gatehouse-fallbacks": str(attempt.fallbacks),
            **deployment_headers(attempt.priced, attempt.exchange.request.dropped_params),
            **limit_headers(states),
        }

    async def _renew(self, reservation: Reservation) -> None:
        until = self.clock() + timedelta(seconds=self.lease_s)
        try:
            await self.limits.extend(reservation.decision_id, until)
        except PolicyUnavailable as outage:
            # The stream goes on. Should the lease end meanwhile, the estimate stands in until the
            # true figure replaces it.
            _log.warning("%s: its lease was not renewed: %s", reservation.decision_id, outage)

    def book_later(self, booking: Coroutine[Any, Any, Any]) -> None:
        """Let `booking` finish whatever becomes of the request it belongs to."""
        task = asyncio.ensure_future(booking)
        self._bookings.add(task)
        task.add_done_callback(self._booked)

    def _booked(self, task: "asyncio.Task[Any]") -> None:
        self._bookings.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            # When its lease ends the estimate is charged: precision is lost, the call is not.
            _log.error("a call could not be booked: %s: %s", type(fault).__name__, fault)


@dataclass(slots=True)
class _Owed:
    """Books a call that failed before its answer was handed over.

    Args:
        attempt: A provider took the call, so its prompt is owed even without an answer.
    """

    relay: Relay
    reservation: Reservation
    progress: Progress
    attempt: Attempt | None = None

    def take_over(self, attempt: Attempt) -> None:
        """From now on a failure also closes this answer."""
        self.attempt = attempt

    async def __aenter__(self) -> "_Owed":
        return self

    async def __aexit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        if fault is None:
            return
        error = _told(fault)
        usage = None
        if self._is_owed(fault):
            usage = TokenUsage(input_tokens=self.reservation.prompt_tokens, output_tokens=0)
        report = self.progress.report(
            status_of(error),
            usage=usage,
            source=UsageSource.ESTIMATED if usage else UsageSource.PROVIDER,
            error_class=error_class_of(error),
        )
        self.relay.book_later(self.relay.settler.book_surely(self.reservation, report))
        if self.attempt is not None:
            self.relay.book_later(self.attempt.answer.close())

    def _is_owed(self, fault: BaseException) -> bool:
        """Whether a provider worked for it, as far as anybody can know.

        One that took the request and was not heard of in time has its prompt at least; so has one
        that was being waited for when the call was cancelled.
        """
        if self.attempt is not None or isinstance(fault, ProviderTimeout):
            return True
        return not isinstance(fault, Exception) and self.progress.waited_s > 0


def _told(fault: BaseException) -> GatewayError | None:
    """The failure to book; none at all when the call was cancelled."""
    if isinstance(fault, GatewayError):
        return fault
    return GatewayFault("The gateway failed.") if isinstance(fault, Exception) else None


def _as_decided(body: bytes, reservation: Reservation) -> Ask:
    """Read the body, and hold it to the one that was decided on."""
    ask = read_ask(reservation.operation, body)
    if sha256_hex(canonical(ask.fields)) != reservation.call.body_digest:
        raise Undecided("The body is not the one that was decided on: send the request again.")
    return ask
