from typing import Any

from llm_core.chat.chunk import chunk, fold, usage_chunk
from llm_core.tokens.usage import TokenUsage


def said(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return chunk(id_="c", model="m", delta=delta, finish_reason=finish, index=index, created=5)


def test_chunks_add_up_to_the_answer():
    usage = TokenUsage(input_tokens=3, output_tokens=2)
    folded = fold(
        [
            said({"role": "assistant", "content": ""}),
            said({"reasoning_content": "hm"}),
            said({"content": "Hel"}),
            said({"content": "lo"}),
            said({}, "stop"),
            usage_chunk(id_="c", model="m", usage=usage, created=5),
        ]
    )
    assert folded == {
        "id": "c",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "reasoning_content": "hm"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def test_choices_and_calls_that_come_interleaved_are_kept_apart():
    def call(index: int, **more: object) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, **more}]}

    folded = fold(
        [
            said(call(1, id="b", type="function", function={"name": "g", "arguments": ""})),
            said(call(0, id="a", type="function", function={"name": "f", "arguments": "{"})),
            said({"content": "other"}, index=1),
            said(call(1, function={"arguments": "{}"})),
            said(call(0, function={"arguments": "}"})),
            said({}, "stop", index=1),
            said({}, "tool_calls"),
        ]
    )
    first, second = folded["choices"]
    assert [c["id"] for c in first["message"]["tool_calls"]] == ["a", "b"]
    assert [c["function"]["arguments"] for c in first["message"]["tool_calls"]] == ["{}", "{}"]
    assert second["message"]["content"] == "other"


def test_a_stream_that_broke_off_has_no_reason_and_no_usage():
    folded = fold([said({"content": "Hel"})])
    assert folded["choices"][0]["finish_reason"] is None
    assert "usage" not in folded


def test_log_probabilities_and_the_older_function_call_are_kept():
    one = said({"content": "a"})
    one["choices"][0]["logprobs"] = {"content": [{"token": "a"}], "refusal": None}
    two = said({"content": "b", "function_call": {"name": "f", "arguments": "{"}})
    two["choices"][0]["logprobs"] = {"content": [{"token": "b"}], "refusal": None}
    folded = fold([one, two, said({"function_call": {"arguments": "}"}})])["choices"][0]
    assert folded["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}], "refusal": None}
    assert folded["message"]["function_call"] == {"name": "f", "arguments": "{}"}


def test_nothing_folds_to_an_answer_without_choices():
    assert fold([])["choices"] == []
