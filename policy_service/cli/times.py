"""Spans of time as people type them."""

import re
from datetime import timedelta

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def span_of(text: str) -> timedelta | None:
    """What `30m`, `12h` or `90d` says; `None` when it is none of these."""
    found = re.fullmatch(r"(0|[1-9][0-9]{0,4})([mhd])", text, re.ASCII)
    return None if found is None else timedelta(**{_UNITS[found[2]]: int(found[1])})
