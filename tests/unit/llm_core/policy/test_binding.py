from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from llm_core.policy.binding import bound, priority_of
from llm_core.policy.limits import Limit, Measure, Priority, Raise
from tests.fakes.clock import NOON
from tests.fakes.samples import CALLER, chat_body, chat_call

CALL = chat_call(chat_body(model="mini"))
WHOLE = Limit(
    "team:search",
    Measure.TOKENS_PER_MINUTE,
    Decimal(100),
    interactive_share=Decimal("0.3"),
    raises=(Raise(Decimal(50), NOON, NOON + timedelta(hours=1)),),
)
SMALL = Limit("team:search", Measure.USD_PER_DAY, Decimal(1), "group:small", ("mini", "nano"))
LARGE = Limit("team:search", Measure.USD_PER_DAY, Decimal(1), "model:large", ("large",))
INTERACTIVE, BATCH = Priority.INTERACTIVE, Priority.BATCH


@pytest.mark.parametrize(
    ("key", "request_", "whole"),
    [
        (INTERACTIVE, INTERACTIVE, INTERACTIVE),
        (INTERACTIVE, BATCH, BATCH),
        (BATCH, INTERACTIVE, BATCH),
        (BATCH, BATCH, BATCH),
    ],
)
def test_a_call_is_batch_when_the_key_or_the_request_says_so(
    key: Priority, request_: Priority, whole: Priority
) -> None:
    caller, call = replace(CALLER, priority=key), replace(CALL, priority=request_)
    assert priority_of(caller, call) is whole
    assert bound(caller, call, NOON)[1].priority is whole


def test_a_call_meets_the_limits_of_its_model_and_those_of_every_model() -> None:
    caller, _ = bound(replace(CALLER, limits=(WHOLE, SMALL, LARGE)), CALL, NOON)
    assert [limit.key for limit in caller.limits] == [WHOLE.key, SMALL.key]
    # Which rows of the ledger are a limit's own is known by the models.
    assert caller.limits[1].models == ("mini", "nano")


def test_raises_and_shares_are_worked_into_the_amount() -> None:
    caller = replace(CALLER, limits=(WHOLE,))

    def amount(priority: Priority, after_s: float) -> Decimal:
        at = NOON + timedelta(seconds=after_s)
        bounded, _ = bound(caller, replace(CALL, priority=priority), at)
        [limit] = bounded.limits
        assert (limit.raises, limit.interactive_share, limit.key) == ((), 0, WHOLE.key)
        return limit.amount

    assert (amount(INTERACTIVE, -1), amount(BATCH, -1)) == (100, 70)
    assert (amount(INTERACTIVE, 0), amount(BATCH, 0)) == (150, 105)
    assert (amount(INTERACTIVE, 3600), amount(BATCH, 3600)) == (100, 70)


def test_bound_twice_is_bound_once() -> None:
    once = bound(replace(CALLER, limits=(WHOLE, SMALL, LARGE)), CALL, NOON)
    assert bound(*once, NOON) == once
