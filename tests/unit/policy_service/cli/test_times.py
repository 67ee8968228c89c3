from datetime import UTC, datetime

import pytest
import typer

from policy_service.cli.amounts import asked_amount, plain
from policy_service.cli.failures import MISUSED
from policy_service.cli.times import asked_moment, asked_span, minute


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (None, ""),
        ("2026-12-01T00:30:59.5Z", "2026-12-01 00:30"),
        ("2026-12-01T00:30:00+02:00", "2026-11-30 22:30"),
    ],
)
def test_an_instant_is_shown_in_utc(at: str | None, told: str) -> None:
    assert minute(at) == told


def test_a_moment_is_a_span_from_now_or_has_its_zone() -> None:
    assert asked_moment("2026-12-01T02:00+02:00") == datetime(2026, 12, 1, tzinfo=UTC)
    assert asked_moment("2d") > datetime.now(UTC)


@pytest.mark.parametrize("read", [asked_moment, asked_span, asked_amount])
@pytest.mark.parametrize("typed", ["", "soon", "2026-12-01T02:00", "inf", "5 days"])
def test_what_is_none_ends_with_two(
    read: object, typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(read)
    with pytest.raises(typer.Exit) as ended:
        read(typed)
    assert ended.value.exit_code == MISUSED
    assert f"{typed!r} is no" in capsys.readouterr().err


@pytest.mark.parametrize(("amount", "told"), [(None, ""), ("20.000000", "20"), ("1E+3", "1000")])
def test_an_amount_is_shown_without_what_nobody_needs(amount: object, told: str) -> None:
    assert plain(amount) == told
