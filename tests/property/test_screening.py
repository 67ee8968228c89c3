"""What is screened is screened alike, whole and streamed, however the stream was cut."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_core.errors import ContentBlocked
from llm_core.operation import Operation
from llm_core.policy.decision import PiiMode
from llm_core.screening.segments import MOST_CHARS, Segmenter
from tests.fakes.samples import CLAUDE, OPENAI, openai_answer, openai_events
from tests.fakes.screener import FakeScreener
from tests.fixtures.screened import GENERATING, answer_in, asked, body_of, pii, text_of

ASKED = "Write to anna@example.org about DE89 3704 0044 0532 0130 00, not to <EMAIL_ADDRESS_1>."
SAID = st.lists(
    st.sampled_from(
        [
            "anna@example.org", "bob@example.com", "DE89 3704 0044 0532 0130 00", "Dr. Anna Meier",
            "4111 1111 1111 1111", "<EMAIL_ADDRESS_1>", "<EMAIL_ADDRESS_2>", "<IBAN_CODE_1>", "<",
            "<EMAIL", "word", "another", ". ", "! ", "\n", ", ", " ", "x" * 40, "ü", "\\u0040", "{",
            "Sentences end. ", "\r\n", "e.g. ", "?",
        ]
    ),
    max_size=60,
).map("".join)  # fmt: skip
CUTS = st.lists(st.integers(0, 4000), max_size=30)
MODES = st.sampled_from(
    [
        pii(PiiMode.REDACT, PiiMode.REDACT, restores=True),
        pii(PiiMode.REDACT, PiiMode.OFF, restores=True),
        pii(PiiMode.REDACT, PiiMode.REDACT),
        pii(PiiMode.OFF, PiiMode.REDACT),
        pii(PiiMode.OFF, PiiMode.BLOCK),
    ]
)


def cut(text: Any, cuts: list[int]) -> list[Any]:
    edges = [0, *sorted({one % len(text) for one in cuts if text} - {0}), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@given(text=st.text(max_size=50) | SAID, cuts=CUTS)
def test_segments_are_the_same_however_the_text_comes(text: str, cuts: list[int]) -> None:
    whole, pieces = Segmenter(), Segmenter()
    expected = [*whole.feed(text), whole.end()]
    got = [one for piece in cut(text, cuts) for one in pieces.feed(piece)]
    assert [*got, pieces.end()] == expected
    assert "".join(expected) == text


@given(text=st.text(alphabet="ab ,1\u00e9", min_size=2000, max_size=5000), cuts=CUTS)
def test_no_segment_is_longer_than_the_longest(text: str, cuts: list[int]) -> None:
    segmenter = Segmenter()
    segments = [one for piece in cut(text, cuts) for one in segmenter.feed(piece)]
    assert all(0 < len(one) <= MOST_CHARS for one in [*segments, segmenter.end() or "-"])


@pytest.mark.parametrize("operation", GENERATING)
@settings(max_examples=60, deadline=None)
@given(said=SAID, deltas=CUTS, cuts=CUTS, obligations=MODES)
def test_a_streamed_answer_is_screened_as_the_whole_one(
    operation: Operation, said: str, deltas: list[int], cuts: list[int], obligations: Any
) -> None:
    async def both() -> None:
        body = body_of(operation, ASKED)
        screener = FakeScreener()
        # Neither server has the older APIs, so that the same answer serves all.
        call = await asked(screener, operation, body, obligations, OPENAI)
        stream = b"".join(openai_events(*cut(said, deltas)))
        try:
            whole = await call.whole(openai_answer(said))
        except ContentBlocked:
            call = await asked(screener, operation, body, obligations, OPENAI)
            with pytest.raises(ContentBlocked):
                await call.streamed(cut(stream, cuts))
            return
        call = await asked(screener, operation, body, obligations, OPENAI)
        streamed = answer_in(operation, b"".join(await call.streamed(cut(stream, cuts))))
        assert text_of(operation, streamed) == text_of(operation, whole)

    asyncio.run(both())


@pytest.mark.parametrize("output", [PiiMode.OFF, PiiMode.REDACT])
def test_every_single_cut_gives_the_same_answer(output: PiiMode) -> None:
    said = "To <EMAIL_ADDRESS_2>, <IBAN_CODE_1> <<EMAIL_ADDRESS_2> and eve@example.org <EMAIL_A"
    obligations = pii(PiiMode.REDACT, output, restores=True)
    operation = Operation.CHAT_COMPLETIONS

    async def streamed(*pieces: str) -> str:
        body = body_of(operation, ASKED)
        call = await asked(FakeScreener(), operation, body, obligations, OPENAI)
        return text_of(
            operation,
            answer_in(operation, b"".join(await call.streamed(openai_events(*pieces)))),
        )

    async def every_cut() -> None:
        expected = await streamed(said)
        assert "To anna@example.org, DE89 3704 0044 0532 0130 00 <anna@example.org" in expected
        assert ("eve@example.org" in expected) is (output is PiiMode.OFF)
        for at in range(1, len(said)):
            assert await streamed(said[:at], said[at:]) == expected
        assert await streamed(*said) == expected

    asyncio.run(every_cut())


@settings(max_examples=60, deadline=None)
@given(said=SAID, deltas=CUTS)
def test_nothing_is_sent_early_that_would_have_been_replaced(said: str, deltas: list[int]) -> None:
    async def stream() -> None:
        body = body_of(Operation.CHAT_COMPLETIONS, "hello")
        obligations = pii(PiiMode.OFF, PiiMode.REDACT)
        screener = FakeScreener()
        call = await asked(screener, Operation.CHAT_COMPLETIONS, body, obligations, OPENAI)
        whole = text_of(Operation.CHAT_COMPLETIONS, await call.whole(openai_answer(said)))
        call = await asked(screener, Operation.CHAT_COMPLETIONS, body, obligations, OPENAI)
        pieces = openai_events(*cut(said, deltas))
        sent = b""
        for got in await call.streamed(pieces):
            sent += got
            so_far = answer_in(Operation.CHAT_COMPLETIONS, sent)["choices"]
            assert not so_far or whole.startswith(so_far[0]["message"]["content"] or "")

    asyncio.run(stream())


@settings(max_examples=40, deadline=None)
@given(said=st.text(max_size=30) | SAID)
def test_a_question_comes_back_as_it_was_when_its_placeholders_are_restored(said: str) -> None:
    """An answer that repeats what the provider got, says what the caller wrote."""

    async def there_and_back() -> None:
        body = body_of(Operation.CHAT_COMPLETIONS, said)
        obligations = pii(PiiMode.REDACT, restores=True)
        call = await asked(FakeScreener(), Operation.CHAT_COMPLETIONS, body, obligations, OPENAI)
        seen = json.loads(call.sent)["messages"][0]["content"]
        answer = await call.whole(openai_answer(seen))
        assert text_of(Operation.CHAT_COMPLETIONS, answer) == said

    asyncio.run(there_and_back())


def test_claudes_own_stream_is_screened_for_a_client_of_claudes() -> None:
    async def both() -> None:
        obligations = pii(PiiMode.OFF, PiiMode.REDACT)
        call = await asked(
            FakeScreener(),
            Operation.MESSAGES,
            body_of(Operation.MESSAGES, "hello"),
            obligations,
            CLAUDE,
        )
        stream = b"".join(_claudes("Write to anna@", "example.org now."))
        got = answer_in(Operation.MESSAGES, b"".join(await call.streamed([stream])))
        assert text_of(Operation.MESSAGES, got) == "Write to <EMAIL_ADDRESS_1> now."
        assert got["usage"]["output_tokens"] == 3
        assert got["stop_reason"] == "end_turn"

    asyncio.run(both())


def _claudes(*words: str) -> list[bytes]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [],
               "model": "claude", "stop_reason": None,
               "usage": {"input_tokens": 12, "output_tokens": 1}}  # fmt: skip
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0,
             "delta": {"type": "text_delta", "text": word}}
            for word in words
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
         "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]  # fmt: skip
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
