"""What must hold for Gemini's format whatever is said; cuts and nonsense: `test_translation.py`."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.chunk import fold
from llm_core.chat.request import ChatRequest
from llm_core.providers.gemini import GeminiTranslator

# Machines that build are shared: how long one example takes says nothing.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(min_size=1, max_size=20)
signatures = st.sampled_from(["QQ==", "Qg=="])
said = st.builds(lambda text: {"text": text}, texts)
thoughts = st.builds(lambda text: {"text": text, "thought": True}, texts)
signed = st.builds(lambda text, mark: {"text": text, "thoughtSignature": mark}, texts, signatures)
calls = st.builds(
    lambda id_, args, mark: {
        "functionCall": {"name": "f", "args": args, **({"id": id_} if id_ else {})},
        **({"thoughtSignature": mark} if mark else {}),
    },
    st.none() | st.uuids().map(str),
    st.dictionaries(texts, st.integers(-(2**53), 2**53) | texts | st.booleans(), max_size=3),
    st.none() | signatures,
)
contents = st.lists(said | thoughts | signed | calls, min_size=1, max_size=6)
usages = st.fixed_dictionaries(
    {"promptTokenCount": st.integers(1, 10**6), "candidatesTokenCount": st.integers(1, 10**6)},
    optional={
        "thoughtsTokenCount": st.integers(1, 10**6),
        "cachedContentTokenCount": st.integers(1, 10**6),
    },
)


def hello(**more: Any) -> ChatRequest:
    return ChatRequest(
        fields={"model": "m", "messages": [{"role": "user", "content": "hi"}], **more}
    )


@unhurried
@given(
    candidates=st.lists(contents, min_size=1, max_size=3),
    reason=st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "OTHER"]),
    usage=usages,
)
def test_a_streamed_answer_adds_up_to_the_whole_one(
    candidates: list[list[dict[str, Any]]], reason: str, usage: dict[str, int]
):
    envelope = {"responseId": "r1", "modelVersion": "gemini-3.5-flash-001"}
    whole = {
        "candidates": [
            {"content": {"parts": parts}, "finishReason": reason, "index": index}
            for index, parts in enumerate(candidates)
        ],
        "usageMetadata": usage,
        **envelope,
    }
    events = []
    for index, parts in enumerate(candidates):
        for place, part in enumerate(parts):
            one: dict[str, Any] = {"content": {"parts": [part]}, "index": index}
            if place == len(parts) - 1:
                one["finishReason"] = reason
            events.append({"candidates": [one], "usageMetadata": usage, **envelope})
    stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    translator = GeminiTranslator()
    expected = translator.response(json.dumps(whole).encode())
    reader = translator.stream(hello(n=len(candidates)))
    chunks = [*reader.feed(stream), *reader.finish()]
    assert fold(chunks) == expected.body
    assert reader.usage == expected.usage
    assert reader.served_model == expected.served_model
    assert reader.is_complete


@unhurried
@given(parts=st.lists(calls, min_size=1, max_size=3), results=st.lists(texts, min_size=3))
def test_calls_come_back_as_they_went_with_their_signatures(
    parts: list[dict[str, Any]], results: list[str]
):
    """A client that appends the answer's message to its history loses nothing."""
    translator = GeminiTranslator()
    body = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    message = translator.response(json.dumps(body).encode()).body["choices"][0]["message"]
    made = message["tool_calls"]
    history = [
        {"role": "user", "content": "hi"},
        message,
        *(
            {"role": "tool", "tool_call_id": call["id"], "content": text}
            for call, text in zip(made, results, strict=False)
        ),
    ]
    deployment = Deployment(
        id="d", provider=ProviderKind.GEMINI, model="gemini-2.5-flash", base_url="https://x"
    )
    request = translator.request(hello(messages=history), deployment)
    sent = json.loads(request.body)["contents"]
    for part, call, back in zip(parts, made, sent[1]["parts"], strict=True):
        expected = {**part, "functionCall": {**part["functionCall"], "id": call["id"]}}
        assert back == expected
    assert len(sent[2]["parts"]) == len(parts)
