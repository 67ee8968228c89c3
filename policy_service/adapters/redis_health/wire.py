"""How a standing is kept in Redis, and under which keys."""

import logging
from dataclasses import dataclass

import msgspec

from llm_core.routing.standing import UNCALLED, Standing
from policy_service.adapters.windows import epoch_ms

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keys:
    """Every key. All carry one hash tag, so that a cluster keeps them on one node.

    Args:
        prefix: Tells installations apart that share a Redis; without braces, which would make
            another hash tag.
    """

    prefix: str

    def __post_init__(self) -> None:
        if not self.prefix or set(self.prefix) & set("{}"):
            raise ValueError(f"{self.prefix!r} cannot begin keys: it is empty or holds a brace")

    def standing(self, deployment_id: str) -> str:
        """How one deployment stands."""
        return f"{self.prefix}:{{health}}:standing:{deployment_id}"

    def trial(self, deployment_id: str) -> str:
        """There while somebody tries a half-open deployment."""
        return f"{self.prefix}:{{health}}:trial:{deployment_id}"


def written(standing: Standing) -> bytes:
    """The ms when its breaker opens up (0: closed), which the scripts read, a space, and JSON."""
    until = standing.breaker.opens_until
    return b"%d %b" % (0 if until is None else epoch_ms(until), msgspec.json.encode(standing))


def read(text: bytes) -> Standing:
    """What `written` wrote; what cannot be read counts as nothing known."""
    if not text:
        return UNCALLED
    try:
        return msgspec.json.decode(text.partition(b" ")[2], type=Standing)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        # Written by another version of this service; the next observation replaces it.
        _log.warning("a deployment's standing cannot be read: %s", fault)
        return UNCALLED
