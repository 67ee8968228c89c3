"""What spans say of answers and failures. Ids, names and numbers only.

Source:
    https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans (checked 2026-11-29;
    status: development, so names may change)
"""

import re
from typing import Final

from opentelemetry.trace import Span, Status, StatusCode

from llm_core.gen_ai import Attributes
from llm_core.tokens.usage import TokenUsage

_NAME: Final = re.compile(r"[\w./:@+-]{1,200}")
"""What a model may be called; a provider that says something else may say anything."""

_OTHER: Final = "_OTHER"
"""The convention's word for a failure that nobody has named."""


def about_answer(usage: TokenUsage, served_model: str | None) -> Attributes:
    """What a deployment answered; what it did not report is left out."""
    counted = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
    }
    told: Attributes = {name: tokens for name, tokens in counted.items() if tokens is not None}
    if served_model is not None and _NAME.fullmatch(served_model):
        told["gen_ai.response.model"] = served_model
    return told


def failed(span: Span, kind: str) -> None:
    """Mark a span; `kind` is a word, and no exception's text goes with it."""
    span.set_attribute("error.type", kind or _OTHER)
    span.set_status(Status(StatusCode.ERROR))
