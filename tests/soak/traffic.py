"""Asks question after question at its own pace, however slow the answers are; notes each answer."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.soak.questions import Question, question
from tests.soak.verdicts import ANSWERED_WITHIN_S, Answer, End

_START_CHARS = 300
_OK = 200


@dataclass
class Traffic:
    """Clients.

    Args:
        url: Of Kong.
        keys: The company's, by name.
        rate: Questions a second, on average.
        answers: By the question's number.
    """

    url: str
    keys: Mapping[str, str]
    seed: int
    rate: float
    answers: dict[int, Answer] = field(default_factory=dict)
    asked: int = 0
    _under_way: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def under_way(self) -> int:
        """Questions without an answer so far."""
        return len(self._under_way)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask until the block ends, then wait for the last answers."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=ANSWERED_WITHIN_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
            asking = asyncio.create_task(self._ask_on(client))
            try:
                yield
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                await asyncio.gather(*self._under_way)

    async def _ask_on(self, client: aiohttp.ClientSession) -> None:
        dice = random.Random(f"pace/{self.seed}")
        while True:
            one = question(self.seed, self.asked)
            self.asked += 1
            task = asyncio.create_task(self._ask(client, one))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(dice.expovariate(self.rate))

    async def _ask(self, client: aiohttp.ClientSession, one: Question) -> None:
        answer = Answer(End.LEFT, time.monotonic(), 0.0)
        try:
            async with asyncio.timeout(one.leaves_after_s):
                answer.end = await self._answered(client, one, answer)
        except TimeoutError:
            answer.end = End.LEFT
        answer.until_s = time.monotonic()
        self.answers[one.number] = answer

    async def _answered(self, client: aiohttp.ClientSession, one: Question, answer: Answer) -> End:
        headers = {
            "authorization": f"Bearer {self.keys.get(one.key, one.key)}",
            "content-type": "application/json",
        }
        try:
            async with client.post(self.url + one.path, data=one.body, headers=headers) as told:
                answer.status = told.status
                answer.decision_id = told.headers.get("x-gatehouse-decision-id")
                answer.cost_usd = told.headers.get("x-gatehouse-cost-usd")
                content = await told.read()
                kind = told.headers.get("content-type", "")
        except TimeoutError:
            if time.monotonic() - answer.from_s >= ANSWERED_WITHIN_S:
                return End.HUNG
            raise
        except aiohttp.ClientError:
            return End.CLOSED if answer.status is None else End.BROKEN
        text = content.decode(errors="replace")
        answer.start = text[:_START_CHARS]
        if kind.startswith("text/event-stream"):
            return read_stream(text, answer)
        return read_whole(text, answer)


def read_whole(text: str, answer: Answer) -> End:
    """Note what a whole answer or a refusal says."""
    try:
        document = json.loads(text)
    except ValueError:
        return End.WHOLE
    if answer.status != _OK:
        answer.error = _error_in(document)
        answer.is_kongs = set(document) <= {"message", "request_id"} and "message" in document
        return End.WHOLE
    _note_usage(document.get("usage") or {}, answer)
    if document.get("object") == "list":
        answer.vector = tuple(document["data"][0]["embedding"])
    else:
        answer.said = document["choices"][0]["message"]["content"]
    return End.WHOLE


def read_stream(text: str, answer: Answer) -> End:
    """Note what a stream says, and how it ends."""
    end = End.UNFINISHED
    for event in text.split("\n\n"):
        if not event.startswith("data: "):
            continue
        data = event.removeprefix("data: ")
        if data == "[DONE]":
            end = End.WHOLE
            continue
        document = json.loads(data)
        if _error_in(document) is not None:
            return End.ERROR
        _note_usage(document.get("usage") or {}, answer)
        for choice in document["choices"]:
            answer.said += choice["delta"].get("content") or ""
    return end


def _note_usage(usage: Mapping[str, Any], answer: Answer) -> None:
    answer.input_tokens = usage.get("prompt_tokens", answer.input_tokens)
    answer.output_tokens = usage.get("completion_tokens", answer.output_tokens)


def _error_in(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error in OpenAI's shape, if a document is one."""
    error = document.get("error")
    has_shape = isinstance(error, dict) and {"message", "type", "param", "code"} <= error.keys()
    return error if has_shape else None
