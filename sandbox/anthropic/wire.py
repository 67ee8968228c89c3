"""The stand-in for api.anthropic.com."""

from collections.abc import Mapping
from typing import Any

from sandbox.answers import answer_to
from sandbox.anthropic import errors, validation
from sandbox.anthropic.question import prompt_size, question_from
from sandbox.anthropic.reply import MessageReply
from sandbox.refusal import Refusal
from sandbox.wire import KEY_PREFIX, Event, Received, Reply, Sent, SseWire, named_event
from sandbox.wishes import Wishes

VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")
"""Of the API.

Source:
    https://platform.claude.com/docs/en/api/versioning (checked 2026-11-20)
"""


class AnthropicWire(SseWire):
    """`/v1/messages` as Anthropic speaks it.

    Every model is served, unless its name begins with `no-such-`. Thinking happens only when it
    is asked for, on the newest models as well.

    Source:
        https://platform.claude.com/docs/en/api/messages (checked 2026-11-20)
    """

    provider = "anthropic"

    def authenticate(self, headers: Mapping[str, str], sent: Sent) -> None:
        """Ask for `x-api-key: sk-sandbox...`, or the same as `Authorization: Bearer`.

        The vendor's SDK sends the key in the second form from its version 2 on.

        Source:
            https://platform.claude.com/docs/en/manage-claude/authentication (checked 2026-11-20)
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer = token if scheme.lower() == "bearer" else ""
        key = headers.get("x-api-key") or bearer
        if not key:
            raise errors.error(401, "x-api-key header is required")
        if not key.startswith(KEY_PREFIX):
            raise errors.error(
                401, "invalid x-api-key" if key != bearer else "Invalid bearer token"
            )

    def asked_model(self, payload: Mapping[str, Any], deployment: str | None) -> str:
        """The body's `model`."""
        return str(payload.get("model") or "")

    def reply(self, received: Received) -> Reply:
        """Answer with a message."""
        version = received.headers.get("anthropic-version")
        if version is None:
            raise errors.invalid("anthropic-version: header is required")
        if version not in VERSIONS:
            raise errors.invalid(f"anthropic-version: {version} is not a valid version")
        payload, model = received.payload, received.wishes.model
        validation.check(payload, model, version)
        if model.startswith("no-such-"):
            raise errors.error(404, f"model: {model}")
        question = question_from(payload, received.wishes)
        return MessageReply(
            digest=question.digest,
            model=model,
            answer=answer_to(question),
            prompt=prompt_size(payload),
            is_thinking_shown=(payload.get("thinking") or {}).get("display") != "omitted",
        )

    def invalid(self, message: str) -> Refusal:
        """400, `invalid_request_error`."""
        return errors.invalid(message)

    def not_json(self) -> Refusal:
        """400: the body cannot be parsed."""
        return errors.invalid("The request body is not valid JSON: expected an object")

    def failure(self, status: int, retry_after_s: float | None, model: str) -> Refusal:
        """Anthropic's error of that status."""
        return errors.failure(status, retry_after_s)

    def error_event(self) -> Event:
        """An `error` event, as sent when the service is overloaded in the middle of an answer."""
        return named_event(errors.failure(529, None).body)

    def headers(self, number: int, wishes: Wishes) -> dict[str, str]:
        """Headers that Anthropic's answers carry.

        Source:
            https://platform.claude.com/docs/en/api/rate-limits (checked 2026-11-20)
        """
        return {
            "request-id": f"req_{number:024d}",
            "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
            "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
        }
