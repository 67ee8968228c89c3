"""A chat request as it came in: checked once, kept whole.

Only what the gateway itself reads is checked. Fields it does not know are kept, so that a parameter
OpenAI adds tomorrow passes through today.

Source:
    https://platform.openai.com/docs/api-reference/chat/create (checked 2026-11-20)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from llm_core.chat import checks
from llm_core.chat.encoding import parse_object


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request to `POST /v1/chat/completions`.

    Args:
        fields: The JSON object, unknown fields included. Not to be changed by anybody: the same
            request may be translated for the next provider.
    """

    fields: Mapping[str, Any]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read and check a request.

        Raises:
            MalformedRequest: The body is not JSON, or not a chat request; the message says what is
                wrong, `param` where.
        """
        fields = parse_object(body)
        checks.check_request(fields)
        return cls(fields=fields)

    @property
    def model(self) -> str:
        """The asked model."""
        model: str = self.fields["model"]
        return model

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The conversation; never empty."""
        messages: list[dict[str, Any]] = self.fields["messages"]
        return messages

    @property
    def is_streaming(self) -> bool:
        """Whether the answer is to come as events."""
        return self.fields.get("stream") is True

    @property
    def wants_usage_in_stream(self) -> bool:
        """Whether the client asked for the chunk with usage at the end of the stream."""
        options = self.fields.get("stream_options") or {}
        return options.get("include_usage") is True

    @property
    def max_output_tokens(self) -> int | None:
        """The longest answer asked for, for one choice; `None` when the request names none."""
        newer: int | None = self.fields.get("max_completion_tokens")
        older: int | None = self.fields.get("max_tokens")
        return older if newer is None else newer

    @property
    def choices(self) -> int:
        """How many answers are asked for."""
        return self.fields.get("n") or 1

    @property
    def has_tools(self) -> bool:
        """Whether the model is offered tools, in the current shape or the one before it."""
        return bool(self.fields.get("tools") or self.fields.get("functions"))

    @property
    def has_images(self) -> bool:
        """Whether a message holds an image."""
        return any(part.get("type") == "image_url" for part in self.content_parts())

    @property
    def response_format(self) -> str:
        """`text`, `json_object` or `json_schema`."""
        format_ = self.fields.get("response_format") or {}
        name: str = format_.get("type", "text")
        return name

    def content_parts(self) -> Iterator[Mapping[str, Any]]:
        """Every content part that is written as an object, of all messages."""
        for message in self.messages:
            content = message.get("content")
            if isinstance(content, list):
                yield from content
