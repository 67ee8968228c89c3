"""OpenAI's list of embeddings.

Source:
    https://platform.openai.com/docs/api-reference/embeddings/object (checked 2026-11-20)
"""

import base64
import struct
from collections.abc import Sequence
from typing import Any

from llm_core.tokens.usage import TokenUsage


def embeddings_body(
    vectors: Sequence[Sequence[float]], *, model: str, usage: TokenUsage, encoding_format: str
) -> dict[str, Any]:
    """Build the answer, vectors in the order of the inputs.

    Args:
        vectors: One per input.
        model: The served model.
        usage: Written as zero where it is not known: OpenAI's numbers cannot be null.
        encoding_format: `float`, or `base64` for 32-bit floats, lowest byte first.
    """
    tokens = usage.input_tokens or 0
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _encoded(vector, encoding_format)}
            for index, vector in enumerate(vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _encoded(vector: Sequence[float], encoding_format: str) -> str | list[float]:
    if encoding_format == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return list(vector)
