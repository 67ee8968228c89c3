"""The fields that Google knows, and a request rewritten in their one spelling.

Google reads its JSON into protocol buffers: a field may be written `topP` or `top_p`, and one that
is not in the message is a 400.

Source:
    https://ai.google.dev/api/generate-content and https://ai.google.dev/api/caching#Content
    (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from sandbox.gemini.errors import invalid, unknown_name
from sandbox.tokens import words

Shape = Mapping[str, "Shape | None"]
"""A message: its fields in camel case, each with its own shape, or `None` for any JSON."""


def _plain(names: str) -> dict[str, Shape | None]:
    return dict.fromkeys(words(names))


_BLOB = _plain("mimeType data displayName")
_FILE = _plain("mimeType fileUri displayName")
_FUNCTION_RESPONSE: Shape = {
    **_plain("id name response willContinue scheduling"),
    "parts": {"inlineData": _BLOB, "fileData": _FILE},
}
_PART: Shape = {
    **_plain("text thought thoughtSignature videoMetadata mediaResolution partMetadata"),
    **_plain("executableCode codeExecutionResult"),
    "inlineData": _BLOB,
    "fileData": _FILE,
    "functionCall": _plain("id name args"),
    "functionResponse": _FUNCTION_RESPONSE,
}
CONTENT: Shape = {"role": None, "parts": _PART}

# The subset of OpenAPI in `parameters` and `responseSchema`; members of maps are not looked at.
_SCHEMA = _plain(
    """type format title description nullable enum maxItems minItems properties required
    minProperties maxProperties minLength maxLength pattern example anyOf propertyOrdering default
    items minimum maximum"""
)
_DECLARATION: Shape = {
    **_plain("name description behavior parametersJsonSchema response responseJsonSchema"),
    "parameters": _SCHEMA,
}
_THINKING = _plain("includeThoughts thinkingBudget thinkingLevel")
_GENERATION: Shape = {
    **_plain(
        """stopSequences responseMimeType responseJsonSchema responseModalities candidateCount
        maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty
        responseLogprobs logprobs enableEnhancedCivicAnswers speechConfig mediaResolution
        imageConfig"""
    ),
    "responseSchema": _SCHEMA,
    "thinkingConfig": _THINKING,
}
GENERATE: Shape = {
    **_plain("model cachedContent labels serviceTier store"),
    "contents": CONTENT,
    "systemInstruction": CONTENT,
    "tools": {
        **_plain("googleSearch codeExecution urlContext googleSearchRetrieval googleMaps"),
        "functionDeclarations": _DECLARATION,
    },
    "toolConfig": {
        "functionCallingConfig": _plain("mode allowedFunctionNames"),
        "retrievalConfig": None,
    },
    "safetySettings": _plain("category threshold method"),
    "generationConfig": _GENERATION,
}
EMBED: Shape = {**_plain("model taskType title outputDimensionality"), "content": CONTENT}
BATCH_EMBED: Shape = {"requests": EMBED}
EMBED_AT_VERTEX: Shape = {
    "content": CONTENT,
    "embedContentConfig": _plain("taskType title outputDimensionality autoTruncate"),
}
PREDICT: Shape = {
    "instances": _plain("content taskType title mimeType"),
    "parameters": _plain("outputDimensionality autoTruncate"),
}


def canonical(value: object, shape: Shape | None, where: str = "") -> Any:  # noqa: ANN401 - JSON
    """Give the value with its fields in camel case; a list is one of the shape, as at Google.

    Raises:
        Refusal: A field is not in the shape, or there is no message where one must be.
    """
    if shape is None:
        return value
    if isinstance(value, list):
        return [canonical(one, shape, f"{where}[{place}]") for place, one in enumerate(value)]
    if not isinstance(value, dict):
        raise invalid(f"Invalid value at '{where}' (type.googleapis.com/google.protobuf.Message)")
    found = {}
    for name, inner in value.items():
        known = camel(name)
        if known not in shape:
            raise unknown_name(name, where)
        found[known] = canonical(inner, shape[known], f"{where}.{name}" if where else name)
    return found


def camel(name: str) -> str:
    """The one spelling of a field."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
