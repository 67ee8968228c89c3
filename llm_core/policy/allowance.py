"""How much a call may produce at most, and what it takes from every limit at worst."""

from collections.abc import Sequence
from decimal import Decimal

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.policy.call import Call
from llm_core.policy.decision import Obligations, PricedDeployment
from llm_core.policy.limits import Amounts
from llm_core.pricing.charge import worst_usd_for

# What a prompt comes to with other vendors' tokenisers, in percent of the estimate, which is made
# with OpenAI's. Claude's counted more from the beginning, and 30 percent more again since Opus 4.7.
# https://platform.claude.com/docs/en/build-with-claude/token-counting (checked 2026-11-20)
_CLAUDES_PERCENT_OF_ESTIMATE = 140

# How far above what is reserved a prompt may turn out, in percent of it, where that decides at
# which price all of it is charged. OpenAI counts with the tokeniser that the estimate is made with:
# what is left is how messages, tools and hidden instructions are framed. Others count with their
# own, and nobody says by how much more.
_OPENAIS_MARGIN_PERCENT = 3
_OTHERS_MARGIN_PERCENT = 25
_COUNT_AS_ESTIMATED = frozenset({ProviderKind.OPENAI, ProviderKind.AZURE_OPENAI})


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


def reserved_prompt_tokens(call: Call, deployment: Deployment) -> int:
    """The input tokens to reserve for a call to one deployment.

    The estimate with a margin for the provider's tokeniser where that is known, rounded up.
    """
    percent = _CLAUDES_PERCENT_OF_ESTIMATE if _is_claude(deployment) else 100
    return _percent_of(call.prompt_tokens, percent)


def most_prompt_tokens(call: Call, deployment: Deployment) -> int:
    """What the input may turn out to be; it chooses the price's long-context tier.

    A call that was estimated just below a tier's start and is counted above it costs, say, twice as
    much for every token. So within a margin it is reserved at that tier.
    """
    reserved = reserved_prompt_tokens(call, deployment)
    if _is_claude(deployment):
        return reserved
    is_exact = deployment.provider in _COUNT_AS_ESTIMATED
    margin = _OPENAIS_MARGIN_PERCENT if is_exact else _OTHERS_MARGIN_PERCENT
    return _percent_of(reserved, 100 + margin)


def _percent_of(tokens: int, percent: int) -> int:
    return -(-tokens * percent // 100)


def _is_claude(deployment: Deployment) -> bool:
    """Anthropic's own, or sold by AWS, whose inference profiles do not always name the model."""
    if deployment.provider is ProviderKind.ANTHROPIC:
        return True
    names = f"{deployment.model} {deployment.price_model}".lower()
    is_named = "anthropic" in names or "claude" in names
    return is_named or (deployment.provider is ProviderKind.BEDROCK and "arn:" in names)


def worst_case(
    call: Call, deployments: Sequence[PricedDeployment], obligations: Obligations
) -> Amounts:
    """What the call can take at most, over all deployments it may reach."""
    inputs, outputs = call.prompt_tokens, 0
    usd = Decimal(0)
    for priced in deployments:
        deployment = priced.deployment
        prompt = reserved_prompt_tokens(call, deployment)
        longest = max_output_tokens(call.max_output_tokens, deployment, obligations)
        output = call.choices * longest
        inputs, outputs = max(inputs, prompt), max(outputs, output)
        most = most_prompt_tokens(call, deployment)
        usd = max(usd, worst_usd_for(prompt, output, priced.price, most_input_tokens=most))
    return Amounts(requests=1, input_tokens=inputs, output_tokens=outputs, usd=usd)


def capped(request: ChatRequest, deployment: Deployment, obligations: Obligations) -> ChatRequest:
    """The request as it may be sent: its length told, and never longer than what was reserved.

    `max_tokens`, OpenAI's older name, gives way to `max_completion_tokens`; a translator writes
    whichever name its provider knows.
    """
    longest = max_output_tokens(request.max_output_tokens, deployment, obligations)
    fields = {name: value for name, value in request.fields.items() if name != "max_tokens"}
    fields["max_completion_tokens"] = longest
    return ChatRequest(fields)
