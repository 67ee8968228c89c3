"""How far a relayed call has come, and the report it turns into."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from llm_core.errors import GatewayError, ProviderError, ProviderTimeout, ProviderUnavailable
from llm_core.policy.decision import ErrorClass, Transport, UsageReport
from llm_core.tokens.usage import TokenUsage, UsageSource

T = TypeVar("T")

_OK = 200
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
        ends_at_s: When the call has taken as long as it may, by the event loop's clock.
        deployment_id: Which one was asked last.
        owing_id: The one asked last that may have worked: it has the prompt at least.
        fallbacks: How many deployments failed before the last one was asked.
        has_left: The client is gone, and its call is read to the end all the same.
        consumed: What an answer took that came whole and was not handed over; who counted it.
        findings: What screening found.
    """

    started_s: float = field(default_factory=time.perf_counter)
    waited_s: float = 0.0
    first_token_s: float | None = None
    first_token_ms: float | None = None
    overhead_ms: float | None = None
    ends_at_s: float = math.inf
    deployment_id: str | None = None
    owing_id: str | None = None
    fallbacks: int = 0
    has_left: bool = False
    consumed: tuple[TokenUsage, UsageSource] | None = None
    findings: Mapping[str, int] = field(default_factory=dict)
    _waited_for_first_s: float = 0.0
    _total_s: float = math.inf
    _left_when_asked_s: float = 0.0

    def starts(self, total_timeout_s: float) -> None:
        """Let the total time begin."""
        self._total_s = total_timeout_s
        self.ends_at_s = asyncio.get_running_loop().time() + total_timeout_s

    def asks(self) -> None:
        """Note that a deployment is asked now."""
        self._left_when_asked_s = self.left_s()

    def left_s(self) -> float:
        """What remains of the total time; not above zero when it is over."""
        return self.ends_at_s - asyncio.get_running_loop().time()

    async def within_total(self, work: Awaitable[T]) -> T:
        """Wait for `work`, but not past the end of the total time.

        Raises:
            ProviderTimeout: It was over.
        """
        try:
            async with asyncio.timeout_at(None if math.isinf(self.ends_at_s) else self.ends_at_s):
                return await work
        except TimeoutError:
            # Who was asked late, or had begun to answer, is not to blame: the time went elsewhere.
            was_silent = self.first_token_s is None and 2 * self._left_when_asked_s > self._total_s
            raise ProviderTimeout(
                "The call took longer than it may take in all.", blames_deployment=was_silent
            ) from None

    def token_came(self) -> None:
        """Note the first token; what was not waiting until then is the gateway's overhead."""
        if self.first_token_s is None:
            self.first_token_s = time.perf_counter()
            self.first_token_ms = 1000 * (self.first_token_s - self.started_s)
            self.overhead_ms = self.own_ms()
            self._waited_for_first_s = self.waited_s

    def tokens_per_s(self, tokens: int) -> float | None:
        """A provider's pace from its first token until now.

        `None` where it cannot be told: hardly a token, or a client that read more slowly than the
        provider wrote, so that we hardly waited.
        """
        if self.first_token_s is None or tokens <= 1:
            return None
        taken_s = time.perf_counter() - self.first_token_s
        is_provider_s_own = 2 * (self.waited_s - self._waited_for_first_s) >= taken_s > 0
        return (tokens - 1) / taken_s if is_provider_s_own else None

    def own_ms(self) -> float:
        """The gateway's own time so far, in milliseconds."""
        return max(self._elapsed_ms() - 1000 * self.waited_s, 0.0)

    async def timed(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass `chunks` on, counting the time spent waiting for them.

        Raises:
            ProviderTimeout: The total time is over.
        """
        while True:
            asked_s = time.perf_counter()
            try:
                chunk = await self.within_total(anext(chunks))
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
        response_bytes: int | None = None,
    ) -> UsageReport:
        """Say what became of the call; of one whose client left, that it left."""
        overhead_ms = self.own_ms() if self.overhead_ms is None else self.overhead_ms
        return UsageReport(
            deployment_id=self.deployment_id,
            transport=Transport.RELAY,
            http_status=http_status,
            error_class=ErrorClass.CLIENT_GONE if self.has_left else error_class,
            usage=usage,
            source=source,
            served_model=served_model,
            total_ms=round(self._elapsed_ms(), 3),
            time_to_first_token_ms=self.first_token_ms and round(self.first_token_ms, 3),
            overhead_ms=round(overhead_ms, 3),
            fallbacks=self.fallbacks,
            response_digest=response_digest,
            response_bytes=response_bytes,
            findings=dict(self.findings),
        )

    def status(self) -> int:
        """What a whole answer is booked as: whether anybody was there to get it."""
        return _CLIENT_CLOSED if self.has_left else _OK

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
    is_theirs = isinstance(error, ProviderError) and error.blames_deployment
    return ErrorClass.PROVIDER if is_theirs else ErrorClass.GATEWAY


def status_of(error: GatewayError | None) -> int:
    """What the client got, or would have got had it waited."""
    return _CLIENT_CLOSED if error is None else error.http_status
