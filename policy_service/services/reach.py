"""Reaching a provider: the first permitted deployment that answers."""

import logging
import time
from dataclasses import dataclass

from llm_core.apis.ask import Ask, Exchange
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.policy.decision import PricedDeployment, Reservation
from policy_service.ports import Credentials, ProviderAnswer, Providers
from policy_service.services.progress import Progress

_log = logging.getLogger(__name__)
_RETRYABLE = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_FIRST_ERROR_STATUS = 300
"""A redirect is not followed with our credential, so it is no answer either."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A whole answer longer than this is no chat completion."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One deployment's answer, its head read and good."""

    priced: PricedDeployment
    exchange: Exchange
    answer: ProviderAnswer
    fallbacks: int


@dataclass(frozen=True, slots=True)
class Reach:
    """Sends a call to the permitted deployments in turn.

    Args:
        credentials: Prove to a provider who pays.
        first_byte_timeout_s: Longest wait for any deployment's head.
    """

    providers: Providers
    credentials: Credentials
    first_byte_timeout_s: float

    async def first_that_answers(
        self, reservation: Reservation, ask: Ask, progress: Progress
    ) -> Attempt:
        """Try each deployment of the decision until one answers.

        A fault that the caller must mend ends the search: the next provider would say the same.

        Raises:
            ProviderError: The last failure, when none answers.
        """
        last: ProviderError | None = None
        for tried, priced in enumerate(reservation.deployments):
            progress.fallbacks, progress.deployment_id = tried, priced.deployment.id
            try:
                return await self._attempt(priced, reservation, ask, progress)
            except ProviderError as error:
                _log.info(
                    "%s: %s failed: %s %d",
                    reservation.decision_id,
                    priced.deployment.id,
                    type(error).__name__,
                    error.upstream_status,
                )
                last = error
                if error.upstream_status not in _RETRYABLE:
                    break
        raise last or ProviderUnavailable("No deployment is configured for this model.")

    async def _attempt(
        self,
        priced: PricedDeployment,
        reservation: Reservation,
        ask: Ask,
        progress: Progress,
    ) -> Attempt:
        deployment = priced.deployment
        exchange = ask.exchange(
            deployment,
            reservation.obligations,
            created=int(reservation.decided_at.timestamp()),
        )
        headers = await self.credentials.headers(deployment, exchange)
        timeout_s = min(deployment.timeout_s, self.first_byte_timeout_s)
        asked_s = time.perf_counter()
        try:
            answer = await self.providers.send(exchange.request, headers, timeout_s)
        finally:
            progress.waited_s += time.perf_counter() - asked_s
        if answer.status >= _FIRST_ERROR_STATUS:
            body = await read_whole(answer, progress)
            raise exchange.failure(answer.status, answer.headers, body)
        return Attempt(priced, exchange, answer, progress.fallbacks)


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
