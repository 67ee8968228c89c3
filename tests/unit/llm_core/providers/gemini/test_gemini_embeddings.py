import json
from typing import Any

import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.errors import ProviderUnavailable, UnsupportedParameter
from llm_core.providers.gemini import GeminiEmbeddingsTranslator, VertexEmbeddingsTranslator

GEMINI = GeminiEmbeddingsTranslator()
VERTEX = VertexEmbeddingsTranslator()


def asked(**fields: Any) -> EmbeddingsRequest:
    return EmbeddingsRequest.parse(json.dumps({"model": "e", "input": "a", **fields}).encode())


def at(model: str) -> Deployment:
    return Deployment(
        id="d", provider=ProviderKind.VERTEX, model=model, base_url="https://example.com/v1"
    )


def test_google_ai_takes_a_request_for_each_text():
    sent = GEMINI.request(
        asked(input=["a", "b"], dimensions=3, user="u"), at("gemini-embedding-001")
    )
    assert sent.url == "https://example.com/v1/models/gemini-embedding-001:batchEmbedContents"
    one = {"model": "models/gemini-embedding-001", "outputDimensionality": 3}
    assert json.loads(sent.body) == {
        "requests": [{**one, "content": {"parts": [{"text": text}]}} for text in "ab"]
    }
    assert sent.dropped_params == ("user",)


def test_google_ais_vectors_and_tokens_are_read():
    body = {"embeddings": [{"values": [0.5, -1]}], "usageMetadata": {"promptTokenCount": 4}}
    read = GEMINI.response(json.dumps(body).encode(), asked())
    assert read.body["data"][0]["embedding"] == [0.5, -1]
    assert read.usage.input_tokens == 4
    assert read.usage.is_reported


def test_no_word_about_tokens_is_not_taken_for_none():
    read = GEMINI.response(b'{"embeddings": [{"values": [1]}]}', asked())
    assert not read.usage.is_reported


def test_vertex_is_told_not_to_cut_a_text():
    sent = VERTEX.request(asked(input=["a", "b"], dimensions=3), at("text-embedding-005"))
    assert sent.url.endswith("/models/text-embedding-005:predict")
    assert json.loads(sent.body) == {
        "instances": [{"content": "a"}, {"content": "b"}],
        "parameters": {"autoTruncate": False, "outputDimensionality": 3},
    }
    sent = VERTEX.request(asked(), at("gemini-embedding-2"))
    assert sent.url.endswith("/models/gemini-embedding-2:embedContent")
    assert json.loads(sent.body) == {
        "content": {"parts": [{"text": "a"}]},
        "embedContentConfig": {"autoTruncate": False},
    }


def test_vertexs_vectors_and_tokens_are_read():
    one = {"embeddings": {"values": [1.0], "statistics": {"token_count": 4.0}}}
    read = VERTEX.response(
        json.dumps({"predictions": [one, one]}).encode(), asked(input=["a", "b"])
    )
    assert [row["embedding"] for row in read.body["data"]] == [[1.0], [1.0]]
    assert read.usage.input_tokens == 8
    body = {"embedding": {"values": [1.0]}, "usageMetadata": {"promptTokenCount": 4}}
    assert VERTEX.response(json.dumps(body).encode(), asked()).usage.input_tokens == 4


@pytest.mark.parametrize(
    ("translator", "model", "given"),
    [
        (GEMINI, "gemini-embedding-001", [1, 2]),
        (GEMINI, "gemini-embedding-001", ["a"] * 101),
        (VERTEX, "gemini-embedding-001", ["a", "b"]),
        (VERTEX, "gemini-embedding-2", ["a", "b"]),
        (VERTEX, "text-embedding-005", ["a"] * 251),
    ],
)
def test_an_input_that_the_model_does_not_take_is_refused(
    translator: GeminiEmbeddingsTranslator | VertexEmbeddingsTranslator, model: str, given: Any
):
    with pytest.raises(UnsupportedParameter) as raised:
        translator.request(asked(input=given), at(model))
    assert raised.value.param == "input"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"embeddings": [{"values": ["x"]}]}',
        b'{"embeddings": [3]}',
        b'{"embeddings": []}',
        b'{"predictions": [3]}',
        b'{"embedding": 3}',
    ],
)
def test_what_is_no_list_of_vectors_is_the_providers_fault(body: bytes):
    for translator in (GEMINI, VERTEX):
        with pytest.raises(ProviderUnavailable):
            translator.response(body, asked())


def test_errors_and_credentials_are_those_of_chat():
    assert GEMINI.failure(404, {}, b"").provider_code == "provider_model_not_found"
    assert VERTEX.failure(429, {}, b"{}").http_status == 429
    assert GEMINI.credential_headers("k") == {"x-goog-api-key": "k"}
    assert VERTEX.credential_headers("ya29.t") == {"authorization": "Bearer ya29.t"}
