"""Providers of whom anything may be expected, for calls by the thousand."""

import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

from llm_core.errors import ProviderTimeout, ProviderUnavailable
from llm_core.providers.translator import ProviderRequest
from tests.fakes.providers import FakeAnswer
from tests.fakes.samples import PRICE, anthropic_answer, openai_answer, openai_events

STATUSES = (307, 400, 401, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529)


class RandomProviders:
    """Implements `Providers`: anything may happen. Notes whom it was asked for.

    Args:
        chance: Decides.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.asked: list[str] = []
        self.answers: list[FakeAnswer] = []

    async def send(
        self, request: ProviderRequest, credential: Mapping[str, str], timeout_s: float
    ) -> FakeAnswer:
        """Answer, or do not."""
        deployment_id = request.url.split("//")[1].split(".")[0]
        self.asked.append(deployment_id)
        streams = b'"stream":true' in request.body.replace(b" ", b"")
        made = self._answer(deployment_id.startswith("anthropic"), streams)
        if isinstance(made, Exception):
            raise made
        self.answers.append(made)
        return made

    async def close(self) -> None:
        """Nothing to let go of."""

    def _answer(self, is_anthropic: bool, streams: bool) -> FakeAnswer | Exception:
        what = self.chance.random()
        if what < 0.15:
            return self.chance.choice([ProviderUnavailable("no"), ProviderTimeout("late")])
        if what < 0.45:
            wait = {"retry-after": self.chance.choice(["0", "5"])} if what < 0.3 else {}
            return FakeAnswer([b"{}"], self.chance.choice(STATUSES), wait)
        if streams:
            return FakeAnswer(self._events())
        good = anthropic_answer() if is_anthropic else openai_answer()
        return FakeAnswer(self.chance.choice([[good], [good], [good], [b"<html>"], [b"{}"]]))

    def _events(self) -> list[Any]:
        """OpenAI's events: for Anthropic, nonsense."""
        events: list[Any] = openai_events("one ", "two ", "three")
        end = self.chance.choice(
            [None, None, ProviderUnavailable("broke"), ProviderTimeout("silent"), RuntimeError("x")]
        )
        if end is not None:
            return [*events[: self.chance.randint(0, 4)], end]
        return events if self.chance.random() < 0.7 else events[: self.chance.randint(0, 5)]


class OnePrice:
    """Implements `Prices`."""

    def price(self, *_: object) -> Any:
        return PRICE


async def some_of(events: AsyncIterator[bytes], most: int) -> None:
    """Take so many events, and leave."""
    for _ in range(most):
        if await anext(events, None) is None:
            break
    await events.aclose()  # type: ignore[attr-defined]
