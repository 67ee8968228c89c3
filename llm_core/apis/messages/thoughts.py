"""Thinking of other models in Anthropic's blocks, and back.

Anthropic's thinking block has a text and an opaque `signature`, which a client sends back as it
came. What another provider wants back with its thinking (a list of chunks, the model that signed)
travels inside that signature, so that a conversation loses nothing on its way through the client.
Claude's own signatures stay as they are: they are taken by Anthropic, Bedrock and Google alike.

Thinking that nobody signed has an empty signature. Only who is shown it can use it; it is not sent
to any provider again.

Source:
    https://platform.claude.com/docs/en/build-with-claude/thinking (checked 2026-11-20)
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from llm_core.chat.encoding import decode_object

_Object = dict[str, Any]

KINDS = ("thinking", "redacted_thinking")
_OURS = "gatehouse1."
_FIELDS = ("type", "thinking", "signature", "data")


def block_of_thought(thought: Mapping[str, Any]) -> _Object | None:
    """Give Anthropic's block for one of `thinking_blocks`, as a chat answer carries them.

    `None` for what is no thinking.
    """
    match thought:
        case {"type": "redacted_thinking", "data": str(data)}:
            kept = data if _is_claudes(thought) else _packed(thought)
            return {"type": "redacted_thinking", "data": kept}
        case {"type": "thinking", "thinking": str(text), "signature": str(signature)} if (
            signature and _is_claudes(thought)
        ):
            return {"type": "thinking", "thinking": text, "signature": signature}
        case {"type": "thinking"}:
            text = text_of_thought(thought)
            return {"type": "thinking", "thinking": text, "signature": _packed(thought)}
        case _:
            return None


def thought_of_block(block: Mapping[str, Any]) -> _Object | None:
    """Give back what `block_of_thought` was given; `None` for thinking that nobody signed.

    Args:
        block: Checked: `thinking` or `redacted_thinking`.
    """
    proof = block.get("signature" if block["type"] == "thinking" else "data")
    if not isinstance(proof, str) or not proof:
        return None
    if not proof.startswith(_OURS):
        return {name: block[name] for name in _FIELDS if name in block}
    thought = _unpacked(proof)
    return thought if thought is not None and thought.get("type") in KINDS else None


def is_anthropics(block: Mapping[str, Any]) -> bool:
    """Whether Anthropic can have signed a block: not packed by us, and not unsigned."""
    proof = block.get("signature" if block.get("type") == "thinking" else "data")
    return isinstance(proof, str) and bool(proof) and not proof.startswith(_OURS)


def text_of_thought(thought: Mapping[str, Any]) -> str:
    """What was thought: a text, or Mistral's list of texts."""
    said = thought.get("thinking")
    if isinstance(said, str):
        return said
    parts = said if isinstance(said, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _is_claudes(thought: Mapping[str, Any]) -> bool:
    model = thought.get("model")
    return not isinstance(model, str) or "claude" in model


def _packed(thought: Mapping[str, Any]) -> str:
    return _OURS + urlsafe_b64encode(msgspec.json.encode(thought)).decode()


def _unpacked(proof: str) -> _Object | None:
    try:
        return decode_object(urlsafe_b64decode(proof.removeprefix(_OURS)))
    except (binascii.Error, ValueError):
        return None
