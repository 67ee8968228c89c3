"""Reaching a provider: the first permitted deployment that answers.

A deployment has answered when its whole answer has been read and understood, or when the first word
of its stream has come. Until then nothing has been sent to the client, and the next deployment of
the decision may be tried. After that there is no other: two halves of two answers are no answer.

What sends a call on is a deployment's own failure: no connection, no answer in time, 408, 409, 429,
5xx, a stream that breaks off before its first word, an answer that is none. A fault that the caller
must mend ends the search: the next provider would say the same. A provider that lacks what the call
asks for is passed over, and named only when no other can do it either.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from llm_core.apis.ask import Ask, Exchange
from llm_core.errors import (
    GatewayError,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    UnsupportedParameter,
)
from llm_core.policy.decision import PricedDeployment, Reservation
from llm_core.routing.facts import Observation
from policy_service.ports.clock import Clock
from policy_service.ports.providers import Credentials, Health, ProviderAnswer, Providers
from policy_service.ports.tracing import UNTRACED, CallSpan, Tracing
from policy_service.services.progress import Progress, error_class_of

_log = logging.getLogger(__name__)
T = TypeVar("T")

_RATE_LIMITED = 429
_RETRYABLE = frozenset({408, 409, _RATE_LIMITED})
_FIRST_SERVER_ERROR = 500
_FIRST_ERROR_STATUS = 300
"""A redirect is not followed with our credential, so it is no answer either."""
_LONGEST_WAIT_S = 2.0
"""A deployment that asks to be left alone no longer than this is waited for, when there is no
other: less than an SDK's own retry would take, which comes with a new decision."""
_AS_GOOD_AS_NOW_S = 1.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A whole answer longer than this is no chat completion."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One deployment's answer, its head read and good.

    Args:
        fallbacks: How many deployments failed before.
        sent_s: When it was asked, by `time.perf_counter`.
        head_s: When its head had come.
        span: Of this try; whoever takes the answer ends it.
    """

    priced: PricedDeployment
    exchange: Exchange
    answer: ProviderAnswer
    fallbacks: int
    sent_s: float
    head_s: float
    span: CallSpan = UNTRACED


@dataclass(frozen=True, slots=True)
class Reach:
    """Sends a call to the permitted deployments in turn.

    Args:
        credentials: Prove to a provider who pays.
        health: Knows which deployments to leave alone, and learns how each try went.
        first_byte_timeout_s: Longest wait for any deployment's head.
        total_timeout_s: Longest a call may take in all; a route may shorten it.
        tracing: Follows each try.
    """

    providers: Providers
    credentials: Credentials
    health: Health
    clock: Clock
    first_byte_timeout_s: float
    total_timeout_s: float = 600.0
    tracing: Tracing = UNTRACED

    def total_s(self, reservation: Reservation) -> float:
        """How long this call may take in all."""
        wished_s = reservation.route.total_timeout_s
        return self.total_timeout_s if wished_s is None else min(wished_s, self.total_timeout_s)

    async def first_that_answers(
        self,
        reservation: Reservation,
        ask: Ask,
        progress: Progress,
        take: Callable[[Attempt], Awaitable[T]],
    ) -> T:
        """Try each deployment of the decision until one answers.

        Args:
            reservation: What was decided.
            ask: The call.
            progress: Is told how it goes.
            take: Reads an answer until it is certain to be one. What it raises counts as the
                deployment's failure, and it has to let go of the answer then.

        Raises:
            ProviderError: The last failure, when none answers.
            UnsupportedParameter: No permitted provider can do what is asked.
        """
        search = _Search(self, reservation, ask, progress, take)
        for priced in reservation.deployments:
            if search.goes_on() and (taken := await search.tried(priced)) is not None:
                return taken
        if (soonest := search.worth_waiting_for()) is not None:
            wait_s, priced = soonest
            await asyncio.sleep(wait_s)
            if (taken := await search.tried(priced)) is not None:
                return taken
        raise search.failure()

    def exchange(self, priced: PricedDeployment, reservation: Reservation, ask: Ask) -> Exchange:
        """Put the call to one deployment; nothing is sent.

        Raises:
            UnsupportedParameter: Its provider cannot do what is asked.
            MalformedRequest: No provider could.
        """
        return ask.exchange(
            priced.deployment,
            reservation.obligations,
            created=int(reservation.decided_at.timestamp()),
        )

    async def attempt(
        self,
        priced: PricedDeployment,
        exchange: Exchange,
        progress: Progress,
        span: CallSpan = UNTRACED,
    ) -> Attempt:
        """Send, and wait for a good head.

        Raises:
            ProviderError: None came.
        """
        deployment = priced.deployment
        headers = await progress.within_total(self.credentials.headers(deployment, exchange))
        timeout_s = min(deployment.timeout_s, self.first_byte_timeout_s)
        owing_before, progress.owing_id = progress.owing_id, deployment.id
        progress.asks()
        sent_s = time.perf_counter()
        try:
            answer = await progress.within_total(
                self.providers.send(exchange.request, {**headers, **span.headers()}, timeout_s)
            )
        except ProviderTimeout:
            raise  # it took the request, and may be working for it still
        except Exception:
            progress.owing_id = owing_before
            raise
        finally:
            head_s = time.perf_counter()
            progress.waited_s += head_s - sent_s
        if answer.status >= _FIRST_ERROR_STATUS:
            progress.owing_id = owing_before
            raise exchange.failure(
                answer.status, answer.headers, await read_whole(answer, progress)
            )
        return Attempt(priced, exchange, answer, progress.fallbacks, sent_s, head_s, span)

    def went_well(
        self, attempt: Attempt, first_token_s: float, tokens_per_s: float | None = None
    ) -> None:
        """Tell how long a deployment took.

        Args:
            attempt: The one that answered.
            first_token_s: When its first token, or a whole answer's head, had come.
            tokens_per_s: Of a stream after that, where it could be told.
        """
        self.health.observe(
            Observation(
                attempt.priced.deployment.id,
                is_failure=False,
                time_to_first_token_ms=1000 * (first_token_s - attempt.sent_s),
                tokens_per_s=tokens_per_s,
            )
        )

    def went_wrong(self, deployment_id: str, error: ProviderError) -> None:
        """Tell that a deployment refused or failed.

        A rate limit with a wait is no failure: the deployment says when it will answer again. One
        that finds fault with the request is there and answers: whatever wait it names is for that
        one caller, who could keep everybody else out otherwise.
        """
        if isinstance(error, ProviderTimeout) and not error.blames_deployment:
            return  # it had hardly been asked, or was answering: nothing is known
        status = error.upstream_status
        is_busy = status == _RATE_LIMITED or status >= _FIRST_SERVER_ERROR
        wait_s = error.retry_after_s if is_busy else None
        is_failure = is_busy and error.blames_deployment
        is_failure = is_failure and not (status == _RATE_LIMITED and wait_s is not None)
        self.health.observe(
            Observation(
                deployment_id,
                is_failure=is_failure,
                retry_after_s=wait_s,
                error=error_class_of(error).value,
            )
        )


@dataclass(slots=True)
class _Search(Generic[T]):
    """One call on its way from deployment to deployment.

    Args:
        tries: How many were asked so far.
        last: The last one's failure.
        unsupported: What the first provider said that cannot do what is asked.
        resting: Those that the breaker leaves alone.
        waits: Those that asked to be left alone, and for how long.
        is_ended: The caller must mend the call.
    """

    reach: Reach
    reservation: Reservation
    ask: Ask
    progress: Progress
    take: Callable[[Attempt], Awaitable[T]]
    tries: int = 0
    last: ProviderError | None = None
    unsupported: UnsupportedParameter | None = None
    resting: list[str] = field(default_factory=list)
    waits: list[tuple[float, PricedDeployment]] = field(default_factory=list)
    is_ended: bool = False

    def goes_on(self) -> bool:
        """Whether another deployment may be asked at all."""
        may_try = self.tries < self.reservation.route.most_tries
        return may_try and not self.is_ended and self.progress.left_s() > 0

    async def tried(self, priced: PricedDeployment) -> T | None:
        """Ask one deployment; `None` when it is for another to answer."""
        deployment_id = priced.deployment.id
        try:
            exchange = self.reach.exchange(priced, self.reservation, self.ask)
        except UnsupportedParameter as refused:
            self.unsupported = self.unsupported or refused
            return None
        if not await self.reach.health.may_try(deployment_id):
            self.resting.append(deployment_id)
            return None
        self.progress.fallbacks, self.progress.deployment_id = self.tries, deployment_id
        self.tries += 1
        span = self.reach.tracing.calling(self.reservation, priced)
        try:
            return await self.take(await self.reach.attempt(priced, exchange, self.progress, span))
        except ProviderError as error:
            span.failed(error.code)
            self._failed(priced, error)
            return None
        except BaseException as fault:
            span.failed(type(fault).__name__)
            raise

    def _failed(self, priced: PricedDeployment, error: ProviderError) -> None:
        deployment_id = priced.deployment.id
        _log.info(
            "%s: %s failed: %s %d",
            self.reservation.decision_id,
            deployment_id,
            type(error).__name__,
            error.upstream_status,
        )
        self.reach.went_wrong(deployment_id, error)
        self.last = error
        self.is_ended = not is_retryable(error)
        if error.retry_after_s is not None:
            self.waits.append((error.retry_after_s, priced))

    def worth_waiting_for(self) -> tuple[float, PricedDeployment] | None:
        """The deployment that will answer soon, when none has; and in how many seconds."""
        soonest = min(self.waits, key=lambda wait: wait[0], default=None)
        if soonest is None or not self.goes_on():
            return None
        return soonest if soonest[0] <= min(_LONGEST_WAIT_S, self.progress.left_s()) else None

    def failure(self) -> GatewayError:
        """What the client is told when nobody has answered."""
        if self.last is not None:
            return self.last
        if self.resting:
            return self._all_resting()
        if self.unsupported is not None:
            return self.unsupported
        if self.reservation.deployments:
            return ProviderTimeout("The call took longer than it may take in all.")
        return ProviderUnavailable("No deployment is configured for this model.")

    def _all_resting(self) -> ProviderUnavailable:
        """Nobody was asked: say when the first of them will be."""
        now = self.reach.clock()
        facts = map(self.reach.health.facts, self.resting)
        waits_s = [
            (fact.opens_until - now).total_seconds()
            for fact in facts
            if fact.opens_until is not None
        ]
        error = ProviderUnavailable(
            "Every deployment of this model that you may use failed just now; try again later."
        )
        error.retry_after_s = max(min(waits_s, default=_AS_GOOD_AS_NOW_S), _AS_GOOD_AS_NOW_S)
        return error


def is_retryable(error: ProviderError) -> bool:
    """Whether another deployment may do better."""
    status = error.upstream_status
    return status in _RETRYABLE or status >= _FIRST_SERVER_ERROR


async def read_whole(answer: ProviderAnswer, progress: Progress) -> bytes:
    """Read a body to its end, and close the answer.

    Raises:
        ProviderUnavailable: It broke off, or is longer than any answer can be.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in progress.timed(answer.chunks()):
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                raise ProviderUnavailable("The model provider's answer is too long.")
            pieces.append(piece)
    finally:
        await answer.close()
    return b"".join(pieces)
