"""What holds in every API at every provider: what is reserved is told, what is not is refused."""

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from llm_core.apis.registry import read_ask
from llm_core.apis.support import SAMPLES
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.errors import MalformedRequest, RequestError, UnsupportedParameter
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations

CHAT, RESPONSES = Operation.CHAT_COMPLETIONS, Operation.RESPONSES
MESSAGES, COMPLETIONS = Operation.MESSAGES, Operation.COMPLETIONS
HELLO: dict[Operation, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "h"}]},
    RESPONSES: {"input": "h"},
    MESSAGES: {"messages": [{"role": "user", "content": "h"}], "max_tokens": 2_000},
    COMPLETIONS: {"prompt": "h"},
}
LENGTHS = {
    CHAT: ("max_tokens", "max_completion_tokens"),
    RESPONSES: ("max_output_tokens",),
    MESSAGES: ("max_tokens",),
    COMPLETIONS: ("max_tokens",),
}
NATIVE = (COMPLETIONS, RESPONSES)
OPENAI = SAMPLES[ProviderKind.OPENAI]
SERVER = SAMPLES[ProviderKind.OPENAI_COMPATIBLE]
DEPLOYMENTS = {
    **{kind.value: deployment for kind, deployment in SAMPLES.items()},
    "nova": replace(SAMPLES[ProviderKind.BEDROCK], model="amazon.nova-pro-v1:0"),
    "groq": replace(SERVER, vendor="groq"),
    "native server": replace(SERVER, native_operations=NATIVE),
    "native openai": replace(OPENAI, native_operations=NATIVE),
    "native azure": replace(SAMPLES[ProviderKind.AZURE_OPENAI], native_operations=NATIVE),
}
every_provider = pytest.mark.parametrize("name", DEPLOYMENTS)
every_api = pytest.mark.parametrize("operation", HELLO)


def sent(
    operation: Operation,
    deployment: Deployment,
    obligations: Obligations | None = None,
    **more: Any,
) -> dict[str, Any]:
    body = msgspec.json.encode({"model": "m", **HELLO[operation], **more})
    asked = read_ask(operation, body)
    made = asked.exchange(deployment, obligations or Obligations(), created=1)
    return json.loads(made.request.body)


def lengths(body: dict[str, Any]) -> set[int]:
    """Every longest answer that is told, under whichever name."""
    names = {"max_tokens", "max_completion_tokens", "max_output_tokens"}
    names |= {"maxOutputTokens", "maxTokens"}
    nested = [body, body.get("generationConfig") or {}, body.get("inferenceConfig") or {}]
    return {part[name] for part in nested for name in names & part.keys()}


@every_api
@every_provider
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    "asked_policy_possible_told",
    [
        (900, None, 4_000, 900),
        (900, 500, 4_000, 500),
        (900, None, 300, 300),
        (900, 500, 300, 300),
        (900, 1_000, 4_000, 900),
        (None, 7, 4_000, 7),
        (None, None, 5, 5),
    ],
)
def test_the_longest_answer_is_told_to_the_provider(
    operation: Operation,
    name: str,
    streams: bool,
    asked_policy_possible_told: tuple[int | None, int | None, int, int],
):
    asked, policy, possible, told = asked_policy_possible_told
    deployment = replace(DEPLOYMENTS[name], max_output_tokens=possible)
    for field in LENGTHS[operation]:
        length = {} if asked is None else {field: asked}
        body = sent(
            operation, deployment, Obligations(max_output_tokens=policy), stream=streams, **length
        )
        assert lengths(body) == {told}


@every_api
@every_provider
def test_nothing_is_dropped_from_who_forbids_it(operation: Operation, name: str):
    """Each knob is sent, or refused by name; without the wish the same knob is named as dropped."""
    knobs: dict[str, Any] = {"seed": 7, "logit_bias": {"1": 2}, "top_p": 0.5, "an_unknown_knob": 1}
    for knob, value in knobs.items():
        body = {"model": "m", **HELLO[operation], knob: value, "temperature": 0.5}
        deployment = DEPLOYMENTS[name]
        made = read_ask(operation, msgspec.json.encode(body)).exchange(
            deployment, Obligations(), created=1
        )
        forbidding = read_ask(operation, msgspec.json.encode({**body, "drop_params": False}))
        if made.request.dropped_params:
            with pytest.raises(UnsupportedParameter) as refused:
                forbidding.exchange(deployment, Obligations(), created=1)
            assert refused.value.param == made.request.dropped_params[0]
        else:
            again = forbidding.exchange(deployment, Obligations(), created=1)
            assert again.request == made.request


@every_api
@every_provider
def test_the_gateways_own_member_is_never_sent(operation: Operation, name: str):
    for wish in (True, None):
        assert "drop_params" not in sent(operation, DEPLOYMENTS[name], drop_params=wish)


@pytest.mark.parametrize("operation", [*HELLO, Operation.EMBEDDINGS])
@pytest.mark.parametrize("wish", ["false", 0, [], {}])
def test_a_wish_that_is_no_truth_value_is_refused(operation: Operation, wish: object):
    hello = HELLO.get(operation, {"input": "h"})
    with pytest.raises(MalformedRequest) as refused:
        read_ask(operation, msgspec.json.encode({"model": "m", **hello, "drop_params": wish}))
    assert refused.value.param == "drop_params"


@every_api
@every_provider
@pytest.mark.parametrize(
    "spelling", ["Model", "MODEL", "\u017ftream", "N", "Max_Tokens", "Service_Tier"]
)
def test_no_other_spelling_reaches_a_provider(operation: Operation, name: str, spelling: str):
    body: dict[str, Any] = {}
    with suppress(UnsupportedParameter):
        body = sent(operation, DEPLOYMENTS[name], **{spelling: "gpt-x"})
    assert spelling not in body


@every_api
@every_provider
def test_of_members_given_twice_one_is_read_and_the_same_one_sent(operation: Operation, name: str):
    given = msgspec.json.encode({"model": "first", **HELLO[operation], "stream": False})
    ask = read_ask(operation, given[:-1] + b',"model":"last","stream":true}')
    request = ask.exchange(DEPLOYMENTS[name], Obligations(), created=1).request
    assert (ask.model, ask.is_streaming) == ("last", True)
    for member in (b'"model":', b'"stream":'):
        assert request.body.count(member) <= 1
    assert b"first" not in request.body


@every_provider
@pytest.mark.parametrize("also", [{}, {"file_data": "data:application/pdf;base64,JVBERi0="}])
def test_no_file_is_read_by_its_id(name: str, also: dict[str, str]):
    """All callers share the account, so an id may be of anybody's file."""
    part = {"type": "file", "file": {"file_id": "file-1", **also}}
    body: dict[str, Any] = {}
    with suppress(RequestError):
        body = sent(CHAT, DEPLOYMENTS[name], messages=[{"role": "user", "content": [part]}])
    assert "file-1" not in json.dumps(body)


def test_who_speaks_openais_format_says_why_no_file_is_read_by_its_id():
    part = {"type": "file", "file": {"file_id": "file-1"}}
    for name in ("openai", "azure_openai", "openai_compatible"):
        with pytest.raises(UnsupportedParameter, match="whose file that is cannot be told") as told:
            sent(CHAT, DEPLOYMENTS[name], messages=[{"role": "user", "content": [part]}])
        assert told.value.param == "messages[0].content[0].file.file_id"


@every_provider
@pytest.mark.parametrize("kind", ["input_file", "input_image"])
def test_the_responses_api_reads_no_file_by_its_id(name: str, kind: str):
    part = {"type": kind, "file_id": "file-1"}
    for item in (
        {"role": "user", "content": [part]},
        {"type": "function_call_output", "call_id": "c", "output": [part]},
    ):
        with pytest.raises(UnsupportedParameter, match="whose file that is cannot be told"):
            sent(RESPONSES, DEPLOYMENTS[name], input=[item])


@every_provider
def test_the_messages_api_reads_no_file_by_its_id(name: str):
    for kind in ("image", "document"):
        block = {"type": kind, "source": {"type": "file", "file_id": "file-1"}}
        with pytest.raises(UnsupportedParameter, match="not stored at a provider"):
            sent(MESSAGES, DEPLOYMENTS[name], messages=[{"role": "user", "content": [block]}])


@pytest.mark.parametrize("field", ["prompt_embeds", "Best_Of", "models", "Fallbacks"])
@pytest.mark.parametrize("operation", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("name", ["openai_compatible", "native server", "native openai"])
def test_what_nobody_has_reserved_for_is_refused(field: str, operation: Operation, name: str):
    with pytest.raises(UnsupportedParameter) as refused:
        sent(operation, DEPLOYMENTS[name], **{field: 4})
    assert refused.value.param == field


def test_a_conversation_is_not_embedded_uncounted():
    with pytest.raises(UnsupportedParameter):
        read_ask(
            Operation.EMBEDDINGS,
            msgspec.json.encode({"model": "m", "input": "h", "messages": HELLO[CHAT]["messages"]}),
        ).exchange(SERVER, Obligations(), created=1)


def test_a_mark_for_the_long_cache_is_refused_inside_a_search_result_too():
    marked = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    block = {"type": "search_result", "source": "s", "title": "t", "content": [marked]}
    with pytest.raises(UnsupportedParameter, match="5 minutes"):
        sent(
            MESSAGES,
            SAMPLES[ProviderKind.ANTHROPIC],
            messages=[{"role": "user", "content": [block]}],
        )
