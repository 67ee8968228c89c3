"""The Responses API of the stand-ins for OpenAI and Azure OpenAI."""

from collections.abc import Mapping
from typing import Any

from sandbox.answers import answer_to
from sandbox.azure import AzureOpenAiWire
from sandbox.openai import errors, responses_validation
from sandbox.openai.responses_question import prompt_size, question_from
from sandbox.openai.responses_reply import ResponsesReply
from sandbox.openai.wire import OpenAiWire
from sandbox.refusal import Refusal
from sandbox.wire import Event, Received, Reply, named_event

_AZURE_VERSIONS = ("", "v1", "preview", "latest")


class OpenAiResponsesWire(OpenAiWire):
    """`/v1/responses` as OpenAI speaks it; nothing is kept, whatever `store` says.

    Source:
        https://platform.openai.com/docs/api-reference/responses (checked 2026-11-20)
    """

    def reply(self, received: Received) -> Reply:
        """Answer a request for a response."""
        model = received.wishes.model
        if not model:
            raise errors.error(
                400,
                "Missing required parameter: 'model'.",
                param="model",
                code="missing_required_parameter",
            )
        if model.startswith("no-such-"):
            raise errors.error(
                400,
                f"The requested model '{model}' does not exist.",
                param="model",
                code="model_not_found",
            )
        return responses_reply(received, model)

    def error_event(self) -> Event:
        """An `error` event; nothing follows."""
        return error_event()


class AzureResponsesWire(AzureOpenAiWire):
    """`/openai/v1/responses`, where the body names the deployment.

    Source:
        https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses (checked 2026-11-20)
    """

    def asked_model(self, payload: Mapping[str, Any], deployment: str | None) -> str:
        """The body's `model`."""
        return str(payload.get("model") or "")

    def reply(self, received: Received) -> Reply:
        """Answer a request for a response."""
        return responses_reply(received, self.served_model(received))

    def served_model(self, received: Received) -> str:
        """The model behind the deployment in the body.

        Raises:
            Refusal: There is no such API version, or no such deployment.
        """
        if received.query.get("api-version", "") not in _AZURE_VERSIONS:
            body = {"error": {"code": "BadRequest", "message": "API version not supported"}}
            raise Refusal(400, body)
        name = received.wishes.model
        if not name or name.startswith("no-such-"):
            message = (
                "The API deployment for this resource does not exist. If you created the "
                "deployment within the last 5 minutes, please wait a moment and try again."
            )
            raise Refusal(404, {"error": {"code": "DeploymentNotFound", "message": message}})
        return self._models.get(name, name)

    def error_event(self) -> Event:
        """An `error` event; nothing follows."""
        return error_event()


def responses_reply(received: Received, served_model: str) -> ResponsesReply:
    """Check the body and compose the answer.

    Raises:
        Refusal: The vendor's 400 or 404.
    """
    payload = received.payload
    responses_validation.check(payload)
    question = question_from(payload, received.wishes)
    return ResponsesReply(
        digest=question.digest,
        model=served_model,
        answer=answer_to(question),
        prompt=prompt_size(payload),
        payload=payload,
    )


def error_event() -> Event:
    """The error in the middle of a stream, members side by side as the reference has them."""
    members = {"code": "server_error", "message": errors.SERVER_ERROR, "param": None}
    return named_event({"type": "error", **members, "sequence_number": 3})
