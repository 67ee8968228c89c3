"""Refuses tools and tool turns that Anthropic refuses.

Source:
    https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use
    (checked 2026-11-20); messages as reported in
    https://github.com/anthropics/claude-code/issues/18947
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.anthropic.errors import invalid

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ID = re.compile(r"[a-zA-Z0-9_-]+")


def check_tools(payload: Mapping[str, Any]) -> None:
    """Check `tools` and `tool_choice`."""
    names = []
    for place, tool in enumerate(payload.get("tools") or ()):
        name = tool.get("name")
        if name is None:
            raise invalid(f"tools.{place}.custom.name: Field required")
        if not _NAME.fullmatch(name):
            raise invalid(
                f"tools.{place}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            )
        if name in names:
            raise invalid("tools: Tool names must be unique.")
        names.append(name)
        schema = tool.get("input_schema")
        if schema is None:
            raise invalid(f"tools.{place}.custom.input_schema: Field required")
        if schema.get("type") != "object":
            raise invalid(f"tools.{place}.custom.input_schema.type: Input should be 'object'")
    if payload.get("tool_choice") is not None:
        _check_choice(payload["tool_choice"], names)


def _check_choice(choice: Mapping[str, Any], names: Sequence[str]) -> None:
    if choice.get("type") not in ("auto", "any", "tool", "none"):
        raise invalid(
            f"tool_choice: Input tag '{choice.get('type')}' found using 'type' does not match any "
            "of the expected tags: 'auto', 'any', 'tool', 'none'"
        )
    if not names:
        raise invalid("tool_choice may only be specified while providing `tools`.")
    if choice["type"] == "tool" and choice.get("name") not in names:
        raise invalid(f"Tool '{choice.get('name')}' not found in provided tools")


def check_tool_turns(messages: Sequence[Mapping[str, Any]]) -> None:
    """Check that every tool use is answered in the next message, and nothing else is."""
    open_ids: list[str] = []
    for place, message in enumerate(messages):
        blocks = message["content"] if isinstance(message["content"], list) else []
        answered = []
        for position, block in enumerate(blocks):
            if block["type"] != "tool_result":
                continue
            where = f"messages.{place}.content.{position}"
            if block.get("tool_use_id") not in open_ids:
                raise invalid(
                    f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{block.get('tool_use_id')}. Each `tool_result` block must have a "
                    "corresponding `tool_use` block in the previous message."
                )
            answered.append(block["tool_use_id"])
        missing = [one for one in open_ids if one not in answered]
        if missing:
            raise _unanswered(place - 1, missing)
        open_ids = _used(blocks, place) if message["role"] == "assistant" else []
    if open_ids:
        raise _unanswered(len(messages) - 1, open_ids)


def _unanswered(place: int, missing: Sequence[str]) -> Exception:
    return invalid(
        f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {', '.join(missing)}. Each `tool_use` block must have a corresponding "
        "`tool_result` block in the next message."
    )


def _used(blocks: Sequence[Mapping[str, Any]], place: int) -> list[str]:
    used = []
    for position, block in enumerate(blocks):
        if block["type"] != "tool_use":
            continue
        where = f"messages.{place}.content.{position}.tool_use"
        if not _ID.fullmatch(str(block.get("id", ""))):
            raise invalid(f"{where}.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        if not isinstance(block.get("input"), dict):
            raise invalid(f"{where}.input: Input should be a valid dictionary")
        used.append(block["id"])
    return used
