"""The stand-in for api.cohere.com."""

from collections.abc import Mapping
from typing import Any

from sandbox.answers import answer_to
from sandbox.cohere import errors, validation
from sandbox.cohere.question import prompt_size, question_from
from sandbox.cohere.reply import CohereReply
from sandbox.refusal import Refusal
from sandbox.wire import KEY_PREFIX, Event, Received, Reply, Sent, SseWire, named_event
from sandbox.wishes import Wishes


class CohereWire(SseWire):
    """`/v2/chat` as Cohere speaks it.

    Every model is served, unless its name begins with `no-such-`; Command A Reasoning thinks
    unless it is told not to.

    Source:
        https://docs.cohere.com/reference/chat (checked 2026-11-20)
    """

    provider = "cohere"

    def authenticate(self, headers: Mapping[str, str], sent: Sent) -> None:
        """Ask for `Authorization: Bearer sk-sandbox...`."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise errors.error(401, "no api key supplied")
        if not key.startswith(KEY_PREFIX):
            raise errors.error(401, "invalid api token")

    def asked_model(self, payload: Mapping[str, Any], deployment: str | None) -> str:
        """The body's `model`."""
        return str(payload.get("model") or "")

    def reply(self, received: Received) -> Reply:
        """Answer with a message."""
        payload, model = received.payload, received.wishes.model
        validation.check(payload, model)
        self.check_model(model)
        question = question_from(payload, received.wishes)
        return CohereReply(
            digest=question.digest, answer=answer_to(question), prompt=prompt_size(payload)
        )

    def check_model(self, model: str) -> None:
        """See that the model exists.

        Raises:
            Refusal: It does not.
        """
        if model.startswith("no-such-"):
            raise errors.no_such_model(model)

    def invalid(self, message: str) -> Refusal:
        """A plain 400."""
        return errors.invalid(message)

    def not_json(self) -> Refusal:
        """400: the body cannot be parsed."""
        return errors.error(400, "invalid json syntax: expected an object")

    def failure(self, status: int, retry_after_s: float | None, model: str) -> Refusal:
        """Cohere's error of that status."""
        return errors.failure(status, retry_after_s)

    def error_event(self) -> Event:
        """The end of a message that could not be generated to its end."""
        error = {"error": "internal server error", "finish_reason": "ERROR"}
        return named_event({"type": "message-end", "delta": error})

    def headers(self, number: int, wishes: Wishes) -> dict[str, str]:
        """Headers that Cohere's answers carry."""
        return {
            "x-debug-trace-id": f"{number:032x}",
            "x-endpoint-monthly-call-limit": "1000",
            "x-trial-endpoint-call-limit": "40",
            "x-trial-endpoint-call-remaining": "39",
        }
