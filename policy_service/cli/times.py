"""Moments and spans of time as people type and read them."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from policy_service.cli.failures import misused

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def span_of(text: str) -> timedelta | None:
    """What `30m`, `12h` or `90d` says; `None` when it is none of these."""
    found = re.fullmatch(r"(0|[1-9][0-9]{0,4})([mhd])", text, re.ASCII)
    return None if found is None else timedelta(**{_UNITS[found[2]]: int(found[1])})


def asked_span(text: str) -> timedelta:
    """The same; ends the command when it is none."""
    span = span_of(text)
    if span is None:
        raise misused(f"{text!r} is no time: write 30m, 24h or 90d")
    return span


def asked_moment(text: str) -> datetime:
    """So far from now, or an instant with its zone; ends the command when it is neither."""
    span = span_of(text)
    if span is not None:
        return datetime.now(UTC) + span
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment
    raise misused(f"{text!r} is no time: write 30m, 12h, 7d, or 2026-12-01T00:00:00Z")


def minute(at: str | None) -> str:
    """An instant of JSON as a table shows it: UTC."""
    return "" if at is None else f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M}"
