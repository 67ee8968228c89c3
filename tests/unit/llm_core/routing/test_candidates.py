from dataclasses import replace
from typing import Any

import pytest

from llm_core.catalogue import Deployment
from llm_core.errors import UnsupportedParameter
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.decision import Obligations, PricedDeployment
from llm_core.routing.candidates import capable, lack_of, serves
from tests.fakes.samples import AZURE, CLAUDE, OPENAI, PRICE

CALL = Call(Operation.CHAT_COMPLETIONS, asked_model="mini", prompt_tokens=1000)
NOTHING = Obligations()
CHAT_LIKE = {
    Operation.CHAT_COMPLETIONS,
    Operation.COMPLETIONS,
    Operation.RESPONSES,
    Operation.MESSAGES,
}


def priced(*deployments: Deployment) -> list[PricedDeployment]:
    return [PricedDeployment(one, PRICE) for one in deployments]


@pytest.mark.parametrize(
    ("named", "served"),
    [
        (None, CHAT_LIKE),
        ((Operation.EMBEDDINGS,), {Operation.EMBEDDINGS}),
        ((Operation.CHAT_COMPLETIONS,), CHAT_LIKE),
        (
            (Operation.CHAT_COMPLETIONS, Operation.EMBEDDINGS),
            {*CHAT_LIKE, Operation.EMBEDDINGS},
        ),
        ((Operation.RESPONSES,), {Operation.RESPONSES}),
        ((), set()),
    ],
)
def test_a_chat_model_serves_whatever_translates_to_chat_and_embeddings_are_named(
    named: tuple[Operation, ...] | None, served: set[Operation]
) -> None:
    deployment = replace(OPENAI, operations=named)
    assert {one for one in Operation if serves(deployment, one)} == served


@pytest.mark.parametrize(
    ("asked", "lacking", "param", "told"),
    [
        ({"operation": Operation.EMBEDDINGS}, {}, "model", "does not serve embeddings"),
        ({"has_tools": True}, {"can_use_tools": False}, "tools", "takes no tools"),
        ({"has_images": True}, {"can_see_images": False}, "messages", "takes no images"),
        (
            {"response_format": "json_schema"},
            {"can_follow_schema": False},
            "response_format",
            "cannot be held to a JSON schema",
        ),
        (
            {},
            {"context_tokens": 1099},
            "messages",
            "has a context of 1099 tokens, and the call may come to 1100 "
            "(about 1000 in the prompt, 100 in the answer)",
        ),
    ],
)
def test_what_a_deployment_lacks_is_told_and_only_when_it_is_asked_for(
    asked: dict[str, Any], lacking: dict[str, Any], param: str, told: str
) -> None:
    deployment = replace(OPENAI, **lacking)
    lack = lack_of(replace(CALL, **asked), deployment, NOTHING)
    assert lack
    assert (lack.param, lack.told) == (param, told)
    plain = replace(CALL, prompt_tokens=1)
    assert lack_of(plain, deployment, NOTHING) is None


def test_json_mode_needs_no_schema() -> None:
    deployment = replace(OPENAI, can_follow_schema=False)
    assert lack_of(replace(CALL, response_format="json_object"), deployment, NOTHING) is None


@pytest.mark.parametrize(
    ("asked", "obliged", "fits"), [(None, None, False), (50, None, True), (None, 50, True)]
)
def test_a_shorter_answer_leaves_room_for_the_prompt(
    asked: int | None, obliged: int | None, fits: bool
) -> None:
    deployment = replace(OPENAI, context_tokens=1050)
    call = replace(CALL, max_output_tokens=asked)
    assert (lack_of(call, deployment, Obligations(max_output_tokens=obliged)) is None) is fits


def test_an_embeddings_input_that_is_too_long_names_the_input() -> None:
    deployment = replace(OPENAI, operations=(Operation.EMBEDDINGS,), context_tokens=999)
    call = replace(CALL, operation=Operation.EMBEDDINGS, max_output_tokens=0)
    lack = lack_of(call, deployment, NOTHING)
    assert lack
    assert lack.param == "input"


def test_the_capable_ones_stay_in_their_order() -> None:
    blind = replace(AZURE, can_see_images=False)
    left = capable(replace(CALL, has_images=True), priced(CLAUDE, blind, OPENAI), NOTHING)
    assert [one.deployment for one in left] == [CLAUDE, OPENAI]


def test_when_none_is_capable_the_refusal_names_every_provider_and_what_it_lacks() -> None:
    choices = priced(replace(OPENAI, can_see_images=False), replace(AZURE, can_see_images=False))
    with pytest.raises(UnsupportedParameter) as refused:
        capable(replace(CALL, has_images=True), choices, NOTHING)
    assert refused.value.http_status == 400
    assert refused.value.param == "messages"
    assert refused.value.public_message == (
        "The model 'mini' cannot serve this call: openai (gpt-4o-mini) takes no images; "
        "azure_openai (mini) takes no images."
    )


def test_when_they_lack_different_things_the_model_is_at_fault() -> None:
    choices = priced(replace(OPENAI, can_see_images=False), replace(AZURE, can_use_tools=False))
    with pytest.raises(UnsupportedParameter) as refused:
        capable(replace(CALL, has_images=True, has_tools=True), choices, NOTHING)
    assert refused.value.param == "model"


def test_a_refusal_names_no_addresses_and_no_credentials() -> None:
    secretive = replace(OPENAI, can_use_tools=False, credential="hush", base_url="https://in.test")
    with pytest.raises(UnsupportedParameter) as refused:
        capable(replace(CALL, has_tools=True), priced(secretive), NOTHING)
    assert "hush" not in refused.value.public_message
    assert "in.test" not in refused.value.public_message
