"""Anthropic's events added up to the message they tell, and a message told in events.

Source:
    https://platform.claude.com/docs/en/build-with-claude/streaming (checked 2026-11-20)
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from llm_core.chat.encoding import decode_object
from llm_core.sse import encode_event

_Object = dict[str, Any]

_STOPPED = ("stop_reason", "stop_sequence", "stop_details")


def folded(events: Iterable[Mapping[str, Any]]) -> _Object:
    """Add events up to the message that the same answer would have been, not streamed.

    What is no event of Anthropic's is passed over; a stream that was cut gives what has come.
    """
    message: _Object = {"type": "message", "role": "assistant", "content": []}
    blocks: dict[int, _Object] = {}
    pieces: dict[tuple[int, str], list[str]] = {}
    for event in events:
        match event:
            case {"type": "message_start", "message": dict(begun)}:
                message |= begun
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
                blocks[index] = dict(block)
            case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)}:
                grown = _grown(delta)
                if grown is None:
                    _add(blocks.get(index, {}), delta)
                else:
                    pieces.setdefault((index, grown[0]), []).append(grown[1])
            case {"type": "message_delta"}:
                _stop(message, event)
            case _:
                pass
    for (index, name), texts in pieces.items():
        if index in blocks:
            _fill(blocks[index], name, "".join(texts))
    message["content"] = [blocks[index] for index in sorted(blocks)]
    return message


def events_of(message: Mapping[str, Any]) -> list[bytes]:
    """The events of a stream that folds to `message`: each block whole in one delta."""
    usage = message["usage"] if isinstance(message.get("usage"), dict) else {}
    stopped = {name: message[name] for name in _STOPPED if name in message}
    begun = {
        **message,
        **dict.fromkeys(stopped),
        "content": [],
        "usage": {**usage, "output_tokens": 0},
    }
    events: list[tuple[str, _Object]] = [("message_start", {"message": begun})]
    blocks = [block for block in message.get("content") or () if isinstance(block, dict)]
    for index, block in enumerate(blocks):
        opened, deltas = _opened(block)
        events.append(("content_block_start", {"index": index, "content_block": opened}))
        events += [("content_block_delta", {"index": index, "delta": one}) for one in deltas]
        events.append(("content_block_stop", {"index": index}))
    events.append(("message_delta", {"delta": stopped, "usage": usage}))
    events.append(("message_stop", {}))
    return [
        encode_event(msgspec.json.encode({"type": kind, **members}), kind)
        for kind, members in events
    ]


def _grown(delta: Mapping[str, Any]) -> tuple[str, str] | None:
    """The member that a delta makes longer, and by what."""
    match delta:
        case {"type": "text_delta", "text": str(text)}:
            return "text", text
        case {"type": "thinking_delta", "thinking": str(text)}:
            return "thinking", text
        case {"type": "input_json_delta", "partial_json": str(text)}:
            return "input", text
        case _:
            return None


def _fill(block: _Object, name: str, text: str) -> None:
    if name == "input":
        # A call without arguments sends an empty text, or none.
        block[name] = (decode_object(text.encode()) or {}) if text else block.get(name, {})
    else:
        begun = block.get(name)
        block[name] = (begun if isinstance(begun, str) else "") + text


def _add(block: _Object, delta: Mapping[str, Any]) -> None:
    match delta:
        case {"type": "signature_delta", "signature": str(signature)}:
            block["signature"] = signature
        case {"type": "citations_delta", "citation": citation}:
            cited = block.get("citations")
            block["citations"] = [*(cited if isinstance(cited, list) else ()), citation]
        case _:
            pass


def _stop(message: _Object, event: Mapping[str, Any]) -> None:
    delta = event.get("delta")
    if isinstance(delta, dict):
        message |= delta
    usage = event.get("usage")
    if isinstance(usage, dict):
        # Counts are cumulative; one that is null leaves the earlier one.
        known = {name: count for name, count in usage.items() if count is not None}
        begun = message.get("usage")
        message["usage"] = {**(begun if isinstance(begun, dict) else {}), **known}


def _opened(block: Mapping[str, Any]) -> tuple[_Object, list[_Object]]:
    """A block as it opens, and the deltas that fill it."""
    match block.get("type"):
        case "text":
            cited = [
                {"type": "citations_delta", "citation": c} for c in block.get("citations") or ()
            ]
            text = block.get("text") or ""
            said = [{"type": "text_delta", "text": text}] if text else []
            emptied: _Object = {"citations": []} if cited else {}
            return {**block, "text": "", **emptied}, [*cited, *said]
        case "thinking":
            text, signature = block.get("thinking") or "", block.get("signature") or ""
            deltas = [{"type": "thinking_delta", "thinking": text}] if text else []
            if signature:
                deltas.append({"type": "signature_delta", "signature": signature})
            return {**block, "thinking": "", "signature": ""}, deltas
        case "tool_use":
            given = msgspec.json.encode(block.get("input") or {}).decode()
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": given}]
        case _:
            return dict(block), []
