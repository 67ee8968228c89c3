"""A kept response as the events that would have led to it, whoever made it."""

from collections.abc import Iterator, Mapping
from typing import Any

from llm_core.apis.responses.building import objects

_Object = dict[str, Any]
_TEXTS = {
    "output_text": ("output_text", "text"),
    "refusal": ("refusal", "refusal"),
    "reasoning_text": ("reasoning_text", "text"),
}


def events_of(response: Mapping[str, Any]) -> Iterator[_Object]:
    """Give the events, without their numbers; items, parts and calls come in one piece each.

    An item or part of a kind that is not known here is added and done, with nothing between.
    """
    opening = {**response, "status": "in_progress", "output": [], "usage": None}
    opening["incomplete_details"] = None
    for name in ("response.created", "response.in_progress"):
        yield {"type": name, "response": opening}
    for index, item in enumerate(objects(response.get("output"))):
        place = {"item_id": item.get("id"), "output_index": index}
        yield {"type": "response.output_item.added", "output_index": index, "item": _empty(item)}
        yield from _summary(item, place)
        yield from _content(item, place)
        yield from _call(item, place)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{response.get('status') or 'completed'}", "response": dict(response)}


def _empty(item: Mapping[str, Any]) -> _Object:
    empty = dict(item)
    if "status" in empty:
        empty["status"] = "in_progress"
    for name in ("content", "summary"):
        if isinstance(empty.get(name), list):
            empty[name] = []
    for name in ("arguments", "input"):
        if isinstance(empty.get(name), str):
            empty[name] = ""
    return empty


def _summary(item: Mapping[str, Any], place: _Object) -> Iterator[_Object]:
    for index, part in enumerate(objects(item.get("summary"))):
        text = part.get("text")
        if not isinstance(text, str):
            continue
        at = {**place, "summary_index": index}
        name, part_name = "response.reasoning_summary_text", "response.reasoning_summary_part"
        yield {"type": f"{part_name}.added", **at, "part": {**part, "text": ""}}
        yield {"type": f"{name}.delta", **at, "delta": text}
        yield {"type": f"{name}.done", **at, "text": text}
        yield {"type": f"{part_name}.done", **at, "part": part}


def _content(item: Mapping[str, Any], place: _Object) -> Iterator[_Object]:
    for index, part in enumerate(objects(item.get("content"))):
        name, member = _TEXTS.get(str(part.get("type")), ("", ""))
        text = part.get(member)
        if not isinstance(text, str):
            continue
        at = {**place, "content_index": index}
        empty, more = {**part, member: ""}, {}
        if name == "output_text":
            more["logprobs"] = part.get("logprobs") or []
            empty |= {"annotations": [], "logprobs": []}
        yield {"type": "response.content_part.added", **at, "part": empty}
        yield {"type": f"response.{name}.delta", **at, "delta": text, **more}
        yield {"type": f"response.{name}.done", **at, member: text, **more}
        yield {"type": "response.content_part.done", **at, "part": part}


def _call(item: Mapping[str, Any], place: _Object) -> Iterator[_Object]:
    match item.get("type"):
        case "function_call":
            name, member = "function_call_arguments", "arguments"
        case "custom_tool_call":
            name, member = "custom_tool_call_input", "input"
        case _:
            return
    made = item.get(member)
    if not isinstance(made, str):
        return
    yield {"type": f"response.{name}.delta", **place, "delta": made}
    done = {"name": item.get("name")} if member == "arguments" else {}
    yield {"type": f"response.{name}.done", **place, member: made, **done}
