"""Months to choose from. Pure."""

from datetime import date


def months(today: date, count: int = 12) -> list[str]:
    """The latest months, this one first, written `2026-11`."""
    last = today.year * 12 + today.month - 1
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(last, last - count, -1)]
