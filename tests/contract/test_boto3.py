"""AWS's own SDK as the judge: of what we send, and of the sandbox that stands in for AWS."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import botocore.session
import httpx
import jsonschema
import pytest
from botocore.config import Config
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError
from botocore.model import Shape
from botocore.validate import ParamValidator
from urllib3.exceptions import ProtocolError

from llm_core.catalogue import Auth, Deployment, ProviderKind
from llm_core.chat.chunk import fold
from llm_core.chat.request import ChatRequest
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.errors import MalformedRequest, ProviderError, UnsupportedParameter
from llm_core.providers.bedrock import BedrockEmbeddingsTranslator, BedrockTranslator
from llm_core.providers.translator import ProviderRequest
from policy_service.adapters.aws_signing import AwsSigner
from sandbox.bedrock.signature import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from sandbox.server import running
from tests.fakes.clock import NOON
from tests.golden.cases import Case, all_cases

CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "us.amazon.nova-2-lite-v1:0"
ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc123"
RIVERS: list[Any] = [{"role": "user", "content": [{"text": "Tell me about the great rivers"}]}]
TOOLS_TURN: list[Any] = [{"role": "user", "content": [{"text": "Use a tool, in parallel please"}]}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS = {
    "tools": [
        {"toolSpec": {"name": "get_weather", "inputSchema": {"json": SCHEMA}}},
        {"toolSpec": {"name": "get_time", "inputSchema": {"json": {"type": "object"}}}},
    ]
}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
SERVICE = botocore.session.Session().get_service_model("bedrock-runtime")
CASES = all_cases()


# --- what we send ---------------------------------------------------------------------------------


def as_parameters(value: Any, shape: Shape) -> Any:
    """A body as the SDK would have been given it: blobs as bytes."""
    match shape.type_name:
        case "blob":
            return base64.b64decode(value, validate=True)
        case "structure" if not getattr(shape, "is_document_type", False):
            members = getattr(shape, "members", {})
            assert set(value) <= set(members), f"{shape.name} has no such member"
            return {name: as_parameters(inner, members[name]) for name, inner in value.items()}
        case "list":
            return [as_parameters(inner, shape.member) for inner in value]
        case _:
            return value


def check_converse(sent: ProviderRequest) -> None:
    _, _, model, operation = urlsplit(sent.url).path.split("/")
    named = {"converse": "Converse", "converse-stream": "ConverseStream"}[operation]
    shape = SERVICE.operation_model(named).input_shape
    assert shape is not None
    parameters = as_parameters(json.loads(sent.body), shape)
    report = ParamValidator().validate({**parameters, "modelId": unquote(model)}, shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("model", [CLAUDE, NOVA, "openai.gpt-oss-120b-1:0", ARN])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_whatever_is_sent_to_bedrock_fits_the_vendor_s_service_model(case: Case, model: str):
    """Every case of every provider, sent to Bedrock, unless it is refused in so many words."""
    deployment = Deployment(
        id="d",
        provider=ProviderKind.BEDROCK,
        model=model,
        base_url="https://bedrock-runtime.eu-central-1.amazonaws.com",
    )
    try:
        sent = BedrockTranslator().request(case.request, deployment)
    except (UnsupportedParameter, MalformedRequest):
        return
    check_converse(sent)


# --- the sandbox, asked by the vendor's client ----------------------------------------------------


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running() as url:
        yield f"{url}/bedrock"


def client_of(url: str, key_id: str = ACCESS_KEY_ID, secret: str = SECRET_ACCESS_KEY) -> Any:
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, read_timeout=30),
    )


@pytest.fixture(scope="module")
def bedrock(url: str) -> Iterator[Any]:
    client = client_of(url)
    yield client
    client.close()


def streamed(client: Any, **request: Any) -> tuple[list[dict[str, Any]], str, dict[str, int]]:
    """The blocks that a stream adds up to, why it ended, and its usage."""
    blocks: dict[int, dict[str, Any]] = {}
    reason, usage = "", {}
    for event in client.converse_stream(**request)["stream"]:
        if "contentBlockStart" in event:
            opened = event["contentBlockStart"]
            blocks[opened["contentBlockIndex"]] = {
                "toolUse": {**opened["start"]["toolUse"], "input": ""}
            }
        if "contentBlockDelta" in event:
            filled = event["contentBlockDelta"]
            fill(blocks.setdefault(filled["contentBlockIndex"], {}), filled["delta"])
        reason = event.get("messageStop", {}).get("stopReason", reason)
        usage = event.get("metadata", {}).get("usage", usage)
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    return [blocks[index] for index in sorted(blocks)], reason, usage


def fill(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    if "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    for name, piece in delta.get("reasoningContent", {}).items():
        thought = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {})
        thought[name] = thought.get(name, "") + piece


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": RIVERS},
        {"messages": RIVERS, "inferenceConfig": {"maxTokens": 7}},
        {"messages": RIVERS, "inferenceConfig": {"stopSequences": ["great"]}},
        {"messages": TOOLS_TURN, "toolConfig": TOOLS},
        {"messages": RIVERS, "toolConfig": {**TOOLS, "toolChoice": {"any": {}}}},
        {
            "messages": RIVERS,
            "inferenceConfig": {"maxTokens": 2000},
            "additionalModelRequestFields": THINKING,
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"text": "What is this?"},
                        {"image": {"format": "png", "source": {"bytes": b"png"}}},
                        {"cachePoint": {"type": "default"}},
                    ],
                }
            ],
            "system": [{"text": "Be brief"}],
        },
    ],
    ids=["plain", "cut", "stopped", "tools", "forced", "thinking", "image"],
)
def test_a_stream_says_and_costs_what_the_whole_answer_does(bedrock: Any, request_: dict[str, Any]):
    whole = bedrock.converse(modelId=CLAUDE, **request_)
    blocks, reason, usage = streamed(bedrock, modelId=CLAUDE, **request_)
    assert blocks == whole["output"]["message"]["content"]
    assert reason == whole["stopReason"]
    assert usage == whole["usage"]


def test_two_tools_are_called_at_once_with_valid_arguments_and_answered(bedrock: Any):
    answer = bedrock.converse(modelId=CLAUDE, messages=TOOLS_TURN, toolConfig=TOOLS)
    said = answer["output"]["message"]
    calls = [block["toolUse"] for block in said["content"] if "toolUse" in block]
    assert [call["name"] for call in calls] == ["get_weather", "get_time"]
    jsonschema.validate(calls[0]["input"], SCHEMA)
    results = [
        {
            "toolResult": {
                "toolUseId": call["toolUseId"],
                "content": [{"json": {"ok": call["name"]}}],
            }
        }
        for call in calls
    ]
    turns = [*TOOLS_TURN, said, {"role": "user", "content": results}]
    last = bedrock.converse(modelId=CLAUDE, messages=turns, toolConfig=TOOLS)
    assert "get_weather" in last["output"]["message"]["content"][0]["text"]


def test_an_answer_keeps_to_the_asked_schema(bedrock: Any):
    structure = {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "forecast"}}
    answer = bedrock.converse(
        modelId=CLAUDE,
        messages=RIVERS,
        outputConfig={"textFormat": {"type": "json_schema", "structure": structure}},
    )
    jsonschema.validate(json.loads(answer["output"]["message"]["content"][0]["text"]), SCHEMA)


def test_cached_parts_are_counted_apart(bedrock: Any):
    point = {"cachePoint": {"type": "default"}}
    usage = bedrock.converse(
        modelId=CLAUDE,
        messages=RIVERS,
        system=[{"text": "one two three four"}, point, {"text": "five six"}, point],
    )["usage"]
    assert usage["cacheReadInputTokens"] == 3 + 4
    assert usage["cacheWriteInputTokens"] == 2
    assert usage["inputTokens"] == 3 + 6
    assert usage["totalTokens"] == 7 + 2 + 9 + usage["outputTokens"]


def test_an_arn_s_colons_and_slashes_reach_the_model_and_the_signature(bedrock: Any, url: str):
    assert bedrock.converse(modelId=ARN, messages=RIVERS)["stopReason"] == "end_turn"
    control = url.removesuffix("/bedrock")
    calls = httpx.get(f"{control}/_sandbox/calls").json()["calls"]
    assert ARN in {call["model"] for call in calls}


@pytest.mark.parametrize(
    ("key_id", "secret", "kind"),
    [
        (ACCESS_KEY_ID, "sk-sandbox-another", "InvalidSignatureException"),
        ("AKIASOMEBODYELSE0000", SECRET_ACCESS_KEY, "UnrecognizedClientException"),
    ],
)
def test_a_signature_by_another_key_is_refused(url: str, key_id: str, secret: str, kind: str):
    client = client_of(url, key_id, secret)
    with pytest.raises(ClientError) as refused:
        client.converse(modelId=CLAUDE, messages=RIVERS)
    client.close()
    assert refused.value.response["Error"]["Code"] == kind
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize(("key", "status"), [("sk-sandbox-key", 200), ("bedrock-api-key-x", 403)])
def test_a_bedrock_api_key_is_taken_as_bearer(url: str, key: str, status: int):
    """Not asked by the SDK: it sends such a key over TLS only."""
    headers = BedrockTranslator().credential_headers(key)
    answer = httpx.post(f"{url}/model/m/converse", json={"messages": RIVERS}, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"messages": []}, "start with a user message"),
        ({"messages": [*RIVERS, *RIVERS]}, "alternate"),
        ({"messages": [{"role": "user", "content": [{"text": " "}]}]}, "is blank"),
        ({"messages": [{"role": "user", "content": []}]}, "is empty"),
        ({"inferenceConfig": {"temperature": 0.5, "topP": 0.5}}, "cannot both"),
        ({"inferenceConfig": {"stopSequences": [" "]}}, "non-whitespace"),
        ({"additionalModelRequestFields": {"nonsense": 1}}, "Extra inputs"),
        (
            {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 9}}},
            "1024",
        ),
        (
            {
                "messages": [
                    *RIVERS,
                    {
                        "role": "assistant",
                        "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}],
                    },
                ]
            },
            "toolConfig field must be defined",
        ),
        (
            {
                "messages": [
                    *RIVERS,
                    {
                        "role": "assistant",
                        "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}],
                    },
                    *RIVERS,
                ],
                "toolConfig": TOOLS,
            },
            "Expected toolResult blocks",
        ),
        (
            {"modelId": NOVA, "outputConfig": {"textFormat": {"type": "json_schema"}}},
            "doesn't support",
        ),
        ({"modelId": "no-such-model"}, "model identifier is invalid"),
    ],
)
def test_what_bedrock_refuses_is_refused_with_its_words(
    url: str, request_: dict[str, Any], words: str
):
    body = {"messages": RIVERS, **request_}
    model = body.pop("modelId", CLAUDE)
    answer = httpx.post(
        f"{url}/model/{model}/converse", json=body, headers={"authorization": "Bearer sk-sandbox"}
    )
    assert answer.status_code == 400
    assert answer.headers["x-amzn-errortype"].startswith("ValidationException")
    assert words in answer.json()["message"]


@pytest.mark.parametrize("operation", ["converse", "converse_stream"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429-7", "ThrottlingException"),
        ("500", "InternalServerException"),
        ("503", "ServiceUnavailableException"),
    ],
)
def test_faults_raise_the_sdk_s_own_errors(bedrock: Any, operation: str, fault: str, kind: str):
    with pytest.raises(ClientError) as raised:
        getattr(bedrock, operation)(modelId=f"{CLAUDE}--fault-{fault}", messages=RIVERS)
    assert raised.value.response["Error"]["Code"] == kind
    assert isinstance(raised.value, getattr(bedrock.exceptions, kind))


def test_an_error_in_the_middle_of_a_stream_is_an_exception_of_the_event_stream(bedrock: Any):
    answer = bedrock.converse_stream(modelId=f"{CLAUDE}--fault-error_mid_stream-4", messages=RIVERS)
    read = []
    with pytest.raises(EventStreamError, match="serviceUnavailableException"):
        read.extend(answer["stream"])
    assert len(read) == 4


def test_a_stream_that_breaks_off_is_an_error_of_the_connection(bedrock: Any):
    answer = bedrock.converse_stream(modelId=f"{CLAUDE}--fault-cut_mid_stream-4", messages=RIVERS)
    read: list[Any] = []
    with pytest.raises(ProtocolError):
        read.extend(answer["stream"])
    assert len(read) == 4


def test_a_malformed_event_ends_a_stream_that_never_looks_whole(bedrock: Any):
    """The SDK takes a payload that is no JSON for an empty one."""
    answer = bedrock.converse_stream(modelId=f"{CLAUDE}--fault-malformed_json-4", messages=RIVERS)
    events = list(answer["stream"])
    assert not any("messageStop" in event for event in events)


def test_usage_can_be_withheld(bedrock: Any):
    assert "usage" not in bedrock.converse(modelId=f"{CLAUDE}--fault-no_usage", messages=RIVERS)


@pytest.mark.parametrize(
    ("model", "body", "read"),
    [
        (
            "amazon.titan-embed-text-v2:0",
            {"inputText": "a river", "dimensions": 256},
            lambda answer: [answer["embedding"]],
        ),
        (
            "cohere.embed-v4:0",
            {
                "texts": ["a river"],
                "input_type": "search_query",
                "embedding_types": ["float"],
                "output_dimension": 256,
            },
            lambda answer: answer["embeddings"]["float"],
        ),
    ],
)
def test_embedding_models_answer_invoke_model(
    bedrock: Any, model: str, body: dict[str, Any], read: Any
):
    answer = bedrock.invoke_model(modelId=model, body=json.dumps(body))
    (vector,) = read(json.loads(answer["body"].read()))
    assert len(vector) == 256


# --- our translator and signer against the sandbox ------------------------------------------------


def deployed(url: str, model: str, **facts: Any) -> Deployment:
    return Deployment(
        id="d",
        provider=ProviderKind.BEDROCK,
        model=model,
        base_url=url,
        auth=Auth.AWS_SIGV4,
        signing_region="eu-central-1",
        **facts,
    )


async def ask(url: str, model: str, **fields: Any) -> tuple[ChatRequest, httpx.Response]:
    body = {"model": "m", "messages": [{"role": "user", "content": "Call a tool"}], **fields}
    request = ChatRequest.parse(json.dumps(body).encode())
    deployment = deployed(url, model)
    sent = BedrockTranslator().request(request, deployment)
    secret = f"{ACCESS_KEY_ID}:{SECRET_ACCESS_KEY}:sk-sandbox-token/+=="
    signed = await AwsSigner().headers(secret, deployment, sent, NOON)
    async with httpx.AsyncClient() as client:
        answer = await client.post(sent.url, headers={**sent.headers, **signed}, content=sent.body)
    return request, answer


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (CLAUDE, {}),
        (ARN, {}),
        (NOVA, {"reasoning_effort": "low", "temperature": 0.3, "top_p": 0.5, "top_k": 5}),
        (CLAUDE, {"reasoning_effort": "medium", "max_tokens": 4000, "temperature": 0.3}),
        ("eu.anthropic.claude-opus-4-7", {"reasoning_effort": "high", "temperature": 0.3}),
        ("openai.gpt-oss-120b-1:0", {"reasoning_effort": "minimal"}),
        (
            CLAUDE,
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]},
        ),
        (
            CLAUDE,
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": SCHEMA},
                }
            },
        ),
    ],
)
async def test_what_we_send_and_sign_is_answered_whole_and_streamed_alike(
    url: str, model: str, fields: dict[str, Any]
):
    _, answer = await ask(url, model, **fields)
    assert answer.status_code == 200, answer.text
    whole = BedrockTranslator().response(answer.content)
    request, answer = await ask(url, model, stream=True, **fields)
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    reader = BedrockTranslator().stream(request)
    folded = fold([*reader.feed(answer.content), *reader.finish()])
    assert folded == whole.body
    assert reader.is_complete
    assert reader.usage == whole.usage


async def test_two_turns_with_a_tool_call_and_kept_reasoning(url: str):
    fields = {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
        "reasoning_effort": "low",
        "max_tokens": 4000,
    }
    _, first = await ask(url, CLAUDE, **fields)
    said = BedrockTranslator().response(first.content).body["choices"][0]["message"]
    assert said["thinking_blocks"][0]["signature"]
    talk = [
        {"role": "user", "content": "Call a tool"},
        said,
        {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "sunny"},
    ]
    _, second = await ask(url, CLAUDE, **{**fields, "messages": talk})
    assert second.status_code == 200, second.text
    last = BedrockTranslator().response(second.content).body["choices"][0]["message"]
    assert "sunny" in last["content"]
    for without_tools in ({"tool_choice": "none"}, {"tools": []}):
        _, third = await ask(url, CLAUDE, **{**fields, "messages": talk, **without_tools})
        assert third.status_code == 200, third.text


async def test_a_fault_in_a_stream_is_raised_after_what_came_before_it(url: str):
    request, answer = await ask(url, f"{CLAUDE}--fault-error_mid_stream-4", stream=True)
    reader = BedrockTranslator().stream(request)
    assert reader.feed(answer.content)
    with pytest.raises(ProviderError) as failed:
        reader.finish()
    assert failed.value.http_status == 503
    assert not reader.is_complete


async def test_our_decoder_and_the_vendor_s_read_the_same_messages(url: str):
    request, answer = await ask(url, CLAUDE, stream=True)
    buffer = EventStreamBuffer()
    buffer.add_data(answer.content)
    assert [event.headers[":event-type"] for event in buffer][-2:] == ["messageStop", "metadata"]
    assert BedrockTranslator().stream(request).feed(answer.content)


@pytest.mark.parametrize("model", ["amazon.titan-embed-text-v2:0", "cohere.embed-v4:0"])
async def test_embeddings_are_translated_both_ways(url: str, model: str):
    fields = {"model": "m", "input": "a river", "dimensions": 256}
    request = EmbeddingsRequest.parse(json.dumps(fields).encode())
    translator = BedrockEmbeddingsTranslator()
    deployment = deployed(url, model)
    sent = translator.request(request, deployment)
    secret = f"{ACCESS_KEY_ID}:{SECRET_ACCESS_KEY}"
    signed = await AwsSigner().headers(secret, deployment, sent, NOON)
    async with httpx.AsyncClient() as client:
        answer = await client.post(sent.url, headers={**sent.headers, **signed}, content=sent.body)
    translated = translator.response(answer.content, request)
    assert len(translated.body["data"][0]["embedding"]) == 256
