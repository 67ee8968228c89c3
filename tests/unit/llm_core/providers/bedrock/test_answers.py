"""Whole answers, errors and embeddings."""

import json
from typing import Any

import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.errors import ProviderUnavailable, UnsupportedParameter
from llm_core.providers.bedrock import BedrockEmbeddingsTranslator, BedrockTranslator
from llm_core.tokens.usage import TokenUsage

TITAN = "amazon.titan-embed-text-v2:0"
COHERE = "cohere.embed-v4:0"


def answered(*content: Any, **more: Any) -> dict[str, Any]:
    body = {"output": {"message": {"role": "assistant", "content": list(content)}}, **more}
    return BedrockTranslator().response(json.dumps(body).encode()).body["choices"][0]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_why_an_answer_ended(reason: str | None, told: str):
    assert answered({"text": "a"}, stopReason=reason)["finish_reason"] == told


def test_an_answer_that_broke_does_not_pass_for_one_that_says_nothing():
    broken = answered(stopReason="malformed_tool_use")
    assert broken["finish_reason"] == "stop"
    sentence = "Amazon Bedrock stopped this answer: malformed_tool_use."
    assert broken["message"]["refusal"] == sentence
    assert answered({"text": "a"}, stopReason="end_turn")["message"]["refusal"] is None


def test_unknown_blocks_are_passed_over_and_cited_text_is_text():
    message = answered(
        {"citationsContent": {"content": [{"text": "a"}, 7], "citations": []}},
        {"somethingNew": {}},
        {"text": "b"},
        3,
        {"citationsContent": {"content": 3}},
    )["message"]
    assert message["content"] == "ab"


def test_reasoning_without_a_signature_is_shown_and_not_kept():
    message = answered({"reasoningContent": {"reasoningText": {"text": "hm"}}})["message"]
    assert message["reasoning_content"] == "hm"
    assert "thinking_blocks" not in message


def test_the_router_s_choice_is_the_served_model():
    body = {
        "output": {"message": {"content": [{"text": "a"}]}},
        "trace": {"promptRouter": {"invokedModelId": "anthropic.claude-x"}},
    }
    assert BedrockTranslator().response(json.dumps(body).encode()).served_model == (
        "anthropic.claude-x"
    )


def test_an_answer_without_usage_reports_none():
    body = {"output": {"message": {"content": []}}, "usage": 7}
    assert BedrockTranslator().response(json.dumps(body).encode()).usage == TokenUsage()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"output": {"message": {"content": 1}}}'])
def test_what_is_no_answer_is_the_provider_s_failure(body: bytes):
    with pytest.raises(ProviderUnavailable):
        BedrockTranslator().response(body)


@pytest.mark.parametrize(
    ("status", "kind", "told", "code"),
    [
        (429, "ThrottlingException:http://internal/", 429, "rate_limit_exceeded"),
        (400, "ValidationException", 400, "ValidationException"),
        (400, "com.amazon.coral.service#ValidationException", 400, "ValidationException"),
        (408, "ModelTimeoutException", 504, "provider_timeout"),
        (424, "ModelErrorException", 502, "provider_error"),
        (429, "ModelNotReadyException", 503, "provider_overloaded"),
        (400, "ServiceQuotaExceededException", 503, "provider_quota_exhausted"),
        (403, "AccessDeniedException", 502, "provider_authentication_failed"),
        (400, "IncompleteSignatureException", 502, "provider_authentication_failed"),
        (403, "InvalidSignatureException", 502, "provider_authentication_failed"),
        (404, "ResourceNotFoundException", 502, "provider_model_not_found"),
        (500, "InternalServerException", 500, "provider_error"),
        (503, "ServiceUnavailableException", 503, "provider_overloaded"),
        (418, "", 502, "provider_error"),
    ],
)
def test_errors_by_status_and_kind(status: int, kind: str, told: int, code: str):
    body = json.dumps({"message": "the Authorization header 'AWS4-HMAC ... x'"}).encode()
    for headers, sent in (
        ({"X-Amzn-ErrorType": kind}, body),
        ({}, json.dumps({"__type": kind, "message": "m"}).encode()),
    ):
        failure = BedrockTranslator().failure(status, headers, sent)
        assert failure.http_status == told
        assert failure.provider_code == code
        if code != "ValidationException":
            assert "Authorization" not in failure.public_message


def test_a_model_that_aws_does_not_know_is_our_catalogue_s_fault():
    body = b'{"message": "Invocation of model ID x with on-demand throughput is not supported."}'
    headers = {"x-amzn-errortype": "ValidationException"}
    failure = BedrockTranslator().failure(400, headers, body)
    assert failure.provider_code == "provider_model_not_found"
    assert "on-demand" not in failure.public_message


# --- embeddings -----------------------------------------------------------------------------------


def embed(model: str, given: Any = "a", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    request = EmbeddingsRequest.parse(json.dumps({"model": "m", "input": given, **fields}).encode())
    deployment = Deployment(
        id="d", provider=ProviderKind.BEDROCK, model=model, base_url="https://x"
    )
    sent = BedrockEmbeddingsTranslator().request(request, deployment)
    assert sent.url.endswith("%3A0/invoke") or "%3A" not in sent.url
    return json.loads(sent.body), sent.dropped_params


def test_each_maker_has_a_format_of_its_own():
    assert embed(TITAN, dimensions=256, normalize=False, user="u") == (
        {"inputText": "a", "dimensions": 256, "normalize": False},
        ("user",),
    )
    assert embed(COHERE, ["a", "b"], dimensions=256, input_type="search_query") == (
        {
            "texts": ["a", "b"],
            "input_type": "search_query",
            "embedding_types": ["float"],
            "output_dimension": 256,
        },
        (),
    )
    assert embed("cohere.embed-multilingual-v3")[0]["input_type"] == "search_document"


@pytest.mark.parametrize(
    ("model", "given", "fields", "param"),
    [
        (TITAN, ["a", "b"], {}, "input"),
        (TITAN, [1, 2], {}, "input"),
        (COHERE, ["a"] * 97, {}, "input"),
        ("amazon.titan-embed-text-v1", "a", {"dimensions": 256}, "dimensions"),
        ("cohere.embed-english-v3", "a", {"dimensions": 256}, "dimensions"),
        ("twelvelabs.marengo", "a", {}, "model"),
    ],
)
def test_what_an_embedding_model_cannot_do_is_refused_by_name(
    model: str, given: Any, fields: dict[str, Any], param: str
):
    with pytest.raises(UnsupportedParameter) as refusal:
        embed(model, given, **fields)
    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        (
            {"embedding": [0.5, 1], "inputTextTokenCount": 3},
            TokenUsage(input_tokens=3, output_tokens=0),
        ),
        ({"embeddings": {"float": [[0.5, 1]]}}, TokenUsage()),
        ({"embeddings": [[0.5, 1]]}, TokenUsage()),
    ],
)
def test_vectors_are_read_from_every_form(answer: dict[str, Any], usage: TokenUsage):
    request = EmbeddingsRequest.parse(b'{"model": "m", "input": "a"}')
    translated = BedrockEmbeddingsTranslator().response(json.dumps(answer).encode(), request)
    assert translated.body["data"][0]["embedding"] == [0.5, 1]
    assert translated.usage == usage


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b'{"embedding": ["a"]}', b'{"embeddings": [1]}', b'{"embeddings": [[1], [2]]}'],
)
def test_what_is_no_embedding_is_the_provider_s_failure(answer: bytes):
    request = EmbeddingsRequest.parse(b'{"model": "m", "input": "a"}')
    with pytest.raises(ProviderUnavailable):
        BedrockEmbeddingsTranslator().response(answer, request)
