import json
from typing import Any

import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import ProviderError, ProviderUnavailable, UnsupportedParameter
from llm_core.providers.registry import translator_for
from llm_core.providers.translator import ProviderRequest
from llm_core.sse import DONE, encode_event
from llm_core.tokens.usage import TokenUsage

OPENAI = translator_for(ProviderKind.OPENAI)
OPENAI_FORMAT = [
    ProviderKind.OPENAI,
    ProviderKind.AZURE_OPENAI,
    ProviderKind.OPENAI_COMPATIBLE,
]
ON_OPENAIS_PLATFORM = [ProviderKind.OPENAI, ProviderKind.AZURE_OPENAI]


def deployment(kind: ProviderKind = ProviderKind.OPENAI, **facts: object) -> Deployment:
    defaults = {"id": "d", "provider": kind, "model": "routed", "base_url": "https://api.test/v1"}
    return Deployment(**{**defaults, **facts})


def request(**fields: object) -> ChatRequest:
    messages = [{"role": "user", "content": "hi"}]
    return ChatRequest.parse(json.dumps({"model": "a", "messages": messages, **fields}).encode())


def sent(kind: ProviderKind, **fields: object) -> tuple[ProviderRequest, dict[str, Any]]:
    built = translator_for(kind).request(request(**fields), deployment(kind))
    return built, json.loads(built.body)


def event(**fields: object) -> bytes:
    return encode_event(json.dumps(fields).encode())


def test_the_request_goes_on_with_the_routed_model_and_unknown_fields():
    built, body = sent(ProviderKind.OPENAI, brand_new={"x": 1}, temperature=2)
    assert built.url == "https://api.test/v1/chat/completions"
    assert body == {**request(brand_new={"x": 1}, temperature=2).fields, "model": "routed"}
    assert built.dropped_params == ()


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
def test_usage_is_always_asked_for_in_a_stream_and_other_options_are_kept(kind: ProviderKind):
    _, body = sent(kind, stream=True, stream_options={"include_obfuscation": False})
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    _, body = sent(kind, stream=True, stream_options={"include_usage": False})
    assert body["stream_options"] == {"include_usage": True}
    _, body = sent(kind)
    assert "stream_options" not in body


@pytest.mark.parametrize(
    ("kind", "asked", "told"),
    [
        (ProviderKind.OPENAI, {"max_tokens": 5}, {"max_completion_tokens": 5}),
        (
            ProviderKind.OPENAI,
            {"max_tokens": 9, "max_completion_tokens": 5},
            {"max_completion_tokens": 5},
        ),
        (ProviderKind.AZURE_OPENAI, {"max_tokens": 5}, {"max_tokens": 5}),
        (ProviderKind.OPENAI_COMPATIBLE, {"max_completion_tokens": 5}, {"max_tokens": 5}),
        (ProviderKind.OPENAI_COMPATIBLE, {"max_tokens": 5}, {"max_tokens": 5}),
    ],
)
def test_the_longest_answer_goes_by_the_name_that_the_provider_knows(
    kind: ProviderKind, asked: dict[str, int], told: dict[str, int]
):
    _, body = sent(kind, **asked)
    assert {name: value for name, value in body.items() if name.startswith("max_")} == told


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        (ProviderKind.OPENAI, {"authorization": "Bearer s3cret"}),
        (ProviderKind.OPENAI_COMPATIBLE, {"authorization": "Bearer s3cret"}),
        (ProviderKind.AZURE_OPENAI, {"api-key": "s3cret"}),
        (ProviderKind.ANTHROPIC, {"x-api-key": "s3cret"}),
    ],
)
def test_each_provider_wants_its_credential_in_its_own_header(
    kind: ProviderKind, headers: dict[str, str]
):
    assert translator_for(kind).credential_headers("s3cret") == headers


def test_azure_has_the_deployment_and_the_version_in_its_address():
    at = deployment(
        ProviderKind.AZURE_OPENAI,
        base_url="https://r.openai.azure.com",
        model="a b/c",
        api_version="2025-04-01-preview",
    )
    built = translator_for(ProviderKind.AZURE_OPENAI).request(request(), at)
    assert built.url == (
        "https://r.openai.azure.com/openai/deployments/a%20b%2Fc/chat/completions"
        "?api-version=2025-04-01-preview"
    )


def test_a_compatible_server_is_spared_what_only_openais_platform_knows():
    built, body = sent(
        ProviderKind.OPENAI_COMPATIBLE,
        store=True,
        service_tier="flex",
        seed=1,
        messages=[{"role": "developer", "content": "x"}, {"role": "user", "content": "y"}],
    )
    assert built.dropped_params == ("store", "service_tier")
    assert body["seed"] == 1
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
@pytest.mark.parametrize(
    "name",
    [
        *("models", "route", "provider", "plugins", "fallbacks", "transforms"),
        *("api_base", "api_key", "base_url", "extra_body", "chat_template"),
        *("search_parameters", "web_search_options", "data_sources", "best_of", "n_predict"),
    ],
)
def test_what_policy_decides_is_not_the_callers_to_choose(kind: ProviderKind, name: str):
    for value in ("x", {}, [], 2, False):
        with pytest.raises(UnsupportedParameter, match=f"'{name}'") as refusal:
            sent(kind, **{name: value})
        assert refusal.value.param == name
    _, body = sent(kind, **{name: None})
    assert body["model"] == "routed"


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
@pytest.mark.parametrize("name", ["Model", "MODELS", "Max_Tokens", "N", "\u017ftream", "Store"])
def test_a_servers_leniency_about_case_is_no_way_around(kind: ProviderKind, name: str):
    """Go's decoder reads `Model` as `model`, and even the long s as an s."""
    with pytest.raises(UnsupportedParameter) as refusal:
        sent(kind, **{name: "x"})
    assert refusal.value.param == name


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
def test_tools_that_run_at_the_provider_are_refused(kind: ProviderKind):
    own = [
        {"type": "function", "function": {"name": "f"}},
        {"type": "custom", "custom": {"name": "g"}},
    ]
    _, body = sent(kind, tools=own)
    assert body["tools"] == own
    with pytest.raises(UnsupportedParameter) as refusal:
        sent(kind, tools=[*own, {"type": "web_search"}])
    assert refusal.value.param == "tools[2].type"


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
def test_no_other_tier_is_paid_for(kind: ProviderKind):
    """Prices are the standard tier's; a compatible server is not told of a tier at all."""
    for tier in ("priority", "flex", ["priority"]):
        if kind in ON_OPENAIS_PLATFORM:
            with pytest.raises(UnsupportedParameter) as refusal:
                sent(kind, service_tier=tier)
            assert refusal.value.param == "service_tier"
        else:
            built, body = sent(kind, service_tier=tier)
            assert "service_tier" not in body
            assert built.dropped_params == ("service_tier",)
    for tier in ("auto", "default", None):
        sent(kind, service_tier=tier)


@pytest.mark.parametrize("kind", ON_OPENAIS_PLATFORM)
def test_no_provider_keeps_prompts(kind: ProviderKind):
    for value in (True, "true", 1):
        with pytest.raises(UnsupportedParameter) as refusal:
            sent(kind, store=value)
        assert refusal.value.param == "store"
    for value in (False, None):
        _, body = sent(kind, store=value)
        assert not body["store"]


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
def test_a_prediction_goes_to_servers_that_take_it_with_a_length(kind: ProviderKind):
    prediction = {"type": "content", "content": "x"}
    if kind in ON_OPENAIS_PLATFORM:
        with pytest.raises(UnsupportedParameter) as refusal:
            sent(kind, prediction=prediction)
        assert refusal.value.param == "prediction"
    else:
        assert sent(kind, prediction=prediction)[1]["prediction"] == prediction


@pytest.mark.parametrize("junk", [b"", b"<html>", b"[]", b"{}", b'{"choices": null}', b"\xff"])
def test_an_answer_that_is_none_is_the_providers_failure(junk: bytes):
    with pytest.raises(ProviderUnavailable):
        OPENAI.response(junk)


def test_an_answer_without_usage_reports_none():
    translated = OPENAI.response(b'{"choices": [], "model": "gpt-x", "usage": null}')
    assert translated.usage == TokenUsage()
    assert translated.served_model == "gpt-x"


def test_usage_in_the_chunk_with_the_finish_reason_moves_to_a_last_chunk_of_its_own():
    reader = OPENAI.stream(request(stream=True))
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks = [*reader.feed(event(id="1", model="m", choices=[choice], usage=usage))]
    assert [("usage" in chunk, len(chunk["choices"])) for chunk in chunks] == [(False, 1)]
    last = [*reader.feed(DONE), *reader.finish()]
    assert [(chunk["usage"], chunk["choices"]) for chunk in last] == [(usage, [])]
    assert reader.usage == TokenUsage(input_tokens=3, output_tokens=2)


def test_a_stream_is_complete_when_it_says_so_or_every_choice_has_a_reason():
    def reader_after(*parts: bytes, **fields: object) -> bool:
        reader = OPENAI.stream(request(stream=True, **fields))
        for part in parts:
            reader.feed(part)
        reader.finish()
        return reader.is_complete

    def stop(index: int) -> bytes:
        return event(choices=[{"index": index, "delta": {}, "finish_reason": "stop"}])

    text = event(choices=[{"index": 0, "delta": {"content": "a"}}])
    assert not reader_after(text)
    assert reader_after(text, DONE)
    assert reader_after(text, stop(0))
    assert not reader_after(text, stop(0), n=2)
    assert reader_after(text, stop(0), stop(1), n=2)


def test_chunks_before_an_error_are_given_before_the_error_is_raised():
    """Otherwise the network's packets would decide how much of an answer a client gets."""
    text = event(choices=[{"index": 0, "delta": {"content": "a"}}])
    error = event(error={"message": "busy", "type": "rate_limit_error", "code": None})
    reader = OPENAI.stream(request(stream=True))
    assert len(reader.feed(text + error + text)) == 1
    with pytest.raises(ProviderError) as failure:
        reader.feed(text)
    assert failure.value.http_status == 429
    assert not reader.is_complete


@pytest.mark.parametrize("junk", [b"data: {\n\n", b"data: 1\n\n", b'data: {"choices": 1}\n\n'])
def test_nonsense_in_a_stream_is_the_providers_failure(junk: bytes):
    with pytest.raises(ProviderUnavailable):
        OPENAI.stream(request(stream=True)).feed(junk)


def test_an_event_that_was_cut_off_is_no_failure_but_leaves_the_stream_incomplete():
    reader = OPENAI.stream(request(stream=True))
    whole = event(choices=[{"index": 0, "delta": {"content": "a"}}])
    assert len(reader.feed(whole + b'data: {"choices": [{"ind')) == 1
    assert reader.finish() == []
    assert not reader.is_complete


def test_what_comes_after_done_is_not_read():
    reader = OPENAI.stream(request(stream=True))
    assert reader.feed(DONE + b"data: {\n\n") == []
    assert reader.is_complete
