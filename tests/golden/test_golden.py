"""Every folder under `tests/golden` is translated both ways and compared with what was reviewed."""

import json

import pytest

from llm_core.catalogue import ProviderKind
from llm_core.chat.chunk import fold
from tests.golden.cases import OUTPUTS, Case, all_cases

CASES = all_cases()
FEATURES = ("text", "tools", "parallel_tools", "image", "json_schema", "reasoning")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_translates_to_what_was_reviewed(case: Case):
    outputs = case.outputs()
    for name in OUTPUTS:
        assert outputs[name] == json.loads((case.folder / name).read_text()), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_says_where_its_provider_body_comes_from(case: Case):
    assert "2026" in (case.folder / "source.md").read_text()


@pytest.mark.parametrize("provider", ProviderKind)
def test_every_provider_has_a_case_of_every_feature_whole_and_streamed(provider: ProviderKind):
    """A new provider brings them all; so far there is none that cannot do one of them.

    Errors go by their kind, `error_rate_limit` for example; one of them is enough.
    """
    names = {case.folder.name for case in CASES if case.provider is provider}
    cells = {*FEATURES, *(f"{name}_stream" for name in FEATURES), "error_in_stream"}
    assert not cells - names
    assert any(name.startswith("error_") for name in names - cells)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_case_is_a_stream_when_its_name_says_so(case: Case):
    is_stream = case.folder.name.endswith("_stream")
    assert case.request.is_streaming == is_stream
    assert (case.stream is not None) == is_stream


@pytest.mark.parametrize("provider", ProviderKind)
@pytest.mark.parametrize("name", FEATURES)
def test_a_streamed_answer_adds_up_to_the_whole_one(provider: ProviderKind, name: str):
    """The two folders hold the same answer, sent the two ways; only the envelope may differ."""
    cases = {case.id: case for case in CASES}
    whole = cases[f"{provider.value}/{name}"].outputs()
    streamed = cases[f"{provider.value}/{name}_stream"].outputs()
    folded = fold(streamed["openai_response.json"]["chunks"])
    assert _said(folded) == _said(whole["openai_response.json"])
    assert streamed["usage.json"] == whole["usage.json"]


@pytest.mark.parametrize("provider", ProviderKind)
@pytest.mark.parametrize("name", FEATURES)
def test_a_case_holds_the_feature_that_its_name_says(provider: ProviderKind, name: str):
    case = next(case for case in CASES if case.id == f"{provider.value}/{name}")
    outputs = case.outputs()
    message = outputs["openai_response.json"]["choices"][0]["message"]
    calls = message.get("tool_calls") or []
    holds = {
        "text": bool(message["content"]),
        "tools": len(calls) == 1,
        "parallel_tools": len(calls) > 1,
        "image": any(part["type"] == "image_url" for part in case.request.content_parts()),
        "json_schema": case.request.response_format == "json_schema",
        "reasoning": bool(
            message.get("reasoning_content") or outputs["usage.json"]["reasoning_tokens"]
        ),
    }
    assert holds[name]
    if name == "json_schema":
        assert isinstance(json.loads(message["content"]), dict)


def _said(body: dict) -> list[tuple]:
    said = []
    for choice in body["choices"]:
        message = {k: v for k, v in choice["message"].items() if v not in (None, [])}
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        said.append((choice["index"], choice["finish_reason"], message))
    return said
