"""Model providers that answer what the test has laid ready, by host."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from llm_core.errors import ProviderError
from llm_core.providers.translator import ProviderRequest

Piece = bytes | ProviderError | Exception | asyncio.Event


@dataclass
class FakeAnswer:
    """Implements `ProviderAnswer`.

    Args:
        pieces: The body: bytes are given, exceptions raised, events waited for.
        waiting: Set as soon as one is waited for.
    """

    pieces: Sequence[Piece] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    is_closed: bool = False
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body."""
        for piece in self.pieces:
            if isinstance(piece, asyncio.Event):
                self.waiting.set()
                await piece.wait()
            elif isinstance(piece, Exception):
                raise piece
            else:
                yield piece

    async def close(self) -> None:
        """Note that it was let go of."""
        self.is_closed = True


@dataclass(frozen=True)
class Sent:
    """A request as a provider got it."""

    request: ProviderRequest
    credential: Mapping[str, str]
    timeout_s: float

    @property
    def host(self) -> str:
        """Whom it went to."""
        return urlsplit(self.request.url).hostname or ""


class FakeProviders:
    """Implements `Providers`.

    Args:
        answers: By host; an exception is raised, an event is waited for ever.
    """

    def __init__(self, answers: Mapping[str, FakeAnswer | Exception | asyncio.Event]) -> None:
        self.answers = answers
        self.sent: list[Sent] = []

    @property
    def hosts(self) -> list[str]:
        """Who was asked, in order."""
        return [sent.host for sent in self.sent]

    async def send(
        self, request: ProviderRequest, credential: Mapping[str, str], timeout_s: float
    ) -> FakeAnswer:
        """Answer."""
        self.sent.append(Sent(request, credential, timeout_s))
        answer = self.answers[self.sent[-1].host]
        if isinstance(answer, asyncio.Event):
            answer.set()  # the test learns that we wait
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, FakeAnswer)
        return answer

    async def close(self) -> None:
        """Nothing to let go of."""
