"""A caller, two deployments and their answers, to start a test from."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from llm_core.catalogue import Catalogue, Deployment, Model, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.digest import canonical, sha256_hex
from llm_core.operation import Operation
from llm_core.policy.cache_key import question_digest
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller, ProofOfIdentity
from llm_core.policy.decision import Decision, PricedDeployment, Transport
from llm_core.pricing.charge import ModelPrice, Rates
from policy_service.ports.ledger import UsageRow
from tests.fakes.clock import NOON

CALLER = Caller(
    "acme", "engineering", "search", ProofOfIdentity.API_KEY, key_id="key-1", allowed_models=("*",)
)
OPENAI = Deployment(
    "openai-mini",
    ProviderKind.OPENAI,
    "gpt-4o-mini",
    "https://openai.test/v1",
    region="us",
    credential="openai",
    max_output_tokens=100,
)
AZURE = Deployment(
    "azure-mini",
    ProviderKind.AZURE_OPENAI,
    "mini",
    "https://azure.test",
    region="eu",
    credential="azure_openai",
    price_provider="openai",
    price_model="gpt-4o-mini",
    max_output_tokens=50,
)
CLAUDE = Deployment(
    "anthropic-sonnet",
    ProviderKind.ANTHROPIC,
    "claude-sonnet-4-5",
    "https://anthropic.test:8443",
    region="eu",
    credential="anthropic",
    max_output_tokens=100,
)
# A dollar for a million tokens in, two for a million out.
PRICE = ModelPrice("v1", Rates(input=Decimal(1), output=Decimal(2)))
CATALOGUE = Catalogue(
    [Model("mini", (OPENAI,)), Model("both", (OPENAI, AZURE)), Model("sonnet", (CLAUDE,))]
)
# A stream of two fallbacks through the relay.
USAGE_ROW = UsageRow(
    decision_id="dec_1",
    at=NOON,
    organisation="acme",
    department="engineering",
    team="search",
    project=None,
    user="sam",
    application=None,
    key_id="key-1",
    operation="chat.completions",
    asked_model="mini",
    routed_model="gpt-4o-mini",
    served_model="gpt-4o-mini-2024-07-18",
    deployment_id="openai-mini",
    provider="openai",
    region="us",
    transport="relay",
    is_streaming=True,
    http_status=200,
    error_class="none",
    source="provider",
    input_tokens=12,
    cached_input_tokens=None,
    cache_write_tokens=None,
    output_tokens=3,
    reasoning_tokens=None,
    usd=Decimal("0.25"),
    price_version="v1",
    policy_revision="rev-7",
    total_ms=900.0,
    time_to_first_token_ms=200.0,
    overhead_ms=100.0,
    fallbacks=2,
    cache="miss",
)
SECRETS = {"openai": "sk-openai", "azure_openai": "azure-key", "anthropic": "sk-ant"}


def chat_body(**fields: Any) -> bytes:
    """A chat request as a client sends it."""
    body = {"model": "mini", "messages": [{"role": "user", "content": "hello there"}], **fields}
    return json.dumps(body).encode()


def chat_call(body: bytes, prompt_tokens: int = 10) -> Call:
    """The facts of a request."""
    request = ChatRequest.parse(body)
    digest = sha256_hex(canonical(request.fields))
    return Call(
        Operation.CHAT_COMPLETIONS,
        asked_model=request.model,
        is_streaming=request.is_streaming,
        prompt_tokens=prompt_tokens,
        max_output_tokens=request.max_output_tokens,
        choices=request.choices,
        body_digest=digest,
        question_digest=question_digest(Operation.CHAT_COMPLETIONS, request.fields, digest),
        body_bytes=len(body),
    )


def decision(*deployments: Deployment, **fields: Any) -> Decision:
    """An allowed call's decision: direct to one deployment, by the relay to more."""
    permitted = tuple(PricedDeployment(one, PRICE) for one in deployments or (OPENAI,))
    made = Decision(
        decision_id="dec_1",
        policy_revision="rev-7",
        transport=Transport.DIRECT if len(permitted) == 1 else Transport.RELAY,
        ticket="gt1.ticket",
        deployments=permitted,
        headers={"x-gatehouse-decision-id": "dec_1"},
        issued_at=NOON,
    )
    return replace(made, **fields)


def openai_answer(text: str = "hi", **fields: Any) -> bytes:
    """OpenAI's whole answer: 12 tokens in, 3 out."""
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_763_640_000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
        **fields,
    }
    return json.dumps(body).encode()


def anthropic_answer(text: str = "hi") -> bytes:
    """Anthropic's whole answer: 12 tokens in, 3 out."""
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": 3},
    }
    return json.dumps(body).encode()


def openai_events(*words: str, is_done: bool = True, has_usage: bool = True) -> list[bytes]:
    """OpenAI's stream, one piece an event: a chunk a word, the end, usage (12 in, 3 out), DONE."""
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    deltas: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
        for word in words
    ]
    if is_done:
        deltas.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if has_usage:
            usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
            deltas.append({"choices": [], "usage": usage})
    events = [b"data: " + json.dumps({**head, **delta}).encode() + b"\n\n" for delta in deltas]
    return [*events, b"data: [DONE]\n\n"] if is_done else events
