"""ConverseStream's messages as OpenAI's chunks.

Blocks come one after another, each filled by deltas and closed; only a tool call is opened by an
event of its own. Text and reasoning go out as they come; a call's index counts calls, where
Bedrock's counts blocks. Usage comes in the last message, behind the one that says why it stopped.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html
    Shape from the SDK's types (botocore 1.44.5); the pages were seen in excerpts, 2026-11-20.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from llm_core.chat.chunk import chunk, usage_chunk
from llm_core.chat.encoding import decode_object
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.bedrock.errors import failure_from_exception
from llm_core.providers.bedrock.event_stream import EventStreamDecoder, Message
from llm_core.providers.bedrock.response import (
    finish_reason_from_bedrock,
    refusal_from_bedrock,
    routed_model_from_bedrock,
    thinking_block_from_bedrock,
    tool_call_from_bedrock,
    usage_from_bedrock,
)
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]


class BedrockStream:
    """Reads a stream; see `StreamTranslator`.

    An error behind chunks in the same bytes is raised by the next `feed` or by `finish`.
    """

    def __init__(self) -> None:
        """Start with nothing read."""
        self._decoder = EventStreamDecoder()
        self._usage = TokenUsage()
        self._model: str | None = None
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._has_stopped = False
        self._has_given_usage = False
        self._failure: ProviderError | None = None

    def feed(self, received: bytes) -> Sequence[_Object]:
        """Give the chunks that `received` completes; see `StreamTranslator.feed`."""
        self._raise_failure()
        chunks = self._read(self._decoder.feed(received))
        if self._failure is None:
            self._failure = self._decoder.fault
        if not chunks:
            self._raise_failure()
        return chunks

    def finish(self) -> Sequence[_Object]:
        """Give what was held back; see `StreamTranslator.finish`.

        Raises:
            ProviderError: The provider had reported one behind its last chunks.
        """
        self._raise_failure()
        return self._end()

    @property
    def is_complete(self) -> bool:
        """Whether `messageStop` has come; only usage comes behind it."""
        return self._has_stopped

    @property
    def usage(self) -> TokenUsage:
        """As reported; it comes at the very end or not at all."""
        return self._usage

    @property
    def served_model(self) -> str | None:
        """The model that a prompt router chose; Converse tells no other."""
        return self._model

    def _read(self, messages: Sequence[Message]) -> list[_Object]:
        chunks: list[_Object] = []
        for message in messages:
            if self._failure is not None:
                break
            try:
                chunks += self._read_message(message)
            except (TypeError, KeyError, AttributeError, ValueError):
                self._failure = ProviderUnavailable(
                    "Amazon Bedrock sent something that is no event of its API in its stream."
                )
        return chunks

    def _read_message(self, message: Message) -> list[_Object]:
        body = decode_object(message.payload)
        match message.text(":message-type"):
            case "exception":
                self._failure = failure_from_exception(message.text(":exception-type"), body)
                return []
            case "error":
                said = {"message": message.text(":error-message")}
                self._failure = failure_from_exception(message.text(":error-code"), said)
                return []
            case "event" if body is not None:
                return self._read_event(message.text(":event-type"), body)
            case _:
                raise ValueError

    def _read_event(self, kind: str, event: _Object) -> list[_Object]:
        match kind:
            case "messageStart":
                return [self._chunk({"role": "assistant", "content": "", "refusal": None})]
            case "contentBlockStart":
                return self._open_block(event["contentBlockIndex"], event["start"])
            case "contentBlockDelta":
                return self._fill_block(event["contentBlockIndex"], event["delta"])
            case "contentBlockStop":
                return self._close_block(event["contentBlockIndex"])
            case "messageStop":
                reason = finish_reason_from_bedrock(event["stopReason"])
                self._has_stopped = True
                refusal = refusal_from_bedrock(event["stopReason"])
                delta = {"refusal": refusal} if refusal else {}
                return [self._chunk(delta, finish_reason=reason)]
            case "metadata":
                self._usage = usage_from_bedrock(event.get("usage"))
                self._model = routed_model_from_bedrock(event.get("trace"))
            case _:
                # Whatever AWS adds.
                pass
        return []

    def _open_block(self, index: int, start: Mapping[str, Any]) -> list[_Object]:
        opened = start.get("toolUse")
        if opened is None:
            return []
        self._blocks[index] = _Block(call_index=self._calls)
        call = tool_call_from_bedrock({**opened, "input": {}})
        call["function"]["arguments"] = ""
        self._calls += 1
        return [self._chunk({"tool_calls": [{"index": self._blocks[index].call_index, **call}]})]

    def _fill_block(self, index: int, delta: Mapping[str, Any]) -> list[_Object]:
        if "text" in delta:
            return self._text("content", delta["text"])
        if "reasoningContent" in delta:
            block = self._blocks.setdefault(index, _Block())
            return self._think(block, delta["reasoningContent"])
        if "toolUse" in delta:
            block = self._blocks[index]
            return self._arguments(block, delta["toolUse"]["input"])
        return []

    def _think(self, block: "_Block", delta: Mapping[str, Any]) -> list[_Object]:
        block.signature += delta.get("signature", "")
        block.redacted += _bytes(delta.get("redactedContent", ""))
        chunks = self._text("reasoning_content", delta.get("text", ""))
        block.thoughts.append(delta.get("text", ""))
        return chunks

    def _close_block(self, index: int) -> list[_Object]:
        block = self._blocks.pop(index, None)
        if block is None:
            return []
        if block.call_index is not None:
            # A call without arguments sends none; in the whole answer they read `{}`.
            return [] if block.has_arguments else self._arguments(block, "{}")
        kept = thinking_block_from_bedrock(
            {
                "text": "".join(block.thoughts),
                "signature": block.signature,
                "redactedContent": base64.b64encode(block.redacted).decode(),
            }
        )
        return [] if kept is None else [self._chunk({"thinking_blocks": [kept]})]

    def _end(self) -> list[_Object]:
        """The chunk with usage: at the end, for nothing may come behind it."""
        if self._has_given_usage or not self._usage.is_reported:
            return []
        self._has_given_usage = True
        return [usage_chunk(id_="", model=self._model or "", usage=self._usage)]

    def _text(self, field: str, text: object) -> list[_Object]:
        if not isinstance(text, str):
            raise TypeError
        return [self._chunk({field: text})] if text else []

    def _arguments(self, block: "_Block", text: object) -> list[_Object]:
        if not isinstance(text, str):
            raise TypeError
        if not text:
            return []
        block.has_arguments = True
        call = {"index": block.call_index, "function": {"arguments": text}}
        return [self._chunk({"tool_calls": [call]})]

    def _chunk(self, delta: _Object, finish_reason: str | None = None) -> _Object:
        return chunk(id_="", model=self._model or "", delta=delta, finish_reason=finish_reason)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


class _Block:
    """A block that is open: a call when it has an index, else reasoning.

    Args:
        call_index: Which call of the answer this is.
    """

    __slots__ = ("call_index", "has_arguments", "redacted", "signature", "thoughts")

    def __init__(self, *, call_index: int | None = None) -> None:
        self.call_index = call_index
        self.has_arguments = False
        self.thoughts: list[str] = []
        self.signature = ""
        self.redacted = bytearray()


def _bytes(encoded: str) -> bytes:
    """Each delta is base64 of its own; joined as text they would be nonsense."""
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError from None
