"""Reaching a provider: the first permitted deployment that answers."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from llm_core.chat.request import ChatRequest
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.policy.allowance import capped
from llm_core.policy.decision import PricedDeployment, Reservation
from llm_core.providers.registry import translator_for
from llm_core.providers.translator import Translator
from policy_service.ports import ProviderAnswer, Providers
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
    translator: Translator
    answer: ProviderAnswer
    dropped_params: tuple[str, ...]
    fallbacks: int


@dataclass(frozen=True, slots=True)
class Reach:
    """Sends a call to the permitted deployments in turn.

    Args:
        credential: Looks a provider's secret up by its name.
        first_byte_timeout_s: Longest wait for any deployment's head.
    """

    providers: Providers
    credential: Callable[[str], str | None]
    first_byte_timeout_s: float

    async def first_that_answers(
        self, reservation: Reservation, request: ChatRequest, progress: Progress
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
                return await self._attempt(priced, reservation, request, progress)
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
        request: ChatRequest,
        progress: Progress,
    ) -> Attempt:
        deployment = priced.deployment
        translator = translator_for(deployment.provider)
        translated = translator.request(
            capped(request, deployment, reservation.obligations), deployment
        )
        headers = self._credential_headers(priced, translator)
        timeout_s = min(deployment.timeout_s, self.first_byte_timeout_s)
        asked_s = time.perf_counter()
        try:
            answer = await self.providers.send(translated, headers, timeout_s)
        finally:
            progress.waited_s += time.perf_counter() - asked_s
        if answer.status >= _FIRST_ERROR_STATUS:
            body = await read_whole(answer, progress)
            raise translator.failure(answer.status, answer.headers, body)
        return Attempt(priced, translator, answer, translated.dropped_params, progress.fallbacks)

    def _credential_headers(
        self, priced: PricedDeployment, translator: Translator
    ) -> dict[str, str]:
        name = priced.deployment.credential
        if name is None:
            return {}
        secret = self.credential(name)
        if not secret:
            _log.error(
                "no credential %r for deployment %s: set POLICY_CREDENTIALS__%s",
                name,
                priced.deployment.id,
                name.upper(),
            )
            raise ProviderUnavailable("The gateway holds no credential for this model's provider.")
        return translator.credential_headers(secret)


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
