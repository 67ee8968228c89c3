"""In which order the deployments that may serve a call are tried.

The order holds every deployment it is given, and no other: the first gets the call, the rest are
where it goes when that one fails. Chance comes in as `draw`, which gives numbers from 0 up to 1.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from llm_core.catalogue import Deployment, Model, Strategy
from llm_core.digest import sha256_hex
from llm_core.policy.allowance import max_output_tokens, reserved_prompt_tokens
from llm_core.policy.call import Call
from llm_core.policy.decision import Obligations, PricedDeployment
from llm_core.pricing.charge import usd_for
from llm_core.routing.facts import UNKNOWN, BreakerState, DeploymentFacts
from llm_core.tokens.usage import TokenUsage

EXPLORED_SHARE = 0.1
"""`fastest` sends this share of the calls to another deployment than the fastest, to measure it."""

TRIAL_SHARE = 0.2
"""While a deployment is half-open, this share of the calls tries it first.

Without it a deployment with a healthy one beside it would never be tried again, and its breaker
never close. Over all processes one call at a time really goes there (`Health.may_try`).
"""

_USUAL_ANSWER_TOKENS = 250
"""What `fastest` weighs a stream's pace with, against the time to its first token."""

_HASH_BITS = 64
_FAR_OFF = datetime.max.replace(tzinfo=UTC)

Draw = Callable[[], float]
Facts = Mapping[str, DeploymentFacts]
Choices = Sequence[PricedDeployment]


def in_order(
    model: Model,
    call: Call,
    choices: Choices,
    obligations: Obligations,
    *,
    facts: Facts,
    draw: Draw,
) -> tuple[PricedDeployment, ...]:
    """Order the deployments: healthy ones by the model's strategy, then half-open, then open ones.

    A call with a prompt-cache key to a sticky model is ordered by that key instead, whatever the
    strategy: all of its healthy deployments share the keys by weight.

    Args:
        model: Says which strategy.
        call: Says how much it will take, and its prompt-cache key.
        choices: Permitted and capable, in the catalogue's order; each at most once.
        obligations: They bound the answer's length.
        facts: By deployment id; who is not named is unknown, which is healthy.
        draw: A random number, 0 <= x < 1.
    """
    if model.is_sticky and call.affinity:
        wished = by_affinity(choices, call.affinity)
    else:
        wished = _BY_STRATEGY[model.strategy](choices, call, obligations, facts, draw)
    return healthy_first(wished, facts)


def healthy_first(choices: Choices, facts: Facts) -> tuple[PricedDeployment, ...]:
    """Move half-open ones behind the healthy, and open ones to the end, soonest tried again first.

    Within each of the first two, the order stays.
    """
    places = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}

    def place(priced: PricedDeployment) -> tuple[int, datetime]:
        known = _known(facts, priced)
        is_open = known.breaker is BreakerState.OPEN
        return places[known.breaker], (known.opens_until if is_open else None) or _FAR_OFF

    return tuple(sorted(choices, key=place))


def with_trial(order: Choices, facts: Facts, draw: Draw) -> tuple[PricedDeployment, ...]:
    """For `TRIAL_SHARE` of the calls, put the first half-open deployment in front."""
    for priced in order:
        if _known(facts, priced).breaker is BreakerState.HALF_OPEN:
            if draw() < TRIAL_SHARE:
                return (priced, *(other for other in order if other is not priced))
            break
    return tuple(order)


def by_priority(
    choices: Choices, _call: Call, _obligations: Obligations, _facts: Facts, _draw: Draw
) -> list[PricedDeployment]:
    """As the catalogue has them."""
    return list(choices)


def by_price(
    choices: Choices, call: Call, obligations: Obligations, _facts: Facts, _draw: Draw
) -> list[PricedDeployment]:
    """The cheapest for this call first; at the same price, as the catalogue has them.

    All are compared at an answer of the same length, the longest that each of them could give: else
    a deployment would look cheap because its answers must be short.
    """
    lengths = [
        max_output_tokens(call.max_output_tokens, c.deployment, obligations) for c in choices
    ]
    answer = call.choices * min(lengths, default=0)

    def usd(priced: PricedDeployment) -> Decimal:
        prompt = reserved_prompt_tokens(call, priced.deployment)
        return usd_for(TokenUsage(input_tokens=prompt, output_tokens=answer), priced.price)

    return sorted(choices, key=usd)


def by_speed(
    choices: Choices, call: Call, _obligations: Obligations, facts: Facts, draw: Draw
) -> list[PricedDeployment]:
    """The fastest first: by the time in which it would have given a usual answer.

    Those that nobody has measured, or not lately, stand behind the measured ones. For
    `EXPLORED_SHARE` of the calls another one goes first: one that is not measured, where there is
    one, else any but the fastest. All of these are equally likely; only healthy ones are explored.
    """
    paces = [pace for one in choices if (pace := _known(facts, one).tokens_per_s)]
    usual_pace = sum(paces) / len(paces) if paces else math.inf
    answer = min(_USUAL_ANSWER_TOKENS, call.max_output_tokens or _USUAL_ANSWER_TOKENS)

    def expected_ms(priced: PricedDeployment) -> float:
        known = _known(facts, priced)
        if known.time_to_first_token_ms is None:
            return math.inf
        return known.time_to_first_token_ms + 1000 * answer / (known.tokens_per_s or usual_pace)

    order = sorted(choices, key=expected_ms)
    if draw() < EXPLORED_SHARE:
        healthy = [one for one in order if _known(facts, one).is_healthy]
        unmeasured = [one for one in healthy if math.isinf(expected_ms(one))]
        explored = unmeasured or healthy[1:]
        if explored:
            first = explored[int(draw() * len(explored))]
            return [first, *(one for one in order if one is not first)]
    return order


def by_weight(
    choices: Choices, _call: Call, _obligations: Obligations, _facts: Facts, draw: Draw
) -> list[PricedDeployment]:
    """At random, each as often first as its weight says; the rest are drawn likewise.

    One without weight comes last: it is there for when the others fail.

    Source:
        Efraimidis and Spirakis, "Weighted random sampling with a reservoir",
        https://doi.org/10.1016/j.ipl.2005.11.003
    """
    keys = {one.deployment.id: _key(draw(), one.deployment) for one in choices}
    return sorted(choices, key=lambda one: keys[one.deployment.id])


def by_affinity(choices: Choices, affinity: str) -> list[PricedDeployment]:
    """Always the same order for the same key, whichever other deployments are there.

    When one goes, only its keys move, and each to where it always stood second; when one comes, it
    takes only its share.

    Source:
        Weighted rendezvous hashing,
        https://en.wikipedia.org/wiki/Rendezvous_hashing
    """

    def key(priced: PricedDeployment) -> float:
        digest = sha256_hex(f"{affinity}\n{priced.deployment.id}".encode())
        return _key(int(digest[: _HASH_BITS // 4], 16) / 2**_HASH_BITS, priced.deployment)

    return sorted(choices, key=key)


_BY_STRATEGY: Mapping[
    Strategy, Callable[[Choices, Call, Obligations, Facts, Draw], list[PricedDeployment]]
] = {
    Strategy.PRIORITY: by_priority,
    Strategy.CHEAPEST: by_price,
    Strategy.FASTEST: by_speed,
    Strategy.WEIGHTED: by_weight,
}


def _key(uniform: float, deployment: Deployment) -> float:
    """An exponentially distributed number; of several, the smallest is one's own by weight."""
    if deployment.weight <= 0:
        return math.inf
    # 64 hashed bits can round up to 1.0, and the logarithm of 0 is no number.
    return -math.log(max(1.0 - uniform, 2.0**-53)) / deployment.weight


def _known(facts: Facts, priced: PricedDeployment) -> DeploymentFacts:
    return facts.get(priced.deployment.id, UNKNOWN)
