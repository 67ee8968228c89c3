import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from llm_core.apis.embeddings import EmbeddingsAsk, read_embeddings
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.errors import MalformedRequest, UnsupportedParameter
from llm_core.operation import Operation
from llm_core.policy.allowance import worst_case
from llm_core.policy.call import Call
from llm_core.policy.decision import Obligations, PricedDeployment
from llm_core.pricing.charge import ModelPrice, Rates, usd_for
from llm_core.tokens.counted import filled_in
from llm_core.tokens.usage import TokenUsage, UsageSource

SMALL = Deployment(
    "e", ProviderKind.OPENAI, "text-embedding-3-small", "https://o.test/v1", max_output_tokens=1
)
CLAUDE = Deployment("c", ProviderKind.ANTHROPIC, "claude-sonnet-4-5", "https://a.test")
PRICE = ModelPrice("v1", Rates(input=Decimal(1), output=Decimal(2)))
ANSWER = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}


def read(**fields: Any) -> EmbeddingsAsk:
    return read_embeddings(json.dumps({"model": "small", "input": "hello", **fields}).encode())


@pytest.mark.parametrize(
    ("given", "tokens"), [("four", 4), (["a", "bcd"], 4), ([7, 8, 9], 3), ([[7, 8], [9]], 3)]
)
def test_the_prompt_is_its_texts_or_its_token_numbers(given: Any, tokens: int):
    assert read(input=given).prompt_tokens(len) == tokens


def test_nothing_is_generated_and_nothing_reserved_for_it():
    ask = read()
    call = Call(
        Operation.EMBEDDINGS,
        prompt_tokens=10,
        max_output_tokens=ask.max_output_tokens,
        choices=ask.choices,
    )
    amounts = worst_case(call, [PricedDeployment(SMALL, PRICE)], Obligations())
    assert amounts.tokens == 10
    assert amounts.usd == Decimal("0.00001")


def test_the_request_goes_out_under_the_routed_model():
    made = read(dimensions=8, drop_params=True).exchange(SMALL, Obligations(), created=1)
    assert made.request.url == "https://o.test/v1/embeddings"
    body = json.loads(made.request.body)
    assert body["model"] == "text-embedding-3-small"
    assert body["dimensions"] == 8
    assert "drop_params" not in body
    assert made.credential_headers("k") == {"authorization": "Bearer k"}


def test_an_answer_with_its_input_tokens_counts_as_reported_and_is_priced():
    made = read().exchange(SMALL, Obligations(), created=1)
    answer = made.answer(json.dumps(ANSWER).encode())
    assert answer.body["data"] == ANSWER["data"]
    usage, source = filled_in(answer.usage, 99, answer.texts, len)
    assert source is UsageSource.PROVIDER
    assert usage.total_tokens == 4
    assert usd_for(usage, PRICE) == Decimal("0.000004")


def test_an_answer_without_usage_is_charged_as_counted():
    made = read().exchange(SMALL, Obligations(), created=1)
    answer = made.answer(json.dumps({**ANSWER, "usage": None}).encode())
    usage, source = filled_in(answer.usage, 5, answer.texts, len)
    assert source is UsageSource.COUNTED
    assert usage == replace(TokenUsage(), input_tokens=5, output_tokens=0)


def test_a_provider_without_embeddings_refuses_by_name():
    with pytest.raises(UnsupportedParameter) as refused:
        read().exchange(CLAUDE, Obligations(), created=1)
    assert refused.value.public_message.startswith("anthropic has no embeddings")


def test_embeddings_are_not_streamed():
    with pytest.raises(MalformedRequest) as refused:
        read(stream=True)
    assert refused.value.param == "stream"
    assert not read(stream=False).is_streaming


def test_an_error_is_the_providers():
    made = read().exchange(SMALL, Obligations(), created=1)
    assert made.failure(429, {}, b"{}").http_status == 429
