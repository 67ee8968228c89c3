"""Any JSON in the place of a request's members: put to every provider, or refused by us."""

from typing import Any
from urllib.parse import urlsplit

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from llm_core.apis.registry import read_ask
from llm_core.apis.support import SAMPLES
from llm_core.errors import ProviderError, RequestError, error_body
from llm_core.operation import OWN_OPERATIONS, Operation
from llm_core.policy.decision import Obligations
from policy_service.services.approvals import wanted_in
from tests.fixtures.fuzzing import fuzzed, json_values

ASKED = sorted(set(Operation) - OWN_OPERATIONS)
_FILLED: dict[Operation, dict[str, Any]] = {
    Operation.CHAT_COMPLETIONS: {"messages": [{"role": "user", "content": "h"}]},
    Operation.RESPONSES: {"input": "h"},
    Operation.MESSAGES: {"max_tokens": 9, "messages": [{"role": "user", "content": "h"}]},
    Operation.COMPLETIONS: {"prompt": "h"},
    Operation.EMBEDDINGS: {"input": "h"},
}
_MEMBERS = (
    *("messages", "input", "prompt", "tools", "tool_choice", "response_format", "stop", "system"),
    *("thinking", "metadata", "stream_options", "reasoning", "text", "output_config", "modalities"),
    *("max_tokens", "n", "temperature", "logit_bias", "user", "audio", "include", "dimensions"),
)
members = st.dictionaries(st.sampled_from(_MEMBERS), json_values, max_size=3)


def put_to_everybody(operation: Operation, body: bytes) -> None:
    try:
        ask = read_ask(operation, body)
        assert ask.prompt_tokens(len) >= 0
    except RequestError as refused:
        msgspec.json.encode(error_body(refused))
        return
    for deployment in SAMPLES.values():
        try:
            made = ask.exchange(deployment, Obligations(), created=1)
        except RequestError as refused:
            msgspec.json.encode(error_body(refused))
        else:
            made.request.url.encode("ascii")
            # Whatever addresses a request has in it, it goes where the catalogue says.
            assert origin(made.request.url) == origin(deployment.base_url)
            assert all(is_one_line(text) for pair in made.request.headers.items() for text in pair)


def origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def is_one_line(text: str) -> bool:
    return "\r" not in text and "\n" not in text and "\0" not in text


@fuzzed
@given(operation=st.sampled_from(ASKED), body=st.binary(max_size=200))
@example(operation=Operation.CHAT_COMPLETIONS, body=b"[" * 100_000)
@example(operation=Operation.MESSAGES, body=b'{"model":"m","messages":' + b"[" * 600 + b"]" * 600)
def test_any_bytes_are_a_request_or_refused(operation: Operation, body: bytes):
    put_to_everybody(operation, body)


@fuzzed
@given(operation=st.sampled_from(ASKED), fields=members, model=st.text(max_size=8) | json_values)
def test_any_members_are_a_request_or_refused(
    operation: Operation, fields: dict[str, Any], model: Any
):
    body = {"model": model, **_FILLED[operation], **fields}
    put_to_everybody(operation, msgspec.json.encode(body))


@fuzzed
@given(data=st.data(), operation=st.sampled_from(ASKED), raw=st.binary(max_size=50) | json_values)
def test_any_answer_of_a_provider_is_told_or_is_its_error(
    data: st.DataObject, operation: Operation, raw: Any
):
    ask = read_ask(operation, msgspec.json.encode({"model": "m", **_FILLED[operation]}))
    deployment = data.draw(st.sampled_from(list(SAMPLES.values())))
    try:
        made = ask.exchange(deployment, Obligations(), created=1)
    except RequestError:
        return
    said = raw if isinstance(raw, bytes) else msgspec.json.encode(raw)
    try:
        msgspec.json.encode(made.answer(said).body)
    except ProviderError as failure:
        msgspec.json.encode(error_body(failure))


@fuzzed
@given(body=st.binary(max_size=100) | json_values.map(msgspec.json.encode))
@example(body=b'{"model":"m","reason":"r","amount_usd":1e999}')
def test_any_request_for_approval_is_read_or_refused(body: bytes):
    try:
        wanted_in(body)
    except RequestError as refused:
        msgspec.json.encode(error_body(refused))
