"""How a route wants its calls carried out: what an admin sets in Kong, not what policy decides."""

from dataclasses import dataclass
from enum import StrEnum


class OnClientGone(StrEnum):
    """What becomes of a stream whose client has left. It is charged either way."""

    CANCEL = "cancel"
    """Hang up on the provider; what came is counted."""
    DRAIN = "drain"
    """Read to the end, to be told the true usage."""


class WhenLimitsDown(StrEnum):
    """What becomes of calls while the store of limits cannot be asked."""

    CLOSED = "closed"
    """They are refused with 503."""
    DEGRADED = "degraded"
    """Each process of the service admits a share of what is left of every limit."""


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """One route's settings.

    Args:
        on_client_gone: See `OnClientGone`.
        keep_alive_s: While a stream has not begun, a comment is sent this often; `None` for never.
        total_timeout_s: Longest a call may take, all tries together; `None` for no limit.
        most_tries: Deployments tried at most.
        has_cache: Whether answers may come from the response cache, where policy permits.
        similarity: How near a question must be to a kept one to get its answer, 0 to 1; `None`
            for only the very same.
        when_limits_down: See `WhenLimitsDown`.
        degraded_share: What one process may admit of a limit then, 0 to 1.
    """

    on_client_gone: OnClientGone = OnClientGone.CANCEL
    keep_alive_s: float | None = None
    total_timeout_s: float | None = None
    most_tries: int = 4
    has_cache: bool = True
    similarity: float | None = None
    when_limits_down: WhenLimitsDown = WhenLimitsDown.CLOSED
    degraded_share: float = 0.1


AS_USUAL = RouteOptions()
"""A route whose admin set nothing."""
