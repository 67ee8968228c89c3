"""The stand-in for bedrock-runtime.<region>.amazonaws.com."""

from collections.abc import Mapping
from typing import Any

from llm_core.providers.bedrock.event_stream import (
    CONTENT_TYPE,
    EventStreamDecoder,
    encode_message,
)
from sandbox.answers import answer_to
from sandbox.bedrock import errors, validation
from sandbox.bedrock.embeddings import cohere_reply, titan_reply
from sandbox.bedrock.question import prompt_size, question_from
from sandbox.bedrock.reply import ConverseReply, stream_exception
from sandbox.bedrock.signature import check_signature
from sandbox.bedrock.traits import claude
from sandbox.refusal import Refusal
from sandbox.wire import KEY_PREFIX, Event, Received, Reply, Sent
from sandbox.wishes import Wishes

_UNKNOWN_MODEL = "The provided model identifier is invalid."


class BedrockWire:
    """`/model/{model}/converse` and `/converse-stream`.

    Every model is served, unless its name begins with `no-such-`. Reasoning happens only when it is
    asked for.

    Source:
        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
        https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html (checked 2026-11-20)
    """

    provider = "bedrock"
    stream_type = CONTENT_TYPE

    def authenticate(self, headers: Mapping[str, str], sent: Sent) -> None:
        """Ask for a signature by the sandbox's own key, or for a bearer key `sk-sandbox...`."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not scheme:
            raise errors.error(
                403, "Missing Authentication Token", "MissingAuthenticationTokenException"
            )
        if scheme.lower() != "bearer":
            check_signature(headers, sent)
        elif not token.startswith(KEY_PREFIX):
            raise errors.error(
                403, "Authentication failed: Please make sure your API Key is valid."
            )

    def is_streaming(self, payload: Mapping[str, Any], path: str) -> bool:
        """The path says so."""
        return path.endswith("/converse-stream")

    def asked_model(self, payload: Mapping[str, Any], deployment: str | None) -> str:
        """The path's."""
        return deployment or ""

    def reply(self, received: Received) -> Reply:
        """Answer a conversation."""
        payload, model = received.payload, received.wishes.model
        validation.check(payload, model)
        if model.startswith("no-such-"):
            raise errors.invalid(_UNKNOWN_MODEL)
        question = question_from(payload, received.wishes)
        return ConverseReply(
            digest=question.digest,
            answer=answer_to(question),
            prompt=prompt_size(payload),
            is_signed=claude(model) is not None,
        )

    def invalid(self, message: str) -> Refusal:
        """400, `ValidationException`."""
        return errors.invalid(message)

    def not_json(self) -> Refusal:
        """400: the body cannot be parsed."""
        return errors.error(400, "Unable to parse the request body.", "SerializationException")

    def failure(self, status: int, retry_after_s: float | None, model: str) -> Refusal:
        """Bedrock's error of that status."""
        return errors.failure(status, retry_after_s)

    def error_event(self) -> Event:
        """An exception in the middle of an answer."""
        return stream_exception(
            "serviceUnavailableException", "Bedrock is unable to process your request."
        )

    def malformed(self, event: Event) -> Event:
        """The message with its document's end cut off, its checksums right."""
        (message,) = EventStreamDecoder().feed(event.data)
        headers = {name: message.text(name) for name in message.headers}
        return Event(encode_message(headers, message.payload[:-8]))

    def headers(self, number: int, wishes: Wishes) -> dict[str, str]:
        """Headers that Bedrock's answers carry."""
        return {"x-amzn-requestid": f"00000000-0000-4000-8000-{number:012d}"}


class BedrockInvokeWire(BedrockWire):
    """`/model/{model}/invoke`, for the embedding models of Titan and Cohere."""

    def is_streaming(self, payload: Mapping[str, Any], path: str) -> bool:
        """Never."""
        return False

    def reply(self, received: Received) -> Reply:
        """Answer with embeddings."""
        model = received.wishes.model
        if "titan-embed" in model:
            return titan_reply(received.payload)
        if "cohere.embed" in model:
            return cohere_reply(received.payload, model)
        raise errors.invalid(_UNKNOWN_MODEL)
