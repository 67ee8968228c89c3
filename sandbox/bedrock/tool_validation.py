"""Refuses tools and tool turns that Converse refuses.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html
    (checked 2026-11-20); messages as users report them, for example
    https://github.com/langgenius/dify/issues/16421
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.bedrock.errors import invalid

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")


def check_tools(payload: Mapping[str, Any]) -> None:
    """Check `toolConfig`."""
    config = payload.get("toolConfig")
    if config is None:
        return
    specs = [tool["toolSpec"] for tool in config.get("tools") or () if "toolSpec" in tool]
    if not specs:
        raise invalid(
            "1 validation error detected: Value at 'toolConfig.tools' failed to satisfy "
            "constraint: Member must have length greater than or equal to 1"
        )
    names = []
    for place, spec in enumerate(specs):
        name = spec.get("name")
        where = f"toolConfig.tools.{place}.member.toolSpec"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise invalid(
                f"1 validation error detected: Value '{name}' at '{where}.name' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+"
            )
        if name in names:
            raise invalid(f"The toolConfig.tools field contains the duplicate tool name {name}.")
        names.append(name)
        if spec.get("description") == "":
            raise invalid(f"1 validation error detected: Value '' at '{where}.description'")
        if spec["inputSchema"]["json"].get("type") != "object":
            raise invalid(
                f"The value at {where}.inputSchema.json.type must be one of the following: object."
            )
    _check_choice(config.get("toolChoice"), names)


def _check_choice(choice: Mapping[str, Any] | None, names: Sequence[str]) -> None:
    if choice is None:
        return
    if len(choice) != 1 or not set(choice) <= {"auto", "any", "tool"}:
        raise invalid("The ToolChoice object must set one of the following keys: auto, any, tool.")
    if "tool" in choice and choice["tool"]["name"] not in names:
        raise invalid(f"The tool {choice['tool']['name']} is not defined in toolConfig.tools.")


def check_tool_turns(messages: Sequence[Mapping[str, Any]], *, has_tools: bool) -> None:
    """Check that every tool use is answered in the next message, and nothing else is."""
    open_ids: list[str] = []
    for place, message in enumerate(messages):
        used = [block["toolUse"] for block in message["content"] if "toolUse" in block]
        answered = [
            block["toolResult"]["toolUseId"]
            for block in message["content"]
            if "toolResult" in block
        ]
        if (used or answered) and not has_tools:
            raise invalid(
                "The toolConfig field must be defined when using toolUse and toolResult content "
                "blocks."
            )
        missing = [one for one in open_ids if one not in answered]
        if missing:
            raise invalid(
                f"Expected toolResult blocks at messages.{place}.content for the following Ids: "
                f"{', '.join(missing)}"
            )
        if len(answered) > len(open_ids):
            raise invalid(
                f"The number of toolResult blocks at messages.{place}.content exceeds the number "
                "of toolUse blocks of previous turn."
            )
        open_ids = [_checked_id(one, place) for one in used]
    if open_ids:
        raise invalid(
            f"Expected toolResult blocks at messages.{len(messages)}.content for the following "
            f"Ids: {', '.join(open_ids)}"
        )


def _checked_id(used: Mapping[str, Any], place: int) -> str:
    id_ = used["toolUseId"]
    if not _ID.fullmatch(id_):
        raise invalid(
            f"1 validation error detected: Value '{id_}' at 'messages.{place}.member.content."
            "toolUse.toolUseId' failed to satisfy constraint: Member must satisfy regular "
            "expression pattern: [a-zA-Z0-9_.:-]+"
        )
    if not isinstance(used["input"], dict):
        raise invalid(
            f"The format of the value at messages.{place}.content.toolUse.input is invalid."
        )
    return str(id_)
