"""Embeddings of every provider whose format is here; the answers in one shape."""

import json
from typing import Any

import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.errors import ProviderUnavailable, UnsupportedParameter
from llm_core.providers.registry import embeddings_translator_for
from llm_core.providers.translator import EmbeddingsTranslator
from llm_core.tokens.usage import TokenUsage

OPENAI_FORMAT = [
    ProviderKind.OPENAI,
    ProviderKind.AZURE_OPENAI,
    ProviderKind.OPENAI_COMPATIBLE,
]
TRANSLATED = [ProviderKind.MISTRAL, ProviderKind.COHERE]
VECTORS = [[0.5, -0.25], [1.0, 0.0]]
ANSWERS: dict[ProviderKind, dict[str, Any]] = {
    ProviderKind.MISTRAL: {
        "id": "1",
        "model": "mistral-embed",
        "data": [{"index": index, "embedding": VECTORS[index]} for index in (1, 0)],
        "usage": {"prompt_tokens": 4, "total_tokens": 4, "completion_tokens": 0},
    },
    ProviderKind.COHERE: {
        "id": "1",
        "embeddings": {"float": VECTORS},
        "meta": {"billed_units": {"input_tokens": 4}},
    },
}
OPENAI_ANSWER = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": VECTORS[0]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}


def translator(kind: ProviderKind) -> EmbeddingsTranslator:
    found = embeddings_translator_for(kind)
    assert found is not None
    return found


def asked(**fields: Any) -> EmbeddingsRequest:
    body = {"model": "embed", "input": ["a", "b"], **fields}
    return EmbeddingsRequest.parse(json.dumps(body).encode())


def sent(kind: ProviderKind, **fields: Any) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    deployment = Deployment(id="d", provider=kind, model="routed/1", base_url="https://x.test")
    made = translator(kind).request(asked(**fields), deployment)
    return made.url, json.loads(made.body), made.dropped_params


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
def test_a_request_in_openais_format_goes_as_it_came_but_for_the_model(kind: ProviderKind):
    fields = {"input": [[1, 2], [3]], "dimensions": 2, "encoding_format": "base64", "user": "u"}
    _, body, dropped = sent(kind, **fields)
    assert body == {"model": "routed/1", **fields}
    assert dropped == ()


def test_each_has_its_address():
    azure, _, _ = sent(ProviderKind.AZURE_OPENAI)
    assert azure == (
        "https://x.test/openai/deployments/routed%2F1/embeddings?api-version=2024-10-21"
    )
    assert sent(ProviderKind.OPENAI)[0] == "https://x.test/embeddings"
    assert sent(ProviderKind.MISTRAL)[0] == "https://x.test/embeddings"
    assert sent(ProviderKind.COHERE)[0] == "https://x.test/v2/embed"


def test_what_only_openai_knows_is_not_sent_to_its_imitators():
    _, body, dropped = sent(ProviderKind.OPENAI_COMPATIBLE, metadata={"a": "b"}, input_type="query")
    assert "metadata" not in body
    assert body["input_type"] == "query"
    assert dropped == ("metadata",)


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
@pytest.mark.parametrize("field", ["Model", "api_base", "fallbacks", "provider"])
def test_what_is_policys_to_choose_is_refused(kind: ProviderKind, field: str):
    with pytest.raises(UnsupportedParameter):
        sent(kind, **{field: "x"})


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
def test_an_answer_in_openais_format_passes_unchanged(kind: ProviderKind):
    read = translator(kind).response(json.dumps(OPENAI_ANSWER).encode(), asked())
    assert read.body == OPENAI_ANSWER
    assert read.usage == TokenUsage(input_tokens=4, output_tokens=0)
    assert read.served_model == "text-embedding-3-small"


def test_mistral_gets_its_own_names():
    _, body, dropped = sent(ProviderKind.MISTRAL, dimensions=2, encoding_format="base64", user="u")
    assert body == {"model": "routed/1", "input": ["a", "b"], "output_dimension": 2}
    assert dropped == ("user",)


def test_cohere_gets_its_own_names_and_no_text_is_cut():
    _, body, dropped = sent(ProviderKind.COHERE, input="a", dimensions=2, user="u")
    assert body == {
        "model": "routed/1",
        "texts": ["a"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "truncate": "NONE",
        "output_dimension": 2,
    }
    assert dropped == ("user",)
    _, chosen, _ = sent(ProviderKind.COHERE, input_type="search_query", truncate="END")
    assert (chosen["input_type"], chosen["truncate"]) == ("search_query", "END")


@pytest.mark.parametrize(
    ("kind", "fields", "param"),
    [
        (ProviderKind.MISTRAL, {"input": [1, 2]}, "input"),
        (ProviderKind.MISTRAL, {"output_dtype": "int8"}, "output_dtype"),
        (ProviderKind.COHERE, {"input": [[1, 2]]}, "input"),
        (ProviderKind.COHERE, {"input": ["a"] * 97}, "input"),
        (ProviderKind.COHERE, {"input_type": "image"}, "input_type"),
        (ProviderKind.COHERE, {"priority": 1}, "priority"),
        (ProviderKind.COHERE, {"images": ["x"]}, "images"),
        (ProviderKind.COHERE, {"embedding_types": ["int8"]}, "embedding_types"),
    ],
    ids=str,
)
def test_what_a_provider_cannot_do_is_refused(
    kind: ProviderKind, fields: dict[str, Any], param: str
):
    with pytest.raises(UnsupportedParameter) as refused:
        sent(kind, **fields)
    assert refused.value.param == param


@pytest.mark.parametrize("kind", TRANSLATED)
def test_vectors_come_in_the_order_of_the_inputs(kind: ProviderKind):
    answer = json.dumps(ANSWERS[kind]).encode()
    read = translator(kind).response(answer, asked())
    assert [one["embedding"] for one in read.body["data"]] == VECTORS
    assert read.body["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert read.usage == TokenUsage(input_tokens=4, output_tokens=0)
    packed = translator(kind).response(answer, asked(encoding_format="base64"))
    assert packed.body["data"][0]["embedding"] == "AAAAPwAAgL4="


@pytest.mark.parametrize("kind", [*OPENAI_FORMAT, *TRANSLATED])
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"data": 1}', b'{"embeddings": {"float": ["x"]}}']
)
def test_nonsense_is_the_providers_failure(kind: ProviderKind, body: bytes):
    with pytest.raises(ProviderUnavailable):
        translator(kind).response(body, asked())
    assert translator(kind).failure(500, {}, body).http_status == 500


def test_anthropic_has_none():
    assert embeddings_translator_for(ProviderKind.ANTHROPIC) is None
