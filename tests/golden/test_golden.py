"""Every folder under `tests/golden` is translated both ways and compared with what was reviewed."""

import json

import pytest

from llm_core.chat.chunk import fold
from tests.golden.cases import OUTPUTS, Case, all_cases

CASES = all_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_translates_to_what_was_reviewed(case: Case):
    outputs = case.outputs()
    for name in OUTPUTS:
        assert outputs[name] == json.loads((case.folder / name).read_text()), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_says_where_its_provider_body_comes_from(case: Case):
    assert "2026" in (case.folder / "source.md").read_text()


@pytest.mark.parametrize("provider", ["openai", "anthropic", "bedrock", "mistral", "cohere"])
@pytest.mark.parametrize("name", ["text", "tools", "parallel_tools", "reasoning"])
def test_a_streamed_answer_adds_up_to_the_whole_one(provider: str, name: str):
    """The two folders hold the same answer, sent the two ways; only the envelope may differ."""
    cases = {case.id: case.outputs() for case in CASES}
    whole = cases[f"{provider}/{name}"]
    streamed = cases[f"{provider}/{name}_stream"]
    folded = fold(streamed["openai_response.json"]["chunks"])
    assert _said(folded) == _said(whole["openai_response.json"])
    assert streamed["usage.json"] == whole["usage.json"]


def _said(body: dict) -> list[tuple]:
    said = []
    for choice in body["choices"]:
        message = {k: v for k, v in choice["message"].items() if v not in (None, [])}
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        said.append((choice["index"], choice["finish_reason"], message))
    return said
