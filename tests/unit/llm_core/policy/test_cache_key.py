import pytest

from llm_core.digest import canonical, sha256_hex
from llm_core.operation import Operation
from llm_core.policy.cache_key import question_digest


def digest_of(operation: Operation, **fields: object) -> str:
    return question_digest(operation, fields, sha256_hex(canonical(fields)))


def test_a_plain_question_has_its_bodys_digest() -> None:
    assert question_digest(Operation.EMBEDDINGS, {"input": "x"}, "body") == "body"


def test_streamed_and_whole_are_one_question() -> None:
    whole = digest_of(Operation.MESSAGES, model="m", messages=[])
    assert digest_of(Operation.MESSAGES, model="m", messages=[], stream=True) == whole


def test_a_list_of_models_is_no_question() -> None:
    assert question_digest(Operation.MODELS, {}, "body") == ""


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "background", "prompt"])
def test_a_response_that_leans_on_the_providers_state_is_no_question(name: str) -> None:
    assert digest_of(Operation.RESPONSES, model="m", input="x", **{name: "y"}) == ""
    assert digest_of(Operation.RESPONSES, model="m", input="x", **{name: None}) != ""
