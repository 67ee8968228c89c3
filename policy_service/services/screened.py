"""Answers that go through screening on their way from the provider to the client."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llm_core.apis.ask import (
    Answer,
    ClientStream,
    Exchange,
    Heard,
    ScreenableExchange,
    ScreenableStream,
)
from llm_core.errors import ProviderError, ScreeningUnavailable
from policy_service.services.screening import Answering, CallScreen

_Object = dict[str, Any]
_NOT_SHOWN = "The model provider failed or refused; what it said is not shown in a screened call."


def heard_whole(exchange: Exchange, raw: bytes, screen: CallScreen | None) -> Answer | Heard:
    """Read a whole answer: as it is told, or as chunks where its words are looked at first.

    Raises:
        ProviderError: The body is not an answer.
        ScreeningUnavailable: An answer of this kind cannot be screened.
    """
    if screen is None or not screen.changes_answers:
        return exchange.answer(raw)
    return _screenable(exchange).hear(raw)


async def told_whole(
    exchange: Exchange, heard: Answer | Heard, screen: CallScreen | None
) -> Answer:
    """Tell a whole answer in the client's API, after its words were looked at.

    Raises:
        ContentBlocked: Something in it must not go on.
        ScreeningUnavailable: It cannot be told.
    """
    if isinstance(heard, Answer):
        return heard
    if screen is None:
        raise ScreeningUnavailable("The answer could not be screened.")
    chunks = await screen.answering().through(heard.chunks, is_end=True)
    body = _screenable(exchange).told(chunks)
    return Answer(body, heard.usage, heard.served_model, heard.texts)


@dataclass(frozen=True, slots=True)
class ScreenedStream:
    """A stream as chunks first, and as events when they have been looked at."""

    stream: ScreenableStream
    call: CallScreen
    answering: Answering

    def feed(self, received: bytes) -> Sequence[_Object]:
        """The chunks that `received` completes; see `ClientStream.feed`."""
        return self.stream.read(received)

    def finish(self) -> Sequence[_Object]:
        """The last chunks; see `ClientStream.finish`."""
        return self.stream.read_end()

    async def written(self, chunks: Sequence[_Object], *, is_end: bool) -> Sequence[bytes]:
        """The client's events for what may go on.

        Raises:
            ContentBlocked: Something must not.
            ScreeningUnavailable: It cannot be told.
        """
        events = self.stream.write(await self.answering.through(chunks, is_end=is_end))
        return [*events, *self.stream.write_end()] if is_end else events

    def hide(self, error: ProviderError) -> None:
        """Take a provider's sentence out of its error, where it may repeat words."""
        _hide(error, self.call)


def screened_stream(stream: ClientStream, screen: CallScreen | None) -> ScreenedStream | None:
    """How a stream is read and written where its words are looked at; else `None`.

    Raises:
        ScreeningUnavailable: A stream of this kind cannot be screened.
    """
    if screen is None or not screen.changes_answers:
        return None
    if not isinstance(stream, ScreenableStream):
        raise ScreeningUnavailable("The answer could not be screened.")
    return ScreenedStream(stream, screen, screen.answering())


@contextmanager
def hidden(screen: CallScreen | None) -> Iterator[None]:
    """Take providers' sentences out of their errors, where they may repeat words."""
    try:
        yield
    except ProviderError as error:
        if screen is not None:
            _hide(error, screen)
        raise


def _hide(error: ProviderError, screen: CallScreen) -> None:
    if screen.hides_failures and type(error) is ProviderError:
        error.public_message = _NOT_SHOWN


def _screenable(exchange: Exchange) -> ScreenableExchange:
    if not isinstance(exchange, ScreenableExchange):
        raise ScreeningUnavailable("The answer could not be screened.")
    return exchange
