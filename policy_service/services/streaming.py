"""A streamed answer: from the provider's bytes to the client's events, and to the booking.

Nothing is kept beyond what arrived together: the next bytes are read when the client has taken the
last. A client that does not read lets the provider wait, all the way down.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from llm_core.apis.ask import ClientStream
from llm_core.errors import (
    GatewayError,
    GatewayFault,
    ProviderError,
    ProviderUnavailable,
)
from llm_core.policy.decision import ErrorClass, Reservation
from llm_core.policy.route import OnClientGone
from llm_core.tokens.counted import filled_in
from llm_core.tokens.usage import TokenUsage
from policy_service.services.answer_cache import Kept
from policy_service.services.booking import Bookings
from policy_service.services.progress import Progress, error_class_of
from policy_service.services.reach import MAX_ANSWER_BYTES, Attempt, Reach
from policy_service.services.screened import ScreenedStream, screened_stream
from policy_service.services.screening import CallScreen

_log = logging.getLogger(__name__)
_OK = 200
_MOST_HELD_BYTES = 1024 * 1024
"""Of a stream that says nothing and goes on: no answer opens with as much."""
KEEP_ALIVE = b": keep-alive\n\n"


@dataclass(slots=True)
class Upstream:
    """One provider's stream as it is read.

    Args:
        screened: Reads and writes the stream where its words are looked at on their way.
        has_ended: Nothing more is to be read.
        told_bytes: How long the client's events are together, so far.
    """

    attempt: Attempt
    stream: ClientStream
    progress: Progress
    screened: ScreenedStream | None = None
    has_ended: bool = False
    _held: list[Any] = field(default_factory=list)
    _chunks: AsyncIterator[bytes] = field(init=False)
    _reading: "asyncio.Task[bytes | None] | None" = None
    _received_bytes: int = 0
    _told: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    told_bytes: int = 0

    def __post_init__(self) -> None:
        self._chunks = self.progress.timed(self.attempt.answer.chunks())

    async def begin(self) -> None:
        """Read until the first word has come, or the end; let go of the stream if that fails.

        Raises:
            ProviderError: It said nothing but that it failed.
        """
        try:
            while not self.has_ended and not self.stream.has_begun:
                self._held += self._read(await self._received())
                if self._received_bytes > _MOST_HELD_BYTES:
                    break
        except BaseException:
            await self.attempt.answer.close()
            raise
        if self.stream.has_begun:
            self.progress.token_came()

    async def opening(self) -> Sequence[bytes]:
        """The client's events out of what `begin` has read.

        Raises:
            GatewayError: Screening does not let it through.
        """
        held, self._held = self._held, []
        return self._counted(await self._written(held))

    async def more(self, *, outlives_client: bool = False) -> Sequence[bytes]:
        """The client's events out of what arrives next; at the end the last ones.

        Args:
            outlives_client: When the client leaves meanwhile, the provider's stream goes on.

        Raises:
            ProviderError: The provider reports an error, sends nonsense, falls silent or breaks
                off.
            GatewayError: Screening does not let it through.
        """
        received = await (self._received_anyway() if outlives_client else self._received())
        return self._counted(await self._written(self._read(received)))

    @property
    def digest(self) -> str:
        """SHA-256 of the client's events so far, hex."""
        return self._told.hexdigest()

    async def close(self) -> None:
        """Hang up on the provider, if it is not done."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self.attempt.answer.close()

    def _counted(self, events: Sequence[bytes]) -> Sequence[bytes]:
        for event in events:
            self._told.update(event)
            self.told_bytes += len(event)
        return events

    def _read(self, received: bytes | None) -> Sequence[Any]:
        """Events; where words are looked at, the chunks that become some."""
        reading = self.screened or self.stream
        if received is None:
            self.has_ended = True
            return reading.finish()
        self._received_bytes += len(received)
        if self._received_bytes > MAX_ANSWER_BYTES:
            raise ProviderUnavailable("The model provider's answer is too long.")
        return reading.feed(received)

    async def _written(self, read: Sequence[Any]) -> Sequence[bytes]:
        if self.screened is None:
            return read
        return await self.screened.written(read, is_end=self.has_ended)

    async def _received_anyway(self) -> bytes | None:
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._received())
        received = await asyncio.shield(self._reading)
        self._reading = None
        return received

    async def _received(self) -> bytes | None:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            return None


@dataclass(slots=True)
class Streaming:
    """One streamed call, from its first event to its booking.

    Args:
        count: Counts a text's tokens, for providers that report no usage.
        outcome: How it ended; as long as it has not, its client has left.
    """

    reservation: Reservation
    upstream: Upstream
    reach: Reach
    bookings: Bookings
    count: Callable[[str], int]
    outcome: ErrorClass = ErrorClass.CLIENT_GONE
    _failure: ProviderError | None = None

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The client's events; books what was consumed, however it ends.

        The first thing it yields is empty and not to be sent: from there on it books.
        """
        upstream = self.upstream
        try:
            yield b""
            if opening := await upstream.opening():
                yield b"".join(opening)
            while not upstream.has_ended:
                if events := await self._more():
                    yield b"".join(events)
            self.outcome = ErrorClass.NONE
        except GatewayError as error:
            self._failed(error)
            yield upstream.stream.failed(error)
        except Exception as fault:  # noqa: BLE001 - the client must hear that this is no end
            self._stumbled(fault)
            yield upstream.stream.failed(GatewayFault("The gateway failed."))
        finally:
            self._end()

    async def _more(self) -> Sequence[bytes]:
        drains = self.reservation.route.on_client_gone is OnClientGone.DRAIN
        events = await self.upstream.more(outlives_client=drains)
        if self.upstream.has_ended:
            # Whoever has been sent the last events has the whole answer.
            self.outcome = ErrorClass.NONE
        return events

    def _end(self) -> None:
        left = self.outcome is ErrorClass.CLIENT_GONE
        if left and self.reservation.route.on_client_gone is OnClientGone.DRAIN:
            self.upstream.progress.has_left = True
            self.bookings.read_on(asyncio.ensure_future(self._drained()))
        else:
            self.bookings.later(self._booked())

    async def _drained(self) -> None:
        """Read on for nobody, to be told the true usage."""
        try:
            while not self.upstream.has_ended:
                await self._more()
        except GatewayError as error:
            self._failed(error)
        except Exception as fault:  # noqa: BLE001 - what came is booked all the same
            self._stumbled(fault)
        finally:
            self.bookings.later(self._booked())

    def _failed(self, error: GatewayError) -> None:
        cut_off = isinstance(error, ProviderUnavailable)
        self.outcome = ErrorClass.CUT_OFF if cut_off else error_class_of(error)
        if isinstance(error, ProviderError):
            self._failure = error
            if self.upstream.screened is not None:
                self.upstream.screened.hide(error)

    def _stumbled(self, fault: Exception) -> None:
        self.outcome = ErrorClass.GATEWAY
        _log.error(
            "%s: the stream stumbled: %s", self.reservation.decision_id, type(fault).__name__
        )

    async def _booked(self) -> None:
        upstream = self.upstream
        await upstream.close()
        reported = upstream.stream.usage
        # To find the words can mean to parse the whole stream, which holds up every other one.
        texts = () if reported.is_reported else upstream.stream.texts()
        usage, source = filled_in(reported, self.reservation.prompt_tokens, texts, self.count)
        is_whole = self.outcome is ErrorClass.NONE
        upstream.attempt.span.answered(
            usage, upstream.stream.served_model, "" if is_whole else self.outcome.value
        )
        keeps_words = self.reservation.obligations.keeps_words
        is_wanted = keeps_words or self.reservation.cache_key is not None
        body = upstream.stream.folded() if is_whole and is_wanted else None
        if keeps_words:
            self.bookings.answered(self.reservation, body or _as_far_as_it_came(upstream))
        self._land(usage, body)
        self._observe(usage)
        report = upstream.progress.report(
            _OK,
            usage=usage,
            source=source,
            error_class=self.outcome,
            served_model=upstream.stream.served_model,
            response_digest=upstream.digest,
            response_bytes=upstream.told_bytes,
        )
        await self.bookings.booked(self.reservation, report)

    def _land(self, usage: TokenUsage, body: dict[str, Any] | None) -> None:
        """Keep a whole answer; those who wait for this one hear of a failure too."""
        if self.reservation.cache_key is None:
            return
        stream, attempt = self.upstream.stream, self.upstream.attempt
        kept = None
        if body is not None:
            dropped = attempt.exchange.request.dropped_params
            deployment_id = attempt.priced.deployment.id
            kept = Kept(body, deployment_id, usage, stream.served_model, dropped)
        self.bookings.land(self.reservation, kept)

    def _observe(self, usage: TokenUsage) -> None:
        attempt, progress = self.upstream.attempt, self.upstream.progress
        if self._failure is not None:
            self.reach.went_wrong(attempt.priced.deployment.id, self._failure)
        elif self.outcome is not ErrorClass.GATEWAY:
            pace = None
            if self.outcome is ErrorClass.NONE:
                pace = progress.tokens_per_s(usage.output_tokens or 0)
            self.reach.went_well(attempt, progress.first_token_s or attempt.head_s, pace)


def _as_far_as_it_came(upstream: Upstream) -> dict[str, Any]:
    """What was said in a stream that broke off; where words are looked at, none may be left."""
    texts = () if upstream.screened is not None else upstream.stream.texts()
    return {"incomplete": True, "texts": list(texts)}


async def opened(
    attempt: Attempt, progress: Progress, *, is_kept: bool, screen: CallScreen | None = None
) -> Upstream:
    """Read a stream until it is certain that this deployment answers.

    Args:
        attempt: Its head is good.
        progress: Of the call.
        is_kept: The answer is to be remembered for the response cache.
        screen: Looks at what the model says.

    Raises:
        ProviderError: It does not.
        ScreeningUnavailable: A stream of this kind cannot be screened.
    """
    stream = attempt.exchange.stream(is_kept=is_kept)
    try:
        screened = screened_stream(stream, screen)
    except GatewayError:
        await attempt.answer.close()
        raise
    upstream = Upstream(attempt, stream, progress, screened)
    await upstream.begin()
    return upstream


async def kept_alive(
    opening: "asyncio.Future[AsyncGenerator[bytes, None]]",
    failed: Callable[[GatewayError], bytes],
    keep_alive_s: float,
    leave: Callable[[], None],
) -> AsyncGenerator[bytes, None]:
    """Send comments until a stream has begun, then the stream.

    The first thing it yields is empty and not to be sent: from there on `leave` is called when the
    client leaves before the stream has begun.

    Args:
        opening: Gives the stream's events, or books its own failure.
        failed: Tells a failure as an event: the answer's head has gone out.
        keep_alive_s: Between two comments.
        leave: Does with the call what its route wants.
    """
    has_waited = False
    try:
        yield b""
        while not opening.done():
            yield KEEP_ALIVE
            await asyncio.wait({opening}, timeout=keep_alive_s)
        has_waited = True
    finally:
        if not has_waited:
            opening.cancel()
            leave()
    try:
        events = opening.result()
    except GatewayError as error:
        yield failed(error)
        return
    except Exception as fault:  # noqa: BLE001 - the client must hear that this is no end
        _log.error("a stream could not be opened: %s", type(fault).__name__)
        yield failed(GatewayFault("The gateway failed."))
        return
    async with aclosing(events):
        async for event in events:
            yield event
