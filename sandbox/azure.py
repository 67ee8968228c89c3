"""The stand-in for Azure OpenAI: OpenAI's format at another address, with content filter results.

Source:
    https://learn.microsoft.com/azure/ai-services/openai/reference and
    https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter
    (checked 2026-11-20); the first chunk as users report it, for example
    https://github.com/AbanteAI/archive-old-cli-mentat/issues/429
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from sandbox.openai import errors
from sandbox.openai.reply import ChatReply
from sandbox.openai.wire import OpenAiWire
from sandbox.refusal import Refusal
from sandbox.wire import KEY_PREFIX, Event, Received, Reply, Sent, data_event
from sandbox.wishes import Wishes

_SAFE = {
    kind: {"filtered": False, "severity": "safe"}
    for kind in ("hate", "self_harm", "sexual", "violence")
}
_SAFE_PROMPT = {**_SAFE, "jailbreak": {"filtered": False, "detected": False}}
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")


class AzureOpenAiWire(OpenAiWire):
    """`/openai/deployments/{deployment}/chat/completions?api-version=...`.

    Args:
        models: Model behind a deployment; a deployment not in it serves a model of its own name.
            A deployment whose name begins with `no-such-` does not exist.
    """

    provider = "azure_openai"

    def __init__(self, models: Mapping[str, str]) -> None:
        self._models = models

    def authenticate(self, headers: Mapping[str, str], sent: Sent) -> None:
        """Ask for `api-key: sk-sandbox...`, or the same as an Entra token in `Authorization`."""
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if not headers.get("api-key", bearer).startswith(KEY_PREFIX):
            raise _error(
                401,
                "401",
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure "
                "to provide a valid key for an active subscription and use a correct regional API "
                "endpoint for your resource.",
            )

    def asked_model(self, payload: Mapping[str, Any], deployment: str | None) -> str:
        """The path's deployment; the body's `model` is not looked at."""
        return deployment or ""

    def reply(self, received: Received) -> Reply:
        """Answer a chat completion of a deployment."""
        return _AzureReply(self.chat_reply(received, self.served_model(received)))

    def served_model(self, received: Received) -> str:
        """The model behind the deployment in the path.

        Raises:
            Refusal: There is no such API version, or no such deployment.
        """
        if not _VERSION.fullmatch(received.query.get("api-version", "")):
            raise _error(404, "404", "Resource not found")
        deployment = received.wishes.model
        if deployment.startswith("no-such-"):
            raise _error(
                404,
                "DeploymentNotFound",
                "The API deployment for this resource does not exist. If you created the "
                "deployment within the last 5 minutes, please wait a moment and try again.",
            )
        return self._models.get(deployment, deployment)

    def failure(self, status: int, retry_after_s: float | None, model: str) -> Refusal:
        """Azure's own 429; the other errors are OpenAI's."""
        if status != HTTPStatus.TOO_MANY_REQUESTS:
            return errors.failure(status, retry_after_s, model)
        wait_s = 1.0 if retry_after_s is None else retry_after_s
        refusal = _error(
            429,
            "429",
            "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded "
            f"call rate limit of your current OpenAI S0 pricing tier. Please retry after {wait_s:g}"
            " seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to "
            "further increase the default rate limit.",
        )
        refusal.headers = {"retry-after": f"{wait_s:g}", "retry-after-ms": f"{wait_s * 1000:g}"}
        return refusal

    def headers(self, number: int, wishes: Wishes) -> dict[str, str]:
        """Headers that Azure's answers carry."""
        return {
            "apim-request-id": f"{number:032x}",
            "x-ms-region": "Sandbox",
            "x-ms-deployment-name": wishes.model,
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-remaining-tokens": "1999000",
        }


@dataclass(frozen=True, slots=True)
class _AzureReply:
    plain: ChatReply

    @property
    def output_tokens(self) -> int:
        return self.plain.output_tokens

    def whole(self, *, has_usage: bool) -> dict[str, Any]:
        body = self.plain.whole(has_usage=has_usage)
        for choice in body["choices"]:
            choice["content_filter_results"] = _SAFE
        body["prompt_filter_results"] = [
            {"prompt_index": 0, "content_filter_results": _SAFE_PROMPT}
        ]
        return body

    def events(self, *, has_usage: bool) -> list[Event]:
        """Azure begins with a chunk without choices that tells about the prompt."""
        first = {
            "choices": [],
            "created": 0,
            "id": "",
            "model": "",
            "object": "",
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _SAFE_PROMPT}],
        }
        return [data_event(first), *map(_filtered, self.plain.events(has_usage=has_usage))]


def _filtered(event: Event) -> Event:
    """Add the content filter's results to every choice that carries content."""
    if event.data.startswith(b"data: [DONE]"):
        return event
    chunk = msgspec.json.decode(event.data.removeprefix(b"data: "))
    for choice in chunk["choices"]:
        choice["content_filter_results"] = _SAFE if choice["delta"].get("content") else {}
    return data_event(chunk, event.tokens)


def _error(status: int, code: str, message: str) -> Refusal:
    return Refusal(status, {"error": {"code": code, "message": message}})
