"""From chat chunks to the events of a streamed response, and to the response itself.

Text and thoughts are one item for as long as nothing else comes between; calls stay open until the
end, since their arguments may come interleaved. Thoughts are told as a summary when the request
asked for one (`reasoning.summary`), which is what most clients show, and else as `reasoning_text`.

Source:
    https://platform.openai.com/docs/api-reference/responses-streaming (checked 2026-11-20)
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_core.apis.responses.output import begun, item_id, outcome, response_id, usage_of_chat
from llm_core.apis.responses.thoughts import sealed
from llm_core.chat.response import token_count

_Object = dict[str, Any]


@dataclass(slots=True)
class _Part:
    """Text of one kind, still growing."""

    kind: str
    index: int
    pieces: list[str] = field(default_factory=list)
    logprobs: list[_Object] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def written(self) -> _Object:
        """The part as it stands in its item."""
        match self.kind:
            case "output_text":
                own = {"text": self.text, "annotations": [], "logprobs": list(self.logprobs)}
            case "refusal":
                own = {"refusal": self.text}
            case _:
                own = {"text": self.text}
        return {"type": self.kind, **own}


@dataclass(slots=True)
class _Growing:
    """An item that is not finished: a message, thoughts or a call.

    Args:
        item: As it will stand in the output; its texts are filled in when they end.
        part: The open part of a message or of thoughts.
        pieces: What a call is made with, so far.
    """

    item: _Object
    output_index: int
    part: _Part | None = None
    pieces: list[str] = field(default_factory=list)
    blocks: list[Any] = field(default_factory=list)

    @property
    def place(self) -> _Object:
        """What every event about the item names."""
        return {"item_id": self.item["id"], "output_index": self.output_index}


class ResponseBuilder:
    """Takes chat chunks, gives events without their numbers; `response` is what they add up to."""

    def __init__(self, echo: Mapping[str, Any], model: str, *, summarises: bool) -> None:
        """Start with nothing said.

        Args:
            echo: What the response repeats of its request.
            model: The asked model, for a provider that does not name the one it used.
            summarises: Tell thoughts as a summary.
        """
        self.response: _Object = {}
        self._echo = echo
        self._model = model
        self._summarises = summarises
        self._speaking: _Growing | None = None
        self._calls: dict[int, _Growing] = {}
        self._finish_reason: str | None = None

    def add(self, chunk: Mapping[str, Any]) -> Iterator[_Object]:
        """Give the events that a `chat.completion.chunk` makes."""
        if not self.response:
            yield from self._begin(chunk)
        usage = an_object(chunk.get("usage"))
        if usage:
            self.response["usage"] = usage_of_chat(usage)
        for choice in objects(chunk.get("choices")):
            # One answer was asked for; a server may give more.
            if choice.get("index", 0) == 0:
                yield from self._add_choice(choice)

    def end(self) -> Iterator[_Object]:
        """Give the last events."""
        if not self.response:
            yield from self._begin({})
        end = outcome(self._finish_reason)
        last = len(self.response["output"]) - 1
        growing = [] if self._speaking is None else [self._speaking]
        for one in (*growing, *self._calls.values()):
            is_cut = one.output_index == last and end["status"] == "incomplete"
            yield from self._close(one, "incomplete" if is_cut else "completed")
        self.response |= end
        yield {"type": f"response.{end['status']}", "response": self.response}

    def _begin(self, chunk: Mapping[str, Any]) -> Iterator[_Object]:
        self.response = begun(
            self._echo,
            id_=response_id(_text(chunk.get("id"))),
            created_at=token_count(chunk.get("created")) or 0,
            model=_text(chunk.get("model")) or self._model,
        )
        for name in ("response.created", "response.in_progress"):
            yield {"type": name, "response": {**self.response, "output": []}}

    def _add_choice(self, choice: Mapping[str, Any]) -> Iterator[_Object]:
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        delta = an_object(choice.get("delta"))
        thought = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        if thought:
            yield from self._think(thought)
        blocks = objects(delta.get("thinking_blocks"))
        if blocks:
            growing = yield from self._speak("reasoning")
            growing.blocks += blocks
        if _text(delta.get("content")):
            logprobs = objects(an_object(choice.get("logprobs")).get("content"))
            yield from self._say("output_text", delta["content"], logprobs)
        if _text(delta.get("refusal")):
            yield from self._say("refusal", delta["refusal"])
        if delta.get("extra_content") and self._speaking is not None:
            self._speaking.item["extra_content"] = delta["extra_content"]
        for call in objects(delta.get("tool_calls")):
            yield from self._call(call)

    def _think(self, text: str) -> Iterator[_Object]:
        growing = yield from self._speak("reasoning")
        kind = "summary_text" if self._summarises else "reasoning_text"
        part = yield from self._open_part(growing, kind)
        yield _delta(growing, part, text)

    def _say(
        self, kind: str, text: str, logprobs: Iterable[Mapping[str, Any]] = ()
    ) -> Iterator[_Object]:
        growing = yield from self._speak("message")
        part = yield from self._open_part(growing, kind)
        delta = _delta(growing, part, text)
        if kind == "output_text":
            delta["logprobs"] = [_logprob(one) for one in logprobs]
            part.logprobs += delta["logprobs"]
        yield delta

    def _speak(self, kind: str) -> Generator[_Object, None, _Growing]:
        """Have an item of that kind open, and no other text or thoughts."""
        growing = self._speaking
        if growing is None or growing.item["type"] != kind:
            yield from self._silence()
            prefix = "msg" if kind == "message" else "rs"
            growing = self._speaking = self._new(prefix, {"type": kind, **_EMPTY[kind]})
            yield _added(growing)
        return growing

    def _silence(self) -> Iterator[_Object]:
        growing, self._speaking = self._speaking, None
        if growing is not None:
            yield from self._close(growing, "completed")

    def _new(self, prefix: str, members: _Object) -> _Growing:
        index = len(self.response["output"])
        head = {"id": item_id(prefix, self.response["id"], index), "status": "in_progress"}
        item = {**head, **{k: list(v) if isinstance(v, tuple) else v for k, v in members.items()}}
        self.response["output"].append(item)
        return _Growing(item, index)

    def _open_part(self, growing: _Growing, kind: str) -> Generator[_Object, None, _Part]:
        part = growing.part
        if part is None or part.kind != kind:
            yield from self._close_part(growing)
            place = "summary" if kind == "summary_text" else "content"
            part = growing.part = _Part(kind, len(growing.item[place]))
            yield _part_event("added", growing, part)
        return part

    def _close_part(self, growing: _Growing) -> Iterator[_Object]:
        part, growing.part = growing.part, None
        if part is None:
            return
        name, place = _NAMES[part.kind]
        written = part.written()
        told = {"refusal": part.text} if part.kind == "refusal" else {"text": part.text}
        if part.kind == "output_text":
            told["logprobs"] = written["logprobs"]
        yield {"type": f"response.{name}.done", **growing.place, place: part.index, **told}
        growing.item["summary" if part.kind == "summary_text" else "content"].append(written)
        yield _part_event("done", growing, part)

    def _call(self, delta: Mapping[str, Any]) -> Iterator[_Object]:
        index = delta.get("index")
        key = index if isinstance(index, int) else len(self._calls)
        growing = self._calls.get(key)
        called = an_object(delta.get("function")) or an_object(delta.get("custom"))
        if growing is None:
            yield from self._silence()
            growing = self._new_call(delta, called)
            self._calls[key] = growing
            yield _added(growing)
        if delta.get("extra_content"):
            growing.item["extra_content"] = delta["extra_content"]
        name, _ = _CALLS[growing.item["type"]]
        piece = _text(called.get("arguments")) or _text(called.get("input"))
        if piece:
            growing.pieces.append(piece)
            yield {"type": f"response.{name}.delta", **growing.place, "delta": piece}

    def _new_call(self, delta: Mapping[str, Any], called: Mapping[str, Any]) -> _Growing:
        is_custom = delta.get("type") == "custom" or "custom" in delta
        kind = "custom_tool_call" if is_custom else "function_call"
        _, member = _CALLS[kind]
        growing = self._new(
            "ctc" if is_custom else "fc",
            {
                "type": kind,
                "call_id": delta.get("id"),
                "name": called.get("name") or "",
                member: "",
            },
        )
        if not growing.item["call_id"]:
            growing.item["call_id"] = item_id("call", self.response["id"], growing.output_index)
        return growing

    def _close(self, growing: _Growing, status: str) -> Iterator[_Object]:
        item = growing.item
        item["status"] = status
        yield from self._close_part(growing)
        if growing.blocks:
            item["encrypted_content"] = sealed(growing.blocks)
        if item["type"] in _CALLS:
            name, member = _CALLS[item["type"]]
            item[member] = "".join(growing.pieces)
            made = {"name": item["name"], member: item[member]}
            yield {"type": f"response.{name}.done", **growing.place, **made}
        yield {
            "type": "response.output_item.done",
            "output_index": growing.output_index,
            "item": item,
        }


_NAMES = {
    "output_text": ("output_text", "content_index"),
    "refusal": ("refusal", "content_index"),
    "reasoning_text": ("reasoning_text", "content_index"),
    "summary_text": ("reasoning_summary_text", "summary_index"),
}
"""A part's kind: what its events are called, and how they count it."""

_CALLS = {
    "function_call": ("function_call_arguments", "arguments"),
    "custom_tool_call": ("custom_tool_call_input", "input"),
}
"""A call's kind: what its events are called, and which member they fill."""

_EMPTY: Mapping[str, Mapping[str, Any]] = {
    "message": {"role": "assistant", "content": ()},
    "reasoning": {"summary": (), "content": (), "encrypted_content": None},
}


def an_object(value: object) -> _Object:
    """An object as it is; anything else a provider may send in its place is an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[_Object]:
    """The objects of a list; none of anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _added(growing: _Growing) -> _Object:
    item = {k: list(v) if isinstance(v, list) else v for k, v in growing.item.items()}
    return {
        "type": "response.output_item.added",
        "output_index": growing.output_index,
        "item": item,
    }


def _delta(growing: _Growing, part: _Part, text: str) -> _Object:
    part.pieces.append(text)
    name, place = _NAMES[part.kind]
    kind = f"response.{name}.delta"
    return {"type": kind, **growing.place, place: part.index, "delta": text}


def _part_event(what: str, growing: _Growing, part: _Part) -> _Object:
    _, place = _NAMES[part.kind]
    name = "reasoning_summary_part" if part.kind == "summary_text" else "content_part"
    return {
        "type": f"response.{name}.{what}",
        **growing.place,
        place: part.index,
        "part": part.written(),
    }


def _logprob(given: Mapping[str, Any]) -> _Object:
    """A token's probability; a chat completion may leave its bytes out."""
    one = {
        "token": given.get("token", ""),
        "logprob": given.get("logprob", 0.0),
        "bytes": given.get("bytes") or [],
    }
    return {**one, "top_logprobs": [_top(top) for top in objects(given.get("top_logprobs"))]}


def _top(given: Mapping[str, Any]) -> _Object:
    one = _logprob({**given, "top_logprobs": ()})
    del one["top_logprobs"]
    return one
