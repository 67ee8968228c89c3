"""Wherever in a request personal data stands, no provider gets it."""

import asyncio
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from llm_core.apis.registry import read_ask
from llm_core.catalogue import Deployment
from llm_core.errors import GatewayError
from llm_core.operation import Operation
from llm_core.policy.decision import PiiMode
from tests.fakes.samples import CLAUDE, OPENAI
from tests.fakes.screener import FakeScreener
from tests.fixtures.screened import asked, pii

MARK = "marked.person@example.org"
SCHEMA = {
    "type": "object",
    "title": "A mail",
    "properties": {
        "to": {"type": "string", "description": "whom", "enum": ["a"], "default": "a",
               "examples": ["a"], "const": "a", "pattern": "a", "format": "email"}
    },
    "required": ["to"],
}  # fmt: skip
BODIES: dict[Operation, dict[str, Any]] = {
    Operation.CHAT_COMPLETIONS: {
        "model": "mini",
        "user": "u",
        "metadata": {"k": "v"},
        "stop": ["x"],
        "safety_identifier": "s",
        "prompt_cache_key": "p",
        "messages": [
            {"role": "developer", "content": "a"},
            {"role": "user", "name": "n", "content": [{"type": "text", "text": "a"}]},
            {
                "role": "assistant",
                "content": "a",
                "refusal": "a",
                "reasoning_content": "a",
                "thinking_blocks": [{"type": "thinking", "thinking": "a", "signature": "s"}],
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a": ["b", {"c": "d"}]}'},
                        "extra_content": {"google": {"thought_signature": "s", "note": "a"}},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": '{"a": "{\\"b\\": \\"c\\"}"}'},
            {"role": "user", "content": "go on"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "a", "parameters": SCHEMA},
            }
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "description": "a", "schema": SCHEMA},
        },
        "brand_new": {"deep": ["a"]},
    },
    Operation.MESSAGES: {
        "model": "mini",
        "max_tokens": 5,
        "system": [{"type": "text", "text": "a"}],
        "metadata": {"user_id": "u"},
        "stop_sequences": ["x"],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "a"},
                {"type": "document", "title": "t", "context": "c",
                 "source": {"type": "text", "media_type": "text/plain", "data": "a"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "a", "signature": "s"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": ["b"], "id": "d"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1",
                 "content": [{"type": "text", "text": "a"}]},
            ]},
        ],
        "tools": [{"name": "f", "description": "a", "input_schema": SCHEMA}],
    },
    Operation.RESPONSES: {
        "model": "mini",
        "instructions": "a",
        "user": "u",
        "metadata": {"k": "v"},
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": "b"}'},
            {"type": "function_call_output", "call_id": "c",
             "output": [{"type": "input_text", "text": "a"}]},
            {"type": "message", "role": "assistant",
             "content": [{"type": "output_text", "text": "a"}]},
            {"role": "user", "content": "a"},
        ],
        "tools": [{"type": "function", "name": "f", "description": "a", "parameters": SCHEMA}],
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}},
    },
    Operation.COMPLETIONS: {"model": "mini", "prompt": "a", "suffix": "", "user": "u"},
    Operation.EMBEDDINGS: {"model": "mini", "input": ["a", "b"], "user": "u"},
}  # fmt: skip


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a text stands; inside of a text that is JSON as well."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, (*path, name))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from leaves(one, (*path, index))
    elif isinstance(value, str):
        yield path
        if value.startswith("{"):
            yield from leaves(json.loads(value), (*path, "<json>"))


def planted(value: Any, path: tuple[Any, ...]) -> Any:
    """The same with the mark in one place."""
    if not path:
        return MARK
    head, *rest = path
    if head == "<json>":
        inner = json.dumps(planted(json.loads(value), tuple(rest)))
        # Written so that no search for the text itself finds it.
        return inner.replace("@", "\\u0040")
    changed = copy.copy(value)
    changed[head] = planted(value[head], tuple(rest))
    return changed


@pytest.mark.parametrize("deployment", [OPENAI, CLAUDE], ids=["openai", "anthropic"])
@pytest.mark.parametrize("operation", BODIES)
def test_a_mark_anywhere_in_a_request_reaches_no_provider(
    operation: Operation, deployment: Deployment
) -> None:
    obligations = pii(PiiMode.REDACT, PiiMode.REDACT)
    screener = FakeScreener()
    tried, leaked = 0, []
    for path in leaves(BODIES[operation]):
        body = json.dumps(planted(BODIES[operation], path)).encode()
        try:
            read_ask(operation, body)
            sent = asyncio.run(asked(screener, operation, body, obligations, deployment)).sent
        except GatewayError:
            continue  # not a place for words, or refused
        tried += 1
        if "marked.person" in sent and path != ("model",):
            leaked.append(path)
    assert leaked == []
    has_none = operation is Operation.EMBEDDINGS and deployment is CLAUDE
    assert has_none or tried >= len(list(leaves(BODIES[operation]))) // 3
