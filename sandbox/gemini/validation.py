"""Refuses what Google refuses, with its words.

Source:
    https://ai.google.dev/api/generate-content,
    https://ai.google.dev/gemini-api/docs/generate-content/thought-signatures and
    https://ai.google.dev/gemini-api/docs/generate-content/function-calling (checked 2026-11-20)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.gemini.errors import invalid
from sandbox.gemini.traits import generation, levels

_DATA = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_RANGES = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "presencePenalty": (-2, 2),
    "frequencyPenalty": (-2, 2),
    "candidateCount": (1, 8),
    "logprobs": (0, 20),
}
_MOST_STOPS = 5
_MODES = ("AUTO", "ANY", "NONE", "VALIDATED")


def check(payload: Mapping[str, Any], model: str) -> None:
    """Check a request in its one spelling.

    Args:
        payload: As `canonical` gives it.
        model: The model's name without the sandbox's own suffixes.

    Raises:
        Refusal: The first thing that Google would complain about.
    """
    contents = payload.get("contents")
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n")
    for place, content in enumerate(contents):
        _check_content(content, place)
    _check_calls(contents)
    if generation(model) >= (3, 0):
        _check_signatures(contents)
    _check_generation(payload.get("generationConfig") or {}, model)
    _check_tools(payload)


def _check_content(content: Mapping[str, Any], place: int) -> None:
    if content.get("role", "user") not in ("user", "model"):
        raise invalid("Please use a valid role: user, model.")
    if not content.get("parts"):
        raise invalid(
            f"* GenerateContentRequest.contents[{place}].parts: contents.parts must not be empty.\n"
        )
    for number, part in enumerate(content["parts"]):
        if sum(name in part for name in _DATA) != 1:
            raise invalid(
                f"* GenerateContentRequest.contents[{place}].parts[{number}].data: required oneof "
                "field 'data' must have one initialized field\n"
            )
        if part.get("text") == "" and not part.get("thoughtSignature"):
            raise invalid("Unable to submit request because it must have a text parameter.")
        for blob in ("inlineData", "fileData"):
            if blob in part and not part[blob].get("mimeType"):
                raise invalid(f"Unable to submit request because {blob} must have a mimeType.")


def _check_calls(contents: Sequence[Mapping[str, Any]]) -> None:
    """Results stand right behind their calls, as many as those, each with its id and name."""
    open_calls: list[Mapping[str, Any]] = []
    for content in contents:
        results = [p["functionResponse"] for p in content["parts"] if "functionResponse" in p]
        if len(results) != len(open_calls):
            raise invalid(
                "Please ensure that the number of function response parts is equal to the number "
                "of function call parts of the function call turn."
            )
        known = {(call.get("id"), call.get("name")) for call in open_calls}
        for result in results:
            if not isinstance(result.get("response"), dict):
                raise invalid("Invalid value at 'function_response.response' (Struct)")
            if (result.get("id"), result.get("name")) not in known:
                raise invalid("Please ensure that function response ids match the function calls.")
        open_calls = [p["functionCall"] for p in content["parts"] if "functionCall" in p]
    if open_calls:
        raise invalid(
            "Please ensure that function call turn is followed by a function response turn."
        )


def _check_signatures(contents: Sequence[Mapping[str, Any]]) -> None:
    """The first call of each step since the user's last words must be signed."""
    said = [
        place
        for place, content in enumerate(contents)
        if content.get("role", "user") == "user"
        and any("functionResponse" not in part for part in content["parts"])
    ]
    for place in range(said[-1] if said else 0, len(contents)):
        calls = [part for part in contents[place]["parts"] if "functionCall" in part]
        if calls and not calls[0].get("thoughtSignature"):
            raise invalid(
                "Unable to submit request because function call "
                f"`{calls[0]['functionCall'].get('name')}` in the {place}. content block is "
                "missing a `thought_signature`."
            )


def _check_generation(config: Mapping[str, Any], model: str) -> None:
    for name, (least, most) in _RANGES.items():
        given = config.get(name)
        if given is not None and not least <= given <= most:
            raise invalid(
                f"* GenerateContentRequest.generation_config.{name}: {name} must be in the range "
                f"[{least}, {most}].\n"
            )
    if config.get("maxOutputTokens", 1) < 1:
        raise invalid("max_output_tokens must be positive.")
    if len(config.get("stopSequences") or ()) > _MOST_STOPS:
        raise invalid(f"The number of stop sequences must not exceed {_MOST_STOPS}.")
    if config.get("logprobs") is not None and not config.get("responseLogprobs"):
        raise invalid("logprobs is only valid if response_logprobs is set to true.")
    schemas = [n for n in ("responseSchema", "responseJsonSchema") if config.get(n) is not None]
    if len(schemas) > 1:
        raise invalid("response_schema and response_json_schema cannot both be set.")
    if schemas and config.get("responseMimeType") != "application/json":
        raise invalid("Schema is only supported with 'application/json' response mime type.")
    _check_thinking(config.get("thinkingConfig") or {}, model)


def _check_thinking(config: Mapping[str, Any], model: str) -> None:
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    if level is not None and budget is not None:
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if level is not None and str(level).lower() not in levels(model):
        raise invalid(f"Thinking level is not supported for this model: {level}")
    if budget is not None and generation(model) < (2, 5):
        raise invalid("Thinking is not enabled for this model.")
    if budget == 0 and "pro" in model:
        raise invalid("Budget 0 is invalid. This model only works in thinking mode.")


def _check_tools(payload: Mapping[str, Any]) -> None:
    declared = [
        function
        for tool in payload.get("tools") or ()
        for function in tool.get("functionDeclarations") or ()
    ]
    names = [str(function.get("name")) for function in declared]
    for place, function in enumerate(declared):
        if not _NAME.fullmatch(names[place]):
            raise invalid(
                f"* GenerateContentRequest.tools[0].function_declarations[{place}].name: "
                "Invalid function name.\n"
            )
        if {"parameters", "parametersJsonSchema"} <= function.keys():
            raise invalid("parameters and parameters_json_schema cannot both be set.")
    if len(set(names)) < len(names):
        raise invalid("Duplicate function declaration found.")
    config = (payload.get("toolConfig") or {}).get("functionCallingConfig") or {}
    mode, allowed = config.get("mode", "AUTO"), config.get("allowedFunctionNames")
    if mode not in _MODES:
        raise invalid(
            "Invalid value at 'tool_config.function_calling_config.mode' "
            f'(type.googleapis.com/google.ai.generativelanguage.v1beta.Mode), "{mode}"'
        )
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise invalid(
            "allowed_function_names should only be set when the mode is ANY or VALIDATED."
        )
    if not set(allowed or ()) <= set(names):
        raise invalid("allowed_function_names must be a subset of the declared functions.")
