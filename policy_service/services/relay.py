"""Carrying out an allowed call: translate, send, fail over, stream, settle.

The relay serves whoever brings a valid ticket, and nobody else. What it calls is fixed by the
decision behind the ticket; a fallback goes to the next deployment of that decision and cannot
reach any other. Whatever happens, one report is booked: nothing that was consumed is free, and
nothing stays reserved.

A client that leaves is a cancelled `Relay.serve`, or an event stream that is closed before its end.
What becomes of the provider's answer then is the route's choice: given up, or read to its end.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from llm_core.answer_headers import cost_header, deployment_headers, limit_headers
from llm_core.apis.ask import Answer, Ask, Heard
from llm_core.apis.registry import read_ask
from llm_core.digest import canonical, sha256_hex
from llm_core.errors import (
    GatewayError,
    GatewayFault,
    PolicyUnavailable,
    Undecided,
    error_body,
)
from llm_core.policy.decision import ErrorClass, Reservation
from llm_core.policy.limits import LimitState
from llm_core.policy.route import OnClientGone
from llm_core.sse import encode_event
from llm_core.tokens.counted import filled_in
from policy_service import call_context
from policy_service.ports.clock import Clock
from policy_service.ports.limits import LimitsStore
from policy_service.services.answer_cache import AnswerCache, Hit, Kept
from policy_service.services.booking import Bookings, Lease, Owed
from policy_service.services.content_log import ContentLog
from policy_service.services.degraded import degraded_header
from policy_service.services.progress import Progress, error_class_of, status_of
from policy_service.services.reach import Attempt, Reach, read_whole
from policy_service.services.screened import heard_whole, hidden, told_whole
from policy_service.services.screening import UNSCREENED, CallScreen, Screening
from policy_service.services.settle import Settler
from policy_service.services.streaming import Streaming, Upstream, kept_alive, opened
from policy_service.services.tickets import Tickets

_EVENT_STREAM = {"content-type": "text/event-stream; charset=utf-8"}


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
        lease_s: How far a call that is under way pushes its reservation's end.
        answers: Those that were given before; without it none is kept.
        content: Keeps what is said where policy wants that; without it nothing is kept.
        screening: Looks at the words where policy obliges it.
    """

    limits: LimitsStore
    reach: Reach
    settler: Settler
    tickets: Tickets
    clock: Clock
    count: Callable[[str], int]
    lease_s: float
    answers: AnswerCache | None = None
    content: ContentLog | None = None
    screening: Screening = UNSCREENED
    bookings: Bookings = field(init=False)

    def __post_init__(self) -> None:
        lease = Lease(self.limits, self.clock, self.lease_s)
        bookings = Bookings(self.settler, lease, self.answers, self.content, self.screening)
        object.__setattr__(self, "bookings", bookings)

    async def serve(self, ticket: str | None, body: bytes) -> WholeAnswer | StreamedAnswer:
        """Serve one call; cancelled when its client leaves.

        Raises:
            Undecided: No valid, unused ticket, or the body is not the one that was decided on.
            ProviderError: Every permitted deployment failed.
            UnsupportedParameter: No permitted deployment can do what is asked.
            ContentBlocked: Something in the words must not go on.
            ScreeningUnavailable: They cannot be looked at, and policy obliges it.
        """
        progress = Progress()
        reservation = await self._redeemed(ticket, progress)
        route = reservation.route
        working_on = call_context.decision_id.set(reservation.decision_id)
        with self.reach.tracing.following(reservation.decision_id):
            serving = asyncio.ensure_future(self._served(reservation, body, progress))
        call_context.decision_id.reset(working_on)
        try:
            if route.keep_alive_s is not None and reservation.call.is_streaming:
                done, _ = await asyncio.wait({serving}, timeout=route.keep_alive_s)
                if not done:
                    return await self._kept_alive(reservation, body, progress, serving)
            # Shielded: whether a client that leaves ends it is the route's choice.
            return await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._leave(reservation, progress, serving)
            raise

    def give_up(self, ticket: str | None, error: GatewayError | None) -> None:
        """Book a call whose body never came whole: nothing was sent for it, and nothing is owed.

        Args:
            ticket: Its own; any other is ignored.
            error: What the client is told; `None` when it has left.
        """
        self.bookings.later(self._turned_away(ticket, error))

    async def drain(self) -> None:
        """Wait for what outlived its request, but not for ever; see `Bookings.drain`."""
        await self.bookings.drain()

    async def _redeemed(self, ticket: str | None, progress: Progress) -> Reservation:
        """Exchange the ticket for what it stands for; nobody else can have it then."""
        now = self.clock()
        decision_id = self.tickets.decision_id(ticket, now)
        redeeming = asyncio.ensure_future(self.limits.redeem(decision_id, now))
        try:
            reservation = await asyncio.shield(redeeming)
        except asyncio.CancelledError:
            self.bookings.later(self._given_up(redeeming, progress))
            raise
        if reservation is None:
            raise Undecided("The ticket has been used or has expired: send the request again.")
        self.bookings.hold(reservation)
        return reservation

    async def _turned_away(self, ticket: str | None, error: GatewayError | None) -> None:
        progress = Progress()
        with suppress(Undecided, PolicyUnavailable):
            reservation = await self._redeemed(ticket, progress)
            report = progress.report(status_of(error), error_class=error_class_of(error))
            self.bookings.book(reservation, report)

    async def _given_up(
        self, redeeming: "asyncio.Future[Reservation | None]", progress: Progress
    ) -> None:
        """Book a call whose client left before it had begun."""
        reservation = await redeeming
        if reservation is not None:
            self.bookings.hold(reservation)
            async with Owed(self.bookings, reservation, progress):
                raise asyncio.CancelledError

    def _leave(
        self,
        reservation: Reservation,
        progress: Progress,
        serving: "asyncio.Future[WholeAnswer | StreamedAnswer]",
    ) -> None:
        """Do with a call what its route wants when its client has left."""
        progress.has_left = True
        if reservation.route.on_client_gone is OnClientGone.CANCEL:
            # Not at once: a task that is cancelled before its first step never runs, nor books.
            asyncio.get_running_loop().call_soon(serving.cancel)
        self.bookings.read_on(asyncio.ensure_future(_for_nobody(serving)))

    async def _served(
        self, reservation: Reservation, body: bytes, progress: Progress
    ) -> WholeAnswer | StreamedAnswer:
        async with Owed(self.bookings, reservation, progress):
            progress.starts(self.reach.total_s(reservation))
            ask = _as_decided(body, reservation)
            # Asked for while the provider works, so that nobody waits for the store.
            states = asyncio.ensure_future(self._states(reservation))
            try:
                screen = self.screening.of(reservation)
                if screen is not None:
                    progress.findings = screen.findings
                    ask = await progress.within_total(screen.asked(ask))
                self.bookings.asked(reservation, ask.fields)
                if (hit := await self._joined(reservation, ask, progress)) is not None:
                    return self._given_again(reservation, ask, hit, progress, await states)
                with hidden(screen):
                    if ask.is_streaming:
                        return await self._streamed(reservation, ask, progress, states, screen)
                    return await self._whole(reservation, ask, progress, states, screen)
            finally:
                states.cancel()

    async def _joined(self, reservation: Reservation, ask: Ask, progress: Progress) -> Hit | None:
        """The same question's answer, if somebody is asking it just now, or a near one's."""
        if self.answers is None or reservation.cache_key is None:
            return None
        waits_s = time.perf_counter()
        try:
            hit = await progress.within_total(self.answers.join(reservation))
            if hit is None:
                hit = await progress.within_total(self.answers.near(reservation, ask))
            return hit
        finally:
            progress.waited_s += time.perf_counter() - waits_s

    def _given_again(
        self,
        reservation: Reservation,
        ask: Ask,
        hit: Hit,
        progress: Progress,
        states: tuple[LimitState, ...],
    ) -> WholeAnswer | StreamedAnswer:
        headers = {
            "x-gatehouse-decision-id": reservation.decision_id,
            **limit_headers(states),
            **degraded_header(is_degraded=reservation.is_degraded),
            **hit.headers(),
        }
        self.bookings.answered(reservation, hit.kept.body)
        answer: WholeAnswer | StreamedAnswer
        if ask.is_streaming:
            events = _at_once(ask.replayed(hit.kept.body))
            answer = StreamedAnswer(events, {**headers, **_EVENT_STREAM})
        else:
            body = msgspec.json.encode(hit.kept.body)
            answer = WholeAnswer(body, {**headers, "content-type": "application/json"})
        self.bookings.book(reservation, hit.marked(progress.report(progress.status())))
        self.bookings.land(reservation)
        return answer

    async def _whole(
        self,
        reservation: Reservation,
        ask: Ask,
        progress: Progress,
        states: "asyncio.Future[tuple[LimitState, ...]]",
        screen: CallScreen | None,
    ) -> WholeAnswer:
        async def take(attempt: Attempt) -> tuple[Attempt, Answer | Heard]:
            raw = await read_whole(attempt.answer, progress)
            return attempt, heard_whole(attempt.exchange, raw, screen)

        attempt, heard = await self.reach.first_that_answers(reservation, ask, progress, take)
        self.reach.went_well(attempt, attempt.head_s)
        usage, source = filled_in(heard.usage, reservation.prompt_tokens, heard.texts, self.count)
        attempt.span.answered(usage, heard.served_model)
        progress.consumed = usage, source
        answered = await progress.within_total(told_whole(attempt.exchange, heard, screen))
        self.bookings.answered(reservation, answered.body)
        encoded = msgspec.json.encode(answered.body)
        answer = WholeAnswer(
            encoded,
            {
                **_headers(reservation, attempt, await states),
                **cost_header(usage, attempt.priced),
                "x-gatehouse-overhead-ms": f"{progress.own_ms():.2f}",
                "content-type": "application/json",
            },
        )
        report = progress.report(
            progress.status(),
            usage=usage,
            source=source,
            served_model=answered.served_model,
            response_digest=sha256_hex(encoded),
            response_bytes=len(encoded),
        )
        self.bookings.book(reservation, report)
        dropped = attempt.exchange.request.dropped_params
        self.bookings.land(
            reservation,
            Kept(
                answered.body, attempt.priced.deployment.id, usage, answered.served_model, dropped
            ),
        )
        return answer

    async def _streamed(
        self,
        reservation: Reservation,
        ask: Ask,
        progress: Progress,
        states: "asyncio.Future[tuple[LimitState, ...]]",
        screen: CallScreen | None,
    ) -> StreamedAnswer:
        async def take(attempt: Attempt) -> Upstream:
            is_kept = reservation.cache_key is not None or reservation.obligations.keeps_words
            return await opened(attempt, progress, is_kept=is_kept, screen=screen)

        upstream = await self.reach.first_that_answers(reservation, ask, progress, take)
        streaming = Streaming(reservation, upstream, self.reach, self.bookings, self.count)
        try:
            headers = _headers(reservation, upstream.attempt, await states)
        except BaseException:
            upstream.attempt.span.failed(ErrorClass.CLIENT_GONE.value)
            await upstream.close()
            raise
        events = streaming.events()
        # Up to its first yield: closing a generator that never ran would book nothing.
        await anext(events)
        return StreamedAnswer(events, {**headers, **_EVENT_STREAM})

    async def _kept_alive(
        self,
        reservation: Reservation,
        body: bytes,
        progress: Progress,
        serving: "asyncio.Future[WholeAnswer | StreamedAnswer]",
    ) -> StreamedAnswer:
        """Begin the answer before anybody has answered."""

        async def events_of() -> AsyncGenerator[bytes, None]:
            answer = await asyncio.shield(serving)
            if not isinstance(answer, StreamedAnswer):
                raise GatewayFault("The gateway failed.")
            return answer.events

        def leave() -> None:
            self._leave(reservation, progress, serving)

        headers = {
            "x-gatehouse-decision-id": reservation.decision_id,
            **limit_headers(await self._states(reservation)),
            **degraded_header(is_degraded=reservation.is_degraded),
            **_EVENT_STREAM,
        }
        events = kept_alive(
            asyncio.ensure_future(events_of()),
            self._teller(reservation, body),
            reservation.route.keep_alive_s or 0,
            leave,
        )
        await anext(events)
        return StreamedAnswer(events, headers)

    def _teller(self, reservation: Reservation, body: bytes) -> Callable[[GatewayError], bytes]:
        """How the client's API tells an error inside a stream."""
        ask = read_ask(reservation.operation, body)
        for priced in reservation.deployments:
            with suppress(GatewayError):
                return self.reach.exchange(priced, reservation, ask).stream().failed
        return lambda error: encode_event(msgspec.json.encode(error_body(error)))

    async def _states(self, reservation: Reservation) -> tuple[LimitState, ...]:
        try:
            return await self.limits.states(reservation.caller.limits, self.clock())
        except PolicyUnavailable:
            return ()  # an answer is not thrown away for want of a header


async def _at_once(events: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
    yield b"".join(events)


async def _for_nobody(serving: "asyncio.Future[WholeAnswer | StreamedAnswer]") -> None:
    answer = await serving
    if isinstance(answer, StreamedAnswer):
        await answer.events.aclose()


def _headers(
    reservation: Reservation, attempt: Attempt, states: tuple[LimitState, ...]
) -> dict[str, str]:
    return {
        "x-gatehouse-decision-id": reservation.decision_id,
        "x-gatehouse-fallbacks": str(attempt.fallbacks),
        **deployment_headers(
            attempt.priced, attempt.exchange.request.dropped_params, reservation.cache
        ),
        **limit_headers(states),
        **degraded_header(is_degraded=reservation.is_degraded),
    }


def _as_decided(body: bytes, reservation: Reservation) -> Ask:
    """Read the body, and hold it to the one that was decided on."""
    ask = read_ask(reservation.operation, body)
    if sha256_hex(canonical(ask.fields)) != reservation.call.body_digest:
        raise Undecided("The body is not the one that was decided on: send the request again.")
    return ask
