import json

import pytest

from llm_core.catalogue import ProviderKind
from llm_core.providers.failures import retry_after_s
from llm_core.providers.registry import translator_for

KINDS = list(ProviderKind)


def body(**error: object) -> bytes:
    return json.dumps({"type": "error", "error": {"message": "the sentence", **error}}).encode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "answered", "code"),
    [
        (401, 502, "provider_authentication_failed"),
        (402, 503, "provider_quota_exhausted"),
        (403, 502, "provider_authentication_failed"),
        (404, 502, "provider_model_not_found"),
        (408, 504, "provider_timeout"),
        (429, 429, "rate_limit_exceeded"),
        (500, 500, "provider_error"),
        (502, 502, "provider_error"),
        (503, 503, "provider_overloaded"),
        (504, 504, "provider_timeout"),
        (529, 503, "provider_overloaded"),
        (302, 502, "provider_error"),
        (418, 502, "provider_error"),
        (999, 502, "provider_error"),
    ],
)
def test_a_status_is_answered_as_the_table_says(
    kind: ProviderKind, status: int, answered: int, code: str
):
    failure = translator_for(kind).failure(status, {}, body())
    assert (failure.http_status, failure.provider_code) == (answered, code)
    assert "the sentence" not in failure.public_message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_fault_of_the_caller_is_passed_on_with_the_providers_sentence(
    kind: ProviderKind, status: int
):
    failure = translator_for(kind).failure(status, {}, body())
    assert failure.http_status == status
    assert failure.public_message.endswith(": the sentence")
    assert failure.provider_type == "invalid_request_error"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("junk", [b"", b"<html>", b"[]", b"null", b'{"error": 1}', b"\xff", b"{"])
def test_an_error_without_a_body_we_know_is_still_an_error(kind: ProviderKind, junk: bytes):
    assert translator_for(kind).failure(400, {}, junk).http_status == 400
    assert translator_for(kind).failure(500, {}, junk).http_status == 500


def test_a_quota_that_is_used_up_is_ours_and_not_a_rate_limit():
    """As a 429 the caller's SDK would retry, and the caller would look for a budget of theirs."""
    failure = translator_for(ProviderKind.OPENAI).failure(
        429, {"retry-after": "9"}, body(code="insufficient_quota")
    )
    assert (failure.http_status, failure.provider_code) == (503, "provider_quota_exhausted")
    assert failure.retry_after_s is None


def test_nothing_that_looks_like_a_key_is_shown():
    sentence = "Bad key sk-ant-REDACTED and Bearer abc.def in 'x'."
    failure = translator_for(ProviderKind.OPENAI).failure(400, {}, body(message=sentence))
    assert failure.public_message == "OpenAI: Bad key [redacted] and [redacted] in 'x'."


@pytest.mark.parametrize("key", ["0123456789abcdef" * 2, "0123456789ABCDEF" * 4, "aZ9" * 28])
def test_a_bare_key_as_azure_has_them_is_not_shown(key: str):
    sentence = f"The key {key} is not valid for gpt-4o-mini-2024-07-18."
    failure = translator_for(ProviderKind.AZURE_OPENAI).failure(400, {}, body(message=sentence))
    assert failure.public_message == (
        "Azure OpenAI: The key [redacted] is not valid for gpt-4o-mini-2024-07-18."
    )


@pytest.mark.parametrize(
    "key",
    [
        "AIzaSyA-0123456789_abcdefghijklmnopqrstu",
        "ya29.a0AfH6SMBx-0123",
        "AKIAIOSFODNN7EXAMPLE",
        "ABSKQmVkcm9ja0FQSUtleS1hYmM=",
        "gsk_abcdefghijklmnop",
        "xai-abcdefghijklmnop",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln",
    ],
)
def test_a_key_as_other_vendors_have_them_is_not_shown(key: str):
    sentence = f"The key {key} does not fit xai/grok-4."
    failure = translator_for(ProviderKind.OPENAI).failure(400, {}, body(message=sentence))
    assert failure.public_message == "OpenAI: The key [redacted] does not fit xai/grok-4."


def test_a_long_sentence_is_cut():
    failure = translator_for(ProviderKind.OPENAI).failure(400, {}, body(message="long " * 10_000))
    assert len(failure.public_message) < 520


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "6500", "retry-after": "7"}, 6.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT"}, None),
        (
            {
                "retry-after": "Fri, 20 Nov 2026 10:00:30 GMT",
                "date": "Fri, 20 Nov 2026 10:00:00 GMT",
            },
            30.0,
        ),
        (
            {
                "retry-after": "Fri, 20 Nov 2026 10:00:00 GMT",
                "date": "Fri, 20 Nov 2026 10:00:30 GMT",
            },
            0.0,
        ),
    ],
)
def test_the_wish_to_be_left_alone_is_read_in_all_its_forms(
    headers: dict[str, str], seconds: float | None
):
    assert retry_after_s(headers) == seconds


@pytest.mark.parametrize(
    "sent",
    [
        b'{"error": "model \'x\' is too small"}',
        b'{"object": "error", "message": "model \'x\' is too small", "code": 400}',
        b'{"message": "model \'x\' is too small"}',
    ],
)
def test_errors_of_servers_that_imitate_openai_are_read(sent: bytes):
    failure = translator_for(ProviderKind.OPENAI_COMPATIBLE).failure(400, {}, sent)
    assert failure.public_message == "The model server: model 'x' is too small"
