"""New ids, by this machine's clock and chance."""

import secrets
import time

from llm_core.ids import RANDOM_BITS, sortable_id


def new_id(kind: str) -> str:
    """Make an id such as `dec_01kaf3v2…`; see `sortable_id`."""
    return sortable_id(kind, time.time_ns() // 1_000_000, secrets.randbits(RANDOM_BITS))
