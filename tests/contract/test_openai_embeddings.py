"""OpenAI's SDK asks for embeddings: of the sandbox, and what we make of other providers'."""

import base64
import struct
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai.types import CreateEmbeddingResponse

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.providers.registry import embeddings_translator_for
from sandbox.openai.embeddings import vector_for
from sandbox.server import running
from sandbox.settings import SandboxSettings

KEY = "sk-sandbox-test"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(SandboxSettings(azure_models={"embed": "text-embedding-3-small"})) as url:
        yield url


@pytest.fixture(params=["openai", "azure"])
def client(request: pytest.FixtureRequest, url: str) -> Iterator[openai.OpenAI]:
    made = (
        openai.OpenAI(base_url=f"{url}/openai/v1", api_key=KEY, max_retries=0)
        if request.param == "openai"
        else openai.AzureOpenAI(
            azure_endpoint=f"{url}/azure", api_key=KEY, api_version="2024-10-21", max_retries=0
        )
    )
    with made:
        yield made


def test_both_encodings_say_the_same(client: openai.OpenAI):
    # The SDK asks for base64 unless told otherwise, and unpacks it.
    packed = client.embeddings.create(model="embed", input=["a b", "c"])
    plain = client.embeddings.create(model="embed", input=["a b", "c"], encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(packed.data[0].embedding, rel=1e-6)
    assert [one.index for one in packed.data] == [0, 1]
    assert packed.usage.prompt_tokens == 3


def test_vectors_are_as_long_as_asked(client: openai.OpenAI):
    answer = client.embeddings.create(model="embed", input="a", dimensions=5)
    assert len(answer.data[0].embedding) == 5


def test_the_sandbox_refuses_as_openai_does(client: openai.OpenAI):
    with pytest.raises(openai.BadRequestError, match="Unknown parameter: 'input_type'"):
        client.embeddings.create(model="embed", input="a", extra_body={"input_type": "x"})
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="embed", input=[])
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="no-such-model", input="a")


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (ProviderKind.OPENAI, "/openai/v1"),
        (ProviderKind.AZURE_OPENAI, "/azure"),
        (ProviderKind.OPENAI_COMPATIBLE, "/openai/v1"),
        (ProviderKind.MISTRAL, "/mistral/v1"),
        (ProviderKind.COHERE, "/cohere"),
    ],
)
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_what_each_provider_answers_reads_with_the_sdk(
    url: str, kind: ProviderKind, path: str, encoding: str
):
    translator = embeddings_translator_for(kind)
    assert translator is not None
    deployment = Deployment(id="d", provider=kind, model="embed", base_url=f"{url}{path}")
    asked = {"model": "m", "input": ["a b", "c"], "dimensions": 4, "encoding_format": encoding}
    request = EmbeddingsRequest(asked)
    sent = translator.request(request, deployment)
    headers = {**sent.headers, **translator.credential_headers(KEY)}
    with httpx.Client() as client:
        answer = client.post(sent.url, content=sent.body, headers=headers)
    assert answer.status_code == 200, answer.text
    read = translator.response(answer.content, request)
    if encoding == "base64":
        # The SDK unpacks before it looks.
        for one in read.body["data"]:
            one["embedding"] = list(struct.unpack("<4f", base64.b64decode(one["embedding"])))
    embeddings = CreateEmbeddingResponse.model_validate(read.body).data
    assert [one.embedding for one in embeddings] == [vector_for("a b", 4), vector_for("c", 4)]
    assert read.usage.input_tokens == 3
