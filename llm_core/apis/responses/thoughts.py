"""How a provider's signed thoughts travel through a reasoning item and back.

Claude wants the thoughts of a turn back, signed, as soon as tools are used. In the chat API they
are `thinking_blocks`. The Responses API has one place that a client gives back without looking at
it: the reasoning item's `encrypted_content`. The blocks are put there as they are. They are not
secret, they are the same that a client of the chat API gets; what protects them is the provider's
signature.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from llm_core.chat.encoding import decode_value

_MARK = "gatehouse-thoughts-1."


def sealed(blocks: Sequence[Any]) -> str:
    """Write thinking blocks as `encrypted_content`."""
    return _MARK + base64.urlsafe_b64encode(msgspec.json.encode(blocks)).decode()


def is_ours(content: object) -> bool:
    """Whether `encrypted_content` is of our making."""
    return isinstance(content, str) and content.startswith(_MARK)


def unsealed(content: str) -> list[dict[str, Any]]:
    """Read the blocks back; none from a text that somebody has changed."""
    try:
        blocks = decode_value(base64.urlsafe_b64decode(content.removeprefix(_MARK)))
    except (ValueError, binascii.Error):
        return []
    return [b for b in blocks if isinstance(b, dict)] if isinstance(blocks, list) else []
