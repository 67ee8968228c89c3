"""Asking a provider over HTTP whether it is there, for nothing.

A list of models costs nothing and needs the same server, so it is asked for where the vendor has
one behind the deployment's own address. Elsewhere any answer of the address will do.
"""

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus

import httpx

from llm_core.catalogue import Auth, Deployment, ProviderKind
from llm_core.policy.decision import ErrorClass
from llm_core.providers.registry import translator_for
from llm_core.routing.facts import Observation

_FIRST_SERVER_ERROR = 500
_ASKS_FOR_TIME = frozenset({429, 503})
_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)

_LIST_OF_MODELS: Mapping[ProviderKind, str] = {
    # as the vendor's SDK has it (openai 3.52)
    ProviderKind.OPENAI: "/models",
    ProviderKind.OPENAI_COMPATIBLE: "/models",
    # https://platform.claude.com/docs/en/api/python/models/list (checked 2026-11-20)
    ProviderKind.ANTHROPIC: "/v1/models?limit=1",
    # as the vendor's SDK has it (google-genai 3.4)
    ProviderKind.GEMINI: "/models?pageSize=1",
    # as the vendor's SDK has it (mistralai 3.7)
    ProviderKind.MISTRAL: "/models",
    # https://docs.cohere.com/reference/list-models (checked 2026-11-20)
    ProviderKind.COHERE: "/v1/models?page_size=1",
}
"""Below `base_url`, which ends where the vendor's SDK has it end."""


class HttpProbe:
    """Implements `Probe`.

    Args:
        secret: Looks a provider's secret up by its name.
        timeout_s: Longest wait for an answer.
    """

    def __init__(self, secret: Callable[[str], str | None], timeout_s: float = 5.0) -> None:
        self._secret = secret
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=True)

    async def ask(self, deployment: Deployment) -> Observation:
        """Ask once; see `Probe.ask`."""
        try:
            url, headers = self._question(deployment)
            async with self._client.stream("GET", url, headers=headers) as answer:
                return _read(deployment.id, answer)
        except httpx.TimeoutException:
            return _failed(deployment.id, ErrorClass.TIMEOUT)
        except (*_FAULTS, UnicodeError):
            return _failed(deployment.id, ErrorClass.UNREACHABLE)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    def _question(self, deployment: Deployment) -> tuple[str, Mapping[str, str]]:
        path = _LIST_OF_MODELS.get(deployment.provider)
        if path is None or deployment.auth is not Auth.STATIC:
            return deployment.base_url, {}
        secret = self._secret(deployment.credential) if deployment.credential else None
        headers = translator_for(deployment.provider).credential_headers(secret) if secret else {}
        if deployment.provider is ProviderKind.ANTHROPIC:
            headers["anthropic-version"] = deployment.api_version or "2023-06-01"
        return deployment.base_url + path, headers


def _read(deployment_id: str, answer: httpx.Response) -> Observation:
    """Any answer but a server's error shows that it is there, a refusal of our key included."""
    status = answer.status_code
    wait_s = _seconds(answer.headers.get("retry-after")) if status in _ASKS_FOR_TIME else None
    if status >= _FIRST_SERVER_ERROR:
        return _failed(deployment_id, ErrorClass.PROVIDER, wait_s)
    is_limited = status == HTTPStatus.TOO_MANY_REQUESTS
    error = ErrorClass.RATE_LIMITED.value if is_limited else ""
    return Observation(deployment_id, is_failure=False, retry_after_s=wait_s, error=error)


def _failed(deployment_id: str, error: ErrorClass, wait_s: float | None = None) -> Observation:
    return Observation(deployment_id, is_failure=True, retry_after_s=wait_s, error=error.value)


def _seconds(text: str | None) -> float | None:
    """Retry-After's seconds; its other form, a date, is not worth reading here."""
    try:
        wait_s = float(text) if text else math.nan
    except ValueError:
        return None
    return wait_s if math.isfinite(wait_s) and wait_s > 0 else None
