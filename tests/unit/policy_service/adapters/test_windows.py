from datetime import UTC, datetime

import pytest

from llm_core.policy.limits import Period
from policy_service.adapters.windows import BUCKETS, epoch_ms
from policy_service.periods import SLIDING, sliding_start

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_milliseconds_are_whole_and_rounded_down() -> None:
    assert epoch_ms(datetime(1970, 1, 1, 0, 0, 1, 999, tzinfo=UTC)) == 1000
    assert epoch_ms(datetime(2026, 11, 20, 12, 0, 0, 1999, tzinfo=UTC)) == 1_795_176_000_001


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        epoch_ms(datetime(2026, 11, 20))  # noqa: DTZ001


@pytest.mark.parametrize("period", SLIDING)
@pytest.mark.parametrize("second", [0, 0.001, 299.999, 300, 3599.999])
def test_the_oldest_bucket_of_the_ledger_is_the_oldest_that_counts(
    period: Period, second: float
) -> None:
    now = datetime.fromtimestamp(NOON.timestamp() + second, UTC)
    buckets = BUCKETS[period]
    oldest = buckets.beginning_at(epoch_ms(sliding_start(period, now)))
    assert buckets.leaves_at_ms(oldest) > epoch_ms(now) >= buckets.leaves_at_ms(oldest - 1)


@pytest.mark.parametrize("period", SLIDING)
def test_a_bucket_holds_what_was_taken_up_to_its_end(period: Period) -> None:
    buckets = BUCKETS[period]
    number = buckets.beginning_at(epoch_ms(NOON))
    assert buckets.number(epoch_ms(NOON)) == number - 1
    assert buckets.number(epoch_ms(NOON) + 1) == number
    assert buckets.number(epoch_ms(NOON) + buckets.bucket_ms) == number
