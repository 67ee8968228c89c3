"""How much a call may produce at most, and what it takes from every limit at worst."""

from collections.abc import Sequence
from decimal import Decimal

from llm_core.catalogue import Deployment
from llm_core.chat.request import ChatRequest
from llm_core.policy.call import Call
from llm_core.policy.decision import Obligations, PricedDeployment
from llm_core.policy.limits import Amounts
from llm_core.pricing.charge import worst_usd_for


def max_output_tokens(asked: int | None, deployment: Deployment, obligations: Obligations) -> int:
    """The most that one choice may be long: the smallest of what was asked, clamped, and possible.

    The figure is both reserved and told to the provider, so that an answer cannot be longer than
    what was reserved for it.
    """
    caps = [deployment.max_output_tokens]
    if asked is not None:
        caps.append(asked)
    if obligations.max_output_tokens is not None:
        caps.append(obligations.max_output_tokens)
    return min(caps)


def worst_case(
    call: Call, deployments: Sequence[PricedDeployment], obligations: Obligations
) -> Amounts:
    """What the call can take at most, over all deployments it may reach."""
    output = [
        call.choices * max_output_tokens(call.max_output_tokens, priced.deployment, obligations)
        for priced in deployments
    ]
    usd = [
        worst_usd_for(call.prompt_tokens, longest, priced.price)
        for longest, priced in zip(output, deployments, strict=True)
    ]
    return Amounts(
        requests=1,
        tokens=call.prompt_tokens + max(output, default=0),
        usd=max(usd, default=Decimal(0)),
    )


def capped(request: ChatRequest, deployment: Deployment, obligations: Obligations) -> ChatRequest:
    """The request as it may be sent: its length told, and never longer than what was reserved.

    `max_tokens`, OpenAI's older name, gives way to `max_completion_tokens`; a translator writes
    whichever name its provider knows.
    """
    longest = max_output_tokens(request.max_output_tokens, deployment, obligations)
    fields = {name: value for name, value in request.fields.items() if name != "max_tokens"}
    fields["max_completion_tokens"] = longest
    return ChatRequest(fields)
