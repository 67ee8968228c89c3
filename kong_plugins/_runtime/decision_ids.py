"""Ids of decisions to come: a plugin chooses them, so that it can take back what it never got."""

import secrets
import time

from llm_core.ids import RANDOM_BITS, sortable_id


def new_decision_id() -> str:
    """An id that nobody has used."""
    return sortable_id("dec", time.time_ns() // 1_000_000, secrets.randbits(RANDOM_BITS))
