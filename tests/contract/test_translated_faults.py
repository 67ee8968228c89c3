"""Every fault of the Mistral and Cohere stand-ins, read by the translator as what it is."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import ProviderError
from llm_core.providers.registry import translator_for
from sandbox.server import running

KEY = "sk-sandbox-test"
PATHS = {ProviderKind.MISTRAL: "/mistral/v1", ProviderKind.COHERE: "/cohere"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running() as url:
        yield url


def ask(url: str, kind: ProviderKind, **fields: Any) -> tuple[ChatRequest, httpx.Response]:
    body = {"model": "m", "messages": [{"role": "user", "content": "rivers"}], **fields}
    request = ChatRequest.parse(json.dumps(body).encode())
    deployment = Deployment(
        id="d", provider=kind, model=body["model"], base_url=f"{url}{PATHS[kind]}"
    )
    translator = translator_for(kind)
    sent = translator.request(request, deployment)
    headers = {**sent.headers, **translator.credential_headers(KEY)}
    with httpx.Client() as client:
        return request, client.post(sent.url, content=sent.body, headers=headers)


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize(("fault", "status"), [("429-3", 429), ("500", 500), ("503", 503)])
def test_an_error_on_demand_is_read_by_its_status(
    url: str, kind: ProviderKind, fault: str, status: int
):
    _, answer = ask(url, kind, model=f"m--fault-{fault}")
    failure = translator_for(kind).failure(answer.status_code, answer.headers, answer.content)
    assert failure.http_status == status
    assert failure.retry_after_s == (3 if status == 429 else None)


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("fault", ["error_mid_stream", "malformed_json"])
def test_a_broken_stream_gives_what_came_and_then_the_failure(
    url: str, kind: ProviderKind, fault: str
):
    request, answer = ask(url, kind, model=f"m--fault-{fault}", stream=True)
    reader = translator_for(kind).stream(request)
    assert reader.feed(answer.content)
    with pytest.raises(ProviderError):
        reader.finish()
    assert not reader.is_complete


@pytest.mark.parametrize("kind", PATHS)
def test_a_stream_without_usage_is_complete_and_reports_none(url: str, kind: ProviderKind):
    request, answer = ask(url, kind, model="m--fault-no_usage", stream=True)
    reader = translator_for(kind).stream(request)
    chunks = [*reader.feed(answer.content), *reader.finish()]
    assert reader.is_complete
    assert not reader.usage.is_reported
    assert all(chunk["choices"] for chunk in chunks)


@pytest.mark.parametrize("kind", PATHS)
def test_a_wrong_key_is_our_fault_and_an_unknown_model_our_catalogues(url: str, kind: ProviderKind):
    _, answer = ask(url, kind, model="no-such-model")
    failure = translator_for(kind).failure(answer.status_code, answer.headers, answer.content)
    assert failure.provider_code == "provider_model_not_found"
    with httpx.Client() as client:
        path = "/chat/completions" if kind is ProviderKind.MISTRAL else "/v2/chat"
        refused = client.post(f"{url}{PATHS[kind]}{path}", json={})
    failure = translator_for(kind).failure(refused.status_code, {}, refused.content)
    assert failure.provider_code == "provider_authentication_failed"
