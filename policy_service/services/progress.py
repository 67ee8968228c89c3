"""How far a relayed call has come, and the report it turns into."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from llm_core.errors import GatewayError, ProviderError, ProviderTimeout, ProviderUnavailable
from llm_core.policy.decision import ErrorClass, Transport, UsageReport
from llm_core.tokens.usage import TokenUsage, UsageSource

_CLIENT_CLOSED = 499
_TOO_MANY = 429
_CALLERS_FAULT = range(400, 500)
_CLASSES: dict[type[GatewayError], ErrorClass] = {
    ProviderTimeout: ErrorClass.TIMEOUT,
    ProviderUnavailable: ErrorClass.UNREACHABLE,
}


@dataclass(slots=True)
class Progress:
    """Clocks and facts of one call; times in seconds of `time.perf_counter`.

    Args:
        waited_s: Spent waiting for providers, which is not the gateway's own time.
    """

    started_s: float = field(default_factory=time.perf_counter)
    waited_s: float = 0.0
    first_token_ms: float | None = None
    overhead_ms: float | None = None
    deployment_id: str | None = None
    fallbacks: int = 0

    def token_came(self) -> None:
        """Note the first token; what was not waiting until then is the gateway's overhead."""
        if self.first_token_ms is None:
            self.first_token_ms = self._elapsed_ms()
            self.overhead_ms = self.own_ms()

    def own_ms(self) -> float:
        """The gateway's own time so far, in milliseconds."""
        return max(self._elapsed_ms() - 1000 * self.waited_s, 0.0)

    async def timed(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass `chunks` on, counting the time spent waiting for them."""
        while True:
            asked_s = time.perf_counter()
            try:
                chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            finally:
                self.waited_s += time.perf_counter() - asked_s
            yield chunk

    def report(
        self,
        http_status: int,
        *,
        usage: TokenUsage | None = None,
        source: UsageSource = UsageSource.PROVIDER,
        error_class: ErrorClass = ErrorClass.NONE,
        served_model: str | None = None,
        response_digest: str | None = None,
    ) -> UsageReport:
        """Say what became of the call."""
        overhead_ms = self.own_ms() if self.overhead_ms is None else self.overhead_ms
        return UsageReport(
            deployment_id=self.deployment_id,
            transport=Transport.RELAY,
            http_status=http_status,
            error_class=error_class,
            usage=usage,
            source=source,
            served_model=served_model,
            total_ms=round(self._elapsed_ms(), 3),
            time_to_first_token_ms=self.first_token_ms and round(self.first_token_ms, 3),
            overhead_ms=round(overhead_ms, 3),
            fallbacks=self.fallbacks,
            response_digest=response_digest,
        )

    def _elapsed_ms(self) -> float:
        return 1000 * (time.perf_counter() - self.started_s)


def error_class_of(error: GatewayError | None) -> ErrorClass:
    """The class a chart shows a failure under; no error at all means that the client left."""
    if error is None:
        return ErrorClass.CLIENT_GONE
    for kind, error_class in _CLASSES.items():
        if isinstance(error, kind):
            return error_class
    if error.http_status in _CALLERS_FAULT:
        return ErrorClass.RATE_LIMITED if error.http_status == _TOO_MANY else ErrorClass.CALLER
    return ErrorClass.PROVIDER if isinstance(error, ProviderError) else ErrorClass.GATEWAY


def status_of(error: GatewayError | None) -> int:
    """What the client got, or would have got had it waited."""
    return _CLIENT_CLOSED if error is None else error.http_status
