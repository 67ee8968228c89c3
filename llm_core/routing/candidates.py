"""Which of the permitted deployments can serve a call at all.

Policy judges every deployment of the model first, so that its reasons are complete and so that a
caller who may not use a model does not learn what it can do. What is left is judged here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_core.catalogue import Deployment
from llm_core.errors import UnsupportedParameter
from llm_core.operation import Operation
from llm_core.policy.allowance import max_output_tokens, reserved_prompt_tokens
from llm_core.policy.call import Call
from llm_core.policy.decision import Obligations, PricedDeployment

CHAT_LIKE = frozenset(
    {
        Operation.CHAT_COMPLETIONS,
        Operation.COMPLETIONS,
        Operation.RESPONSES,
        Operation.MESSAGES,
    }
)
"""Each of these is served by any chat model: the gateway translates."""

_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True)
class Lack:
    """Why a deployment cannot serve a call.

    Args:
        param: The field of the request that asks for too much, in OpenAI's dotted form.
        told: The end of a sentence that begins with the provider's name.
    """

    param: str
    told: str


def lack_of(call: Call, deployment: Deployment, obligations: Obligations) -> Lack | None:
    """Say what a deployment lacks for this call; `None` when it can serve it.

    The context window is held against the estimated prompt and the longest answer together: the
    answer's length is always told to the provider, and providers refuse what does not fit.
    """
    if not serves(deployment, call.operation):
        return Lack("model", f"does not serve {call.operation.value}")
    if call.has_tools and not deployment.can_use_tools:
        return Lack("tools", "takes no tools")
    if call.has_images and not deployment.can_see_images:
        return Lack("messages", "takes no images")
    if call.response_format == _SCHEMA and not deployment.can_follow_schema:
        return Lack("response_format", "cannot be held to a JSON schema")
    return _too_long(call, deployment, obligations)


def serves(deployment: Deployment, operation: Operation) -> bool:
    """Whether a deployment serves an operation, natively or by translation.

    One that names no operations is a chat model. One that names some serves these; with chat
    completions among them, whatever can be translated to them as well.
    """
    if deployment.operations is None:
        return operation in CHAT_LIKE
    if operation in deployment.operations:
        return True
    return operation in CHAT_LIKE and Operation.CHAT_COMPLETIONS in deployment.operations


def capable(
    call: Call, permitted: Sequence[PricedDeployment], obligations: Obligations
) -> tuple[PricedDeployment, ...]:
    """Keep the deployments that can serve the call, in their order.

    Raises:
        UnsupportedParameter: None can; the message says of each provider what it lacks.
    """
    lacks = [(one, lack_of(call, one.deployment, obligations)) for one in permitted]
    left = tuple(one for one, lack in lacks if lack is None)
    if left or not permitted:
        return left
    found = [(one.deployment, lack) for one, lack in lacks if lack is not None]
    params = {lack.param for _, lack in found}
    told = dict.fromkeys(f"{one.provider_name} ({one.model}) {lack.told}" for one, lack in found)
    raise UnsupportedParameter(
        f"The model {call.asked_model[:200]!r} cannot serve this call: {'; '.join(told)}.",
        param=params.pop() if len(params) == 1 else "model",
    )


def _too_long(call: Call, deployment: Deployment, obligations: Obligations) -> Lack | None:
    window = deployment.context_tokens
    if window is None:
        return None
    prompt = reserved_prompt_tokens(call, deployment)
    answer = max_output_tokens(call.max_output_tokens, deployment, obligations)
    if prompt + answer <= window:
        return None
    if call.operation is Operation.EMBEDDINGS:
        return Lack("input", f"takes {window} tokens, and the input has about {prompt}")
    return Lack(
        "messages",
        f"has a context of {window} tokens, and the call may come to {prompt + answer} "
        f"(about {prompt} in the prompt, {answer} in the answer)",
    )
