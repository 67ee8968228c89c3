"""What is refused is refused as the SDK's own exception, and reaches no provider."""

import json
from typing import Any

import httpx
import openai
import pytest

from tests.fixtures.gateway import Gateway

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


def ask(gateway: Gateway, key: str, model: str = "gpt-4o-mini", **more: Any) -> Any:
    return gateway.client(key).chat.completions.create(model=model, messages=HELLO, **more)


@pytest.mark.e2e
def test_a_wrong_key_is_401(gateway: Gateway) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        ask(gateway, "gk-nobody-has-this-key")
    assert refused.value.code == "invalid_api_key"
    assert gateway.calls() == []


@pytest.mark.e2e
def test_no_key_at_all_is_401(gateway: Gateway) -> None:
    answer = httpx.post(f"{gateway.gateway_url}/v1/chat/completions", content=b"{}")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.e2e
@pytest.mark.parametrize("is_streaming", [False, True])
def test_a_model_that_is_not_allowed_is_403_with_reason_codes(
    gateway: Gateway, is_streaming: bool
) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        ask(gateway, "narrow", "claude-sonnet-4-5", stream=is_streaming)
    assert refused.value.code == "policy_denied"
    body = refused.value.body
    assert isinstance(body, dict)
    assert [reason["code"] for reason in body["reasons"]] == ["model_not_allowed"]
    assert gateway.calls() == []


@pytest.mark.e2e
def test_an_unknown_model_is_404(gateway: Gateway) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        ask(gateway, "team", "no-such-model")
    assert refused.value.code == "model_not_found"
    assert refused.value.param == "model"


@pytest.mark.e2e
def test_over_the_rate_limit_is_429_with_retry_after(gateway: Gateway) -> None:
    refusals = []
    for _ in range(4):
        try:
            ask(gateway, "slow")
        except openai.RateLimitError as refused:
            refusals.append(refused)
    assert refusals
    assert refusals[0].code == "rate_limit_exceeded"
    assert 1 <= int(refusals[0].response.headers["retry-after"]) <= 61
    assert len(gateway.calls()) == 4 - len(refusals)


@pytest.mark.e2e
def test_over_the_budget_is_429_that_the_sdk_does_not_retry(gateway: Gateway) -> None:
    client = gateway.client("poor").with_options(max_retries=3)
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    assert refused.value.code == "insufficient_quota"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert gateway.calls() == []


@pytest.mark.e2e
def test_a_model_without_a_price_is_refused(gateway: Gateway) -> None:
    with pytest.raises(openai.InternalServerError) as refused:
        ask(gateway, "team", "unpriced")
    assert refused.value.status_code == 503
    assert refused.value.code == "unpriced_model"
    assert gateway.calls() == []


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"\xff\xfe{}", None),
        (b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "\xff"}]}', None),
        (b"[" * 100_000, None),
        (b"[]", None),
        (b'{"messages": []}', "model"),
        (b'{"model": "gpt-4o-mini", "messages": []}', "messages"),
        (
            json.dumps({"model": "gpt-4o-mini", "messages": HELLO, "max_tokens": -1}).encode(),
            "max_tokens",
        ),
    ],
    ids=["empty", "cut", "bom", "utf8", "deep", "list", "no-model", "no-messages", "max-tokens"],
)
def test_a_malformed_body_is_400_and_says_what_is_wrong(
    gateway: Gateway, body: bytes, param: str | None
) -> None:
    answer = gateway.post(body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert error["message"]
    assert gateway.calls() == []


@pytest.mark.e2e
def test_the_content_type_does_not_matter(gateway: Gateway) -> None:
    """Kong's ai-proxy lets a request without Content-Type pass its model lock (Kong#14536)."""
    denied = json.dumps({"model": "claude-sonnet-4-5", "messages": HELLO}).encode()
    allowed = json.dumps({"model": "gpt-4o-mini", "messages": HELLO}).encode()
    for kind in ("", "text/plain", "multipart/form-data; boundary=x"):
        headers = {"content-type": kind} if kind else {}
        assert gateway.post(denied, "narrow", **headers).status_code == 403
        assert gateway.post(allowed, "narrow", **headers).status_code == 200


@pytest.mark.e2e
def test_a_long_body_is_served_and_a_too_long_one_is_413(gateway: Gateway) -> None:
    words = "harbour " * (5 * 1024 * 1024 // 8)
    long = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": words}]}
    assert gateway.post(json.dumps(long).encode()).status_code == 200
    long["messages"][0]["content"] = words * 4  # type: ignore[index]
    answer = gateway.post(json.dumps(long).encode())
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"


@pytest.mark.e2e
def test_absurd_max_tokens_are_capped_at_what_the_model_can(gateway: Gateway) -> None:
    ask(gateway, "team", max_completion_tokens=2_000_000_000)
    [call] = gateway.calls()
    assert call["parameters"]["max_completion_tokens"] == 4096


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("alias", "status", "kind", "is_streaming"),
    [
        *(
            (*failure, is_streaming)
            for is_streaming in (False, True)
            for failure in (
                ("rate-limited", 429, openai.RateLimitError),
                ("broken", 500, openai.InternalServerError),
                ("overloaded", 503, openai.InternalServerError),
                ("unreachable", 502, openai.InternalServerError),
            )
        ),
        ("nonsense", 502, openai.InternalServerError, False),
    ],
)
def test_a_providers_failure_is_the_sdks_own_exception(
    gateway: Gateway,
    alias: str,
    status: int,
    kind: type[openai.APIStatusError],
    is_streaming: bool,
) -> None:
    with pytest.raises(kind) as failed:
        ask(gateway, "team", alias, stream=is_streaming)
    assert failed.value.status_code == status
    headers = failed.value.response.headers
    if alias != "unreachable" or is_streaming:  # Kong itself answers a direct call it cannot make
        assert gateway.row(headers["x-gatehouse-decision-id"])["http_status"] == status
    if alias == "rate-limited":
        assert headers["retry-after"] == "7"


@pytest.mark.e2e
@pytest.mark.parametrize("alias", ["cut-off", "nonsense"])
def test_a_stream_that_breaks_ends_with_an_error_event(gateway: Gateway, alias: str) -> None:
    stream = ask(gateway, "team", alias, stream=True)
    with pytest.raises(openai.APIError) as failed:
        list(stream)
    assert failed.value.code == "provider_unavailable"


@pytest.mark.e2e
def test_only_harmless_headers_reach_a_provider(gateway: Gateway) -> None:
    body = json.dumps({"model": "gpt-4o-mini", "messages": HELLO}).encode()
    strange = {"openai-organization": "evil", "x-policy-id": "off", "cookie": "a=b"}
    assert gateway.post(body, **strange, **{"user-agent": "app"}).status_code == 200
    [call] = gateway.calls()
    assert "user-agent" in call["header_names"]
    assert not strange.keys() & set(call["header_names"])


@pytest.mark.e2e
def test_a_crowd_of_headers_is_refused(gateway: Gateway) -> None:
    """Kong tells a plugin of 100 headers, and sends all of them on."""
    crowd = {f"x-filler-{number}": "x" for number in range(120)}
    answer = gateway.post(b"{}", **crowd, **{"openai-organization": "evil"})
    assert answer.status_code == 400
    assert gateway.calls() == []
