"""When calls were kept away from a deployment, out of its breaker's steps."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.api.reliability import BreakerStep
from dashboard.frames.breakers import HALF_OPEN, OPEN, periods_frame, steps_frame

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = (NOON, NOON + timedelta(hours=12))


def step(second: int, before: str, after: str, until: int | None = None) -> BreakerStep:
    return BreakerStep(
        at=NOON + timedelta(seconds=second),
        deployment_id="d",
        provider="openai",
        model="m",
        before=before,
        after=after,
        reason="retry_after",
        opens_until=None if until is None else NOON + timedelta(seconds=until),
    )


ROUND = [
    step(10, "closed", "open", 15),
    step(15, "open", "half_open"),
    step(40, "half_open", "closed"),
]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (ROUND, [(OPEN, 10, 15), (HALF_OPEN, 15, 40)]),
        # It was open when the time began.
        (ROUND[1:], [(OPEN, 0, 15), (HALF_OPEN, 15, 40)]),
        (ROUND[2:], [(HALF_OPEN, 0, 40)]),
        # Nobody has called since: time alone makes it half-open, and closed after an hour.
        (ROUND[:1], [(OPEN, 10, 15), (HALF_OPEN, 15, 3615)]),
        (ROUND[:2], [(OPEN, 10, 15), (HALF_OPEN, 15, 3615)]),
        # What was forgotten meanwhile begins anew.
        ([ROUND[0], step(9000, "closed", "open", 9005)],
         [(OPEN, 10, 15), (HALF_OPEN, 15, 3615), (OPEN, 9000, 9005), (HALF_OPEN, 9005, 12605)]),
        # A provider put it off.
        ([ROUND[0], step(30, "open", "half_open"), ROUND[2]],
         [(OPEN, 10, 30), (HALF_OPEN, 30, 40)]),
        ([], []),
    ],
)  # fmt: skip
def test_periods_go_from_step_to_step(
    steps: list[BreakerStep], expected: list[tuple[str, int, int]]
):
    frame = periods_frame(steps[::-1], DAY, "UTC")
    start = NOON.replace(tzinfo=None)
    found = [
        (state, (one - start).total_seconds(), (end - start).total_seconds())
        for state, one, end in zip(frame["state"], frame["start"], frame["end"], strict=True)
    ]
    assert found == expected
    assert frame["seconds"].to_list() == [end - one for _, one, end in expected]


def test_what_goes_on_is_cut_where_the_time_ends():
    frame = periods_frame(ROUND[:1], (NOON, NOON + timedelta(seconds=12)), "UTC")
    assert frame["seconds"].to_list() == [2]


def test_steps_are_told_in_words_and_in_the_chosen_zone():
    [line] = steps_frame([step(10, "half_open", "open")], "Europe/Berlin").to_dict("records")
    assert line["at"] == "2026-11-20 13:00:10"
    assert line["change"] == "half-open → open"
    assert line["reason"] == "retry after"
