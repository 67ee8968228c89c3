"""An embeddings request as it came in: checked once, kept whole.

Source:
    https://platform.openai.com/docs/api-reference/embeddings/create (checked 2026-11-20)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from llm_core.chat.encoding import parse_object
from llm_core.errors import MalformedRequest

MOST_INPUTS = 2048
"""OpenAI's own limit."""
_ENCODINGS = ("float", "base64")


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """A request to `POST /v1/embeddings`.

    Args:
        fields: The JSON object, unknown fields included. Not to be changed by anybody.
    """

    fields: Mapping[str, Any]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read and check a request.

        Raises:
            MalformedRequest: The body is not JSON, or not an embeddings request; `param` says
                where.
        """
        request = cls(parse_object(body))
        _check(request.fields)
        return request

    @property
    def model(self) -> str:
        """The asked model."""
        model: str = self.fields["model"]
        return model

    @property
    def texts(self) -> Sequence[str] | None:
        """What is to be embedded; `None` when it came as token numbers."""
        given = self.fields["input"]
        if isinstance(given, str):
            return [given]
        return given if isinstance(given[0], str) else None

    @property
    def tokens(self) -> Sequence[Sequence[int]] | None:
        """The same as token numbers of the model; `None` when it came as text."""
        if self.texts is not None:
            return None
        given: list[Any] = self.fields["input"]
        return given if isinstance(given[0], list) else [given]

    @property
    def dimensions(self) -> int | None:
        """How long the vectors are to be; `None` for the model's own length."""
        dimensions: int | None = self.fields.get("dimensions")
        return dimensions

    @property
    def encoding_format(self) -> str:
        """`float` or `base64`."""
        return self.fields.get("encoding_format") or "float"


def _check(fields: Mapping[str, Any]) -> None:
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise MalformedRequest("'model' must name a model.", param="model")
    _check_input(fields.get("input"))
    dimensions = fields.get("dimensions")
    if dimensions is not None and not (_is_whole(dimensions) and dimensions > 0):
        raise MalformedRequest("'dimensions' must be a whole number above 0.", param="dimensions")
    encoding = fields.get("encoding_format")
    if encoding is not None and encoding not in _ENCODINGS:
        raise MalformedRequest(
            "'encoding_format' must be 'float' or 'base64'.", param="encoding_format"
        )


def _check_input(given: object) -> None:
    if isinstance(given, str) and given:
        return
    if isinstance(given, list) and len(given) > 0:
        first = given[0]
        if _is_whole(first) and all(_is_whole(one) for one in given):
            return
        if len(given) <= MOST_INPUTS and (
            all(isinstance(one, str) and one for one in given) or all(map(_is_tokens, given))
        ):
            return
    raise MalformedRequest(
        "'input' must be a text, a list of token numbers, or a list of at most "
        f"{MOST_INPUTS} such; none of them empty.",
        param="input",
    )


def _is_tokens(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(_is_whole(one) for one in value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
