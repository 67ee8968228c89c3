"""Google's own SDK: its types take what we send, and its client takes the sandbox for Google."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google import genai
from google.genai import errors, types
from google.oauth2 import service_account

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.errors import RequestError
from llm_core.providers.registry import translator_for
from llm_core.sse import SseDecoder
from sandbox.server import running
from tests.golden.cases import Case, all_cases

CASES = all_cases()
GOOGLE = (ProviderKind.GEMINI, ProviderKind.VERTEX)
OURS = [case for case in CASES if case.provider in GOOGLE]
KEY = "sk-sandbox-test"
MODEL = "gemini-3.5-flash"
RIVERS = "Tell me about the great rivers"
ADDRESS_ALPHABET = str.maketrans("+/", "-_")
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
    },
    "required": ["city", "unit", "days"],
}
TOOLS = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER),
            types.FunctionDeclaration(name="get_time"),
        ]
    )
]


# --- What we send ---------------------------------------------------------------------------------


def read_back(kind: Any, value: object) -> object:
    """Read by the SDK's type, which knows no extra fields, and written again."""
    read = kind.model_validate(value)
    return same_base64(read.model_dump(by_alias=True, exclude_none=True, mode="json"))


def same_base64(value: Any) -> Any:
    """The SDK writes bytes in the alphabet for addresses; Google reads both."""
    if isinstance(value, dict):
        return {
            name: inner.translate(ADDRESS_ALPHABET)
            if name in ("data", "thoughtSignature")
            else same_base64(inner)
            for name, inner in value.items()
        }
    return [same_base64(one) for one in value] if isinstance(value, list) else value


def check_request(body: dict[str, Any]) -> None:
    parts = {
        "contents": types.Content,
        "tools": types.Tool,
        "safetySettings": types.SafetySetting,
    }
    single = {
        "systemInstruction": types.Content,
        "toolConfig": types.ToolConfig,
        "generationConfig": types.GenerationConfig,
    }
    assert not set(body) - set(parts) - set(single)
    for name, kind in single.items():
        if name in body:
            assert read_back(kind, body[name]) == same_base64(body[name]), name
    for name, kind in parts.items():
        for one in body.get(name, ()):
            assert read_back(kind, one) == same_base64(one), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("kind", GOOGLE)
@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-4-argon"])
def test_whatever_is_sent_to_google_fits_its_request_types(
    case: Case, kind: ProviderKind, model: str
):
    """Every case of every provider, sent to Google, unless it is refused in so many words."""
    deployment = Deployment(id="d", provider=kind, model=model, base_url="https://example.com")
    try:
        sent = translator_for(kind).request(case.request, deployment)
    except RequestError:
        return
    check_request(json.loads(sent.body))


@pytest.mark.parametrize("case", OURS, ids=lambda case: case.id)
def test_the_golden_bodies_of_google_are_ones_it_could_send(case: Case):
    """A golden case proves nothing if Google would never answer like that."""
    bodies = [case.whole] if case.whole is not None else []
    bodies += [event.data for event in SseDecoder().feed(case.stream or b"")]
    for body in bodies:
        if "error" not in json.loads(body):
            types.GenerateContentResponse.model_validate_json(body)


# --- The sandbox ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def google_ai(url: str, key: str = KEY) -> genai.Client:
    return genai.Client(
        api_key=key, vertexai=False, http_options=types.HttpOptions(base_url=f"{url}/gemini")
    )


def vertex_ai(url: str, key: rsa.RSAPrivateKey) -> genai.Client:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account: Any = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        {
            "client_email": "gateway@example-project.iam.gserviceaccount.com",
            "private_key": pem.decode(),
            "private_key_id": "key-1",
            "token_uri": f"{url}/google/token",
        },
        scopes=["https://www.googleapis.com/auth/cloud-platform"],
    )
    return genai.Client(
        vertexai=True,
        project="example-project",
        location="europe-west4",
        credentials=account,
        http_options=types.HttpOptions(base_url=f"{url}/vertex"),
    )


@pytest.fixture(scope="module", params=["gemini", "vertex"])
def client(
    request: pytest.FixtureRequest, url: str, key: rsa.RSAPrivateKey
) -> Iterator[genai.Client]:
    made = google_ai(url) if request.param == "gemini" else vertex_ai(url, key)
    yield made
    made.close()


def test_a_stream_says_and_costs_what_the_whole_answer_does(client: genai.Client):
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(thinking_level="LOW", include_thoughts=True),
        system_instruction="Be brief",
    )
    whole = client.models.generate_content(model=MODEL, contents=RIVERS, config=config)
    events = list(
        client.models.generate_content_stream(model=MODEL, contents=RIVERS, config=config)
    )
    assert RIVERS in (whole.text or "")
    assert "".join(event.text or "" for event in events) == whole.text
    assert whole.candidates is not None
    assert whole.candidates[0].finish_reason == types.FinishReason.STOP
    assert events[-1].usage_metadata == whole.usage_metadata
    assert whole.usage_metadata is not None
    assert whole.usage_metadata.thoughts_token_count == 16


def test_a_conversation_with_two_calls_goes_round_with_its_signatures(client: genai.Client):
    chat = client.chats.create(
        model=MODEL,
        config=types.GenerateContentConfig(
            tools=TOOLS,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        ),
    )
    calls = chat.send_message("Use a tool, in parallel if you can").function_calls or []
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    jsonschema.validate(calls[0].args, WEATHER)
    answer = chat.send_message(
        [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"output": f"result {place}"}
                )
            )
            for place, call in enumerate(calls)
        ]
    )
    assert 'the tool said "result 0" and "result 1"' in (answer.text or "")


def test_a_call_that_comes_back_without_its_signature_is_refused(client: genai.Client):
    contents = [
        types.Content(role="user", parts=[types.Part(text="Use a tool")]),
        types.Content(
            role="model",
            parts=[types.Part(function_call=types.FunctionCall(id="a", name="get_time", args={}))],
        ),
        types.Content(
            role="user",
            parts=[
                types.Part(
                    function_response=types.FunctionResponse(
                        id="a", name="get_time", response={"output": "noon"}
                    )
                )
            ],
        ),
    ]
    config = types.GenerateContentConfig(tools=TOOLS)
    with pytest.raises(errors.ClientError, match="missing a `thought_signature`"):
        client.models.generate_content(model=MODEL, contents=contents, config=config)  # type: ignore[arg-type]
    older = client.models.generate_content(
        model="gemini-2.5-flash",
        contents=contents,  # type: ignore[arg-type]
        config=config,
    )
    assert "noon" in (older.text or "")


def test_an_answer_is_held_to_a_schema(client: genai.Client):
    answer = client.models.generate_content(
        model=MODEL,
        contents=RIVERS,
        config=types.GenerateContentConfig(
            response_mime_type="application/json", response_json_schema=WEATHER
        ),
    )
    jsonschema.validate(json.loads(answer.text or ""), WEATHER)


def test_candidates_and_probabilities_are_told(client: genai.Client):
    answer = client.models.generate_content(
        model=MODEL,
        contents=RIVERS,
        config=types.GenerateContentConfig(candidate_count=2, response_logprobs=True, logprobs=1),
    )
    first, second = answer.candidates or []
    assert first.content != second.content
    assert first.logprobs_result is not None
    assert first.logprobs_result.chosen_candidates
    assert first.logprobs_result.top_candidates


@pytest.mark.parametrize(
    ("model", "status"),
    [
        ("no-such-model", 404),
        ("gemini-3.5-flash--fault-429-3", 429),
        ("gemini-3.5-flash--fault-500", 500),
        ("gemini-3.5-flash--fault-503", 503),
    ],
)
def test_errors_have_googles_shape(client: genai.Client, model: str, status: int):
    with pytest.raises(errors.APIError) as raised:
        client.models.generate_content(model=model, contents=RIVERS)
    assert raised.value.code == status
    assert raised.value.status in ("NOT_FOUND", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE")


def test_an_error_in_the_middle_of_a_stream_is_read_by_the_sdk(client: genai.Client):
    stream = client.models.generate_content_stream(
        model="gemini-3.5-flash--fault-error_mid_stream-2", contents=RIVERS
    )
    with pytest.raises(errors.APIError, match="overloaded"):
        list(stream)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"temperature": 3.0}, "temperature must be in the range"),
        ({"candidate_count": 9}, "candidateCount must be in the range"),
        ({"stop_sequences": list("abcdef")}, "stop sequences"),
        ({"response_json_schema": WEATHER}, "application/json"),
        ({"thinking_config": {"thinking_level": "XHIGH"}}, "Thinking level is not supported"),
        (
            {"thinking_config": {"thinking_level": "LOW", "thinking_budget": 512}},
            "only one of thinking budget and thinking level",
        ),
    ],
)
def test_what_google_refuses_is_refused(client: genai.Client, config: dict[str, Any], message: str):
    with pytest.raises(errors.ClientError, match=message):
        client.models.generate_content(
            model=MODEL,
            contents=RIVERS,
            config=types.GenerateContentConfig.model_validate(config),
        )


def test_a_field_that_google_does_not_know_is_refused_by_name(url: str):
    with google_ai(url) as client, pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(
            model=MODEL,
            contents=RIVERS,
            config=types.GenerateContentConfig(
                http_options=types.HttpOptions(extra_body={"generationConfig": {"best_of": 2}})
            ),
        )
    assert raised.value.status == "INVALID_ARGUMENT"
    assert "Unknown name \"best_of\" at 'generationConfig'" in str(raised.value.message)


def test_a_wrong_key_is_a_400_that_says_so(url: str):
    with google_ai(url, "AIza-of-somebody") as client, pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model=MODEL, contents=RIVERS)
    assert raised.value.code == 400
    assert "API_KEY_INVALID" in str(raised.value.details)


def test_texts_are_embedded(client: genai.Client, url: str):
    model = "gemini-embedding-001" if not client.vertexai else "text-embedding-005"
    answer = client.models.embed_content(
        model=model,
        contents=["one text", "another"],  # type: ignore[arg-type]
        config=types.EmbedContentConfig(output_dimensionality=8),
    )
    assert [len(one.values or ()) for one in answer.embeddings or ()] == [8, 8]
