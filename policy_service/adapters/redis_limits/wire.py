"""Limits, amounts and answers as the scripts read and write them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from llm_core.policy.limits import LimitState, Measure
from policy_service.adapters.counters import Counter, Kind
from policy_service.adapters.pico_usd import micro_text, usd_of
from policy_service.adapters.windows import BUCKETS, epoch_ms
from policy_service.ports.limits import Spent


def _shape(measure: Measure) -> str:
    """What `counters.lua` calls a shape, but for the kind."""
    buckets = BUCKETS.get(measure.period)
    window_ms, bucket_ms = (buckets.window_ms, buckets.bucket_ms) if buckets else (0, 0)
    return f"{measure.quantity} {window_ms} {bucket_ms} {int(measure.period.is_from_ledger)}"


_SHAPES = {measure: _shape(measure) for measure in Measure}


def shape(counter: Counter) -> str:
    """Five words: kind, what it counts, window ms, bucket ms, and 1 if made from the ledger."""
    return f"{counter.kind} {_SHAPES[counter.limit.measure]}"


def amount_text(measure: Measure, amount: Decimal) -> str:
    """An amount as `amounts.lua` reads it."""
    return micro_text(amount) if measure.is_money else str(amount)


def amount_of(measure: Measure, text: str) -> Decimal:
    """The amount that a script wrote."""
    return usd_of(text) if measure.is_money else Decimal(text)


def shape_and_amount(counter: Counter) -> str:
    """Six words, for `reserve.lua`."""
    return f"{shape(counter)} {amount_text(counter.limit.measure, counter.amount)}"


def told(counter: Counter, spent: Sequence[Spent]) -> bytes:
    """What `from_ledger.lua` wants to know, JSON."""
    limit, span = counter.limit, counter.span
    return msgspec.json.encode(
        {
            "shape": shape(counter),
            "node": limit.node,
            "is_scoped": bool(limit.scope),
            "models": limit.models,
            "starts_ms": epoch_ms(span.starts_at) if span else 0,
            "ends_ms": epoch_ms(span.ends_at) if span else 0,
            "spent": [
                (part, amount_text(limit.measure, amount)) for part, amount in counter.parts(spent)
            ],
        }
    )


def states(counters: Sequence[Counter], text: bytes, now: datetime) -> tuple[LimitState, ...]:
    """Two words for each counter: used, and ms until something is free."""
    words = text.decode().split()
    return tuple(
        LimitState(
            counter.limit,
            amount_of(counter.limit.measure, used),
            counter.ends_in_s(now) if counter.kind is Kind.PERIOD else int(free_ms) / 1000,
        )
        for counter, used, free_ms in zip(counters, words[::2], words[1::2], strict=True)
    )
