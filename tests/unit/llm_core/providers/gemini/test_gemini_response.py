import json
from typing import Any

import pytest

from llm_core.chat.chunk import fold
from llm_core.chat.request import ChatRequest
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.gemini import GeminiTranslator
from llm_core.providers.gemini.stream import GeminiStream
from llm_core.providers.gemini.usage import usage_from_gemini
from llm_core.providers.gemini.vendor import GOOGLE_AI
from llm_core.tokens.usage import TokenUsage

USAGE = {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}


def candidate(*parts: dict[str, Any], reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    finish = {"finishReason": reason} if reason else {}
    return {"content": {"role": "model", "parts": list(parts)}, **finish, **more}


def answer(*candidates: dict[str, Any], **more: Any) -> bytes:
    body = {"candidates": list(candidates), "responseId": "r", "modelVersion": "m", **more}
    return json.dumps({"usageMetadata": USAGE, **body}).encode()


def choices(*candidates: dict[str, Any]) -> list[dict[str, Any]]:
    body = GeminiTranslator().response(answer(*candidates)).body
    listed: list[dict[str, Any]] = body["choices"]
    return listed


def events(*bodies: bytes) -> bytes:
    return b"".join(b"data: " + body + b"\r\n\r\n" for body in bodies)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish_reasons(reason: str, expected: str):
    (choice,) = choices(candidate({"text": "a"}, reason=reason))
    assert choice["finish_reason"] == expected
    assert (choice["message"]["refusal"] is not None) == (expected == "content_filter")


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
def test_an_answer_that_broke_does_not_pass_for_one_that_says_nothing(reason: str):
    broken = {"content": {"role": "model"}, "finishReason": reason}
    (choice,) = choices(broken)
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["refusal"] == f"Gemini stopped this answer: {reason}."
    reader = GeminiStream(GOOGLE_AI)
    chunks = reader.feed(events(answer(broken)))
    assert chunks[-1]["choices"][0]["delta"] == {"refusal": choice["message"]["refusal"]}
    assert reader.is_complete


def test_an_answer_that_was_cut_while_calling_is_not_called_finished_by_calls():
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    assert choices(candidate(call, reason="MAX_TOKENS"))[0]["finish_reason"] == "length"
    assert choices(candidate(call))[0]["finish_reason"] == "tool_calls"


def test_googles_own_sentence_about_a_filter_is_kept():
    filtered = candidate(reason="SAFETY", finishMessage="Too rude.")
    assert choices(filtered)[0]["message"]["refusal"] == "Too rude."


def test_a_call_without_an_id_gets_one_that_no_other_answer_has():
    call = {"functionCall": {"name": "f", "args": {}}}
    first, second = choices(candidate(call, call))[0]["message"]["tool_calls"]
    assert first["id"] != second["id"]
    assert len(first["id"]) < 40
    again = GeminiTranslator().response(answer(candidate(call), responseId="other")).body
    assert again["choices"][0]["message"]["tool_calls"][0]["id"] != first["id"]


def test_signatures_are_carried_by_what_they_sign():
    message = choices(
        candidate(
            {"text": "a", "thoughtSignature": "QQ=="},
            {"functionCall": {"id": "x", "name": "f"}, "thoughtSignature": "Qg=="},
        )
    )[0]["message"]
    assert message["extra_content"] == {"google": {"thought_signature": "QQ=="}}
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "Qg=="}}


def test_probabilities_are_told_in_openais_shape():
    told = {
        "chosenCandidates": [{"token": "é", "tokenId": 3, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "e", "logProbability": -1.5}]}],
    }
    (choice,) = choices(candidate({"text": "é"}, logprobsResult=told))
    assert choice["logprobs"] == {
        "content": [
            {
                "token": "é",
                "logprob": -0.5,
                "bytes": [195, 169],
                "top_logprobs": [{"token": "e", "logprob": -1.5, "bytes": [101]}],
            }
        ],
        "refusal": None,
    }


def test_candidates_stand_in_the_order_of_their_index():
    given = choices(candidate({"text": "b"}, index=1), candidate({"text": "a"}))
    assert [(one["index"], one["message"]["content"]) for one in given] == [(0, "a"), (1, "b")]


def test_usage_is_read_in_every_bucket():
    usage = {
        "promptTokenCount": 100,
        "toolUsePromptTokenCount": 7,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 50},
            {"modality": "IMAGE", "tokenCount": 20},
            {"modality": "DOCUMENT", "tokenCount": 10},
            {"modality": "AUDIO", "tokenCount": 20},
        ],
        "toolUsePromptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
        "cacheTokensDetails": [
            {"modality": "TEXT", "tokenCount": 28},
            {"modality": "AUDIO", "tokenCount": 12},
        ],
    }
    assert usage_from_gemini(usage) == TokenUsage(
        input_tokens=107,
        cached_input_tokens=40,
        input_audio_tokens=21,
        input_image_tokens=30,
        output_tokens=50,
        reasoning_tokens=30,
        output_audio_tokens=4,
        cached_audio_tokens=12,
    )


def test_a_count_that_is_left_out_is_zero_and_no_usage_is_none():
    assert usage_from_gemini({"promptTokenCount": 3}) == TokenUsage(input_tokens=3, output_tokens=0)
    assert usage_from_gemini(None) == TokenUsage()
    assert usage_from_gemini({}) == TokenUsage()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"candidates": []}', b'{"candidates": "x"}', b"<html>"]
)
def test_what_is_no_answer_is_the_providers_fault(body: bytes):
    with pytest.raises(ProviderUnavailable):
        GeminiTranslator().response(body)


# --- Errors ---------------------------------------------------------------------------------------


def failure(status: int, error: Any, headers: dict[str, str] | None = None) -> ProviderError:
    body = json.dumps(error).encode()
    return GeminiTranslator().failure(status, headers or {}, body)


def test_a_wrong_key_is_our_fault_though_google_says_400():
    error = {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}
    assert failure(400, {"error": error}).provider_code == "provider_authentication_failed"
    error = {"status": "FAILED_PRECONDITION", "message": "User location is not supported"}
    assert failure(400, {"error": error}).provider_code == "provider_authentication_failed"


def test_an_error_before_a_stream_may_come_in_a_list():
    error = [{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Too long"}}]
    assert failure(400, error).public_message == "Gemini: Too long"


def test_the_wait_stands_in_the_details_and_the_header_wins():
    error = {"error": {"details": [{"retryDelay": "34.5s"}]}}
    assert failure(429, error).retry_after_s == 34.5
    assert failure(429, error, {"Retry-After": "2"}).retry_after_s == 2


@pytest.mark.parametrize(
    "error",
    [
        {"error": "text"},
        {"error": {"details": "x", "code": "y", "status": 5, "message": 7}},
        {"error": {"details": [1, {"reason": 3, "fieldViolations": [4], "retryDelay": 5}]}},
        {"error": {"details": [{"fieldViolations": []}]}},
        [],
        3,
    ],
)
def test_nonsense_becomes_a_plain_error_of_its_status(error: Any):
    assert failure(500, error).http_status == 500


# --- Streams --------------------------------------------------------------------------------------


def test_usage_on_the_way_is_not_believed():
    stream = GeminiStream(GOOGLE_AI)
    stream.feed(events(answer(candidate({"text": "a"}, reason=None))))
    assert stream.usage == TokenUsage(input_tokens=5)
    assert not stream.is_complete
    assert not [chunk for chunk in stream.finish() if chunk.get("usage")]


def test_usage_comes_last_whenever_the_finish_came():
    stream = GeminiStream(GOOGLE_AI)
    chunks = [*stream.feed(events(answer(candidate({"text": "a"}), usageMetadata=None)))]
    assert stream.is_complete
    chunks += stream.feed(events(answer()))
    chunks += stream.finish()
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 12


def test_a_stream_of_two_is_complete_when_both_have_finished():
    stream = GeminiStream(GOOGLE_AI, choices=2)
    stream.feed(events(answer(candidate({"text": "a"}))))
    assert not stream.is_complete
    stream.feed(events(answer(candidate({"text": "b"}, reason=None, index=1))))
    assert not stream.is_complete
    stream.feed(events(answer(candidate(index=1))))
    assert stream.is_complete


def test_a_second_finish_and_a_late_signature_do_no_harm():
    stream = GeminiStream(GOOGLE_AI)
    chunks = list(stream.feed(events(answer(candidate({"text": "a"})))))
    late = candidate({"text": "", "thoughtSignature": "QQ=="})
    chunks += stream.feed(events(answer(late)))
    folded = fold([*chunks, *stream.finish()])
    assert folded["choices"][0]["message"]["extra_content"]["google"]["thought_signature"] == "QQ=="
    finishes = [c for c in chunks if c["choices"] and c["choices"][0]["finish_reason"]]
    assert len(finishes) == 1


def test_an_error_behind_chunks_is_raised_next():
    stream = GeminiStream(GOOGLE_AI)
    error = b'{"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}'
    assert stream.feed(events(answer(candidate({"text": "a"}, reason=None)), error))
    with pytest.raises(ProviderError) as raised:
        stream.finish()
    assert raised.value.http_status == 503


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_error_in_bare_lines_is_found(size: int):
    bare = b'{\n  "error": {\n    "code": 429,\n    "status": "RESOURCE_EXHAUSTED"\n  }\n}\n'
    sent = events(answer(candidate({"text": "a"}, reason=None))) + bare
    stream = GeminiStream(GOOGLE_AI)
    for start in range(0, len(sent), size):
        stream.feed(sent[start : start + size])
    with pytest.raises(ProviderError) as raised:
        stream.finish()
    assert raised.value.http_status == 429


def test_an_event_that_is_no_json_is_the_providers_fault():
    stream = GeminiStream(GOOGLE_AI)
    with pytest.raises(ProviderUnavailable):
        stream.feed(b"data: nonsense\n\n")


def test_a_translator_reads_as_many_choices_as_were_asked_for():
    request = ChatRequest(
        fields={"model": "m", "messages": [{"role": "user", "content": "x"}], "n": 2}
    )
    stream = GeminiTranslator().stream(request)
    stream.feed(events(answer(candidate({"text": "a"}))))
    assert not stream.is_complete
