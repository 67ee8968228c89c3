"""A model's answer on its way through screening, chunk by chunk.

What a model says is held back until it is certain: text until its segment is complete (see
`segments`), a call's arguments until the choice ends, since they are JSON. Where only placeholders
are restored, text is held back no further than one that may have begun.

A whole answer goes the same way as one chunk, so that it and the same answer streamed come out
alike. Token probabilities show the very words that are held back, and go on for nobody. Of what is
looked at nothing goes on that holds words in another place: a provider's annotations, sound, signed
thoughts, which would not match their signature any more.

This does no screening itself. `take` gives the texts to be looked at, `give` takes what was found
in them and gives the chunks that may go on. One `give` belongs to each `take`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_core.screening.redact import Finding, Placeholders, Restorer
from llm_core.screening.segments import Segmenter
from llm_core.screening.words import TOKEN, reworded_json

_Object = dict[str, Any]
_THOUGHTS = ("reasoning_content", "reasoning")
_SAID = ("content", "refusal", "text")
_ENVELOPE = ("id", "object", "created", "model", "system_fingerprint", "service_tier")


class _Held:
    """A text of an answer: what of it may be judged, or may go on unjudged."""

    def __init__(self, restorer: Restorer, *, is_screened: bool) -> None:
        self._segmenter = Segmenter() if is_screened else None
        self._restorer = restorer
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        if self._segmenter is not None:
            return self._segmenter.feed(text)
        self._rest += text
        certain = self._restorer.certain(self._rest)
        released, self._rest = self._rest[:certain], self._rest[certain:]
        return [released] if released else []

    def end(self) -> list[str]:
        rest = self._segmenter.end() if self._segmenter is not None else self._rest
        self._rest = ""
        return [rest] if rest else []


@dataclass(slots=True)
class _Call:
    """A call that is not whole yet: its head, and what it is made with."""

    head: _Object = field(default_factory=dict)
    made: _Object = field(default_factory=dict)
    member: str = "function"
    pieces: list[str] = field(default_factory=list)

    def add(self, delta: Mapping[str, Any]) -> None:
        for name, value in delta.items():
            if name in ("function", "custom"):
                self.member = name
                self._make(value if isinstance(value, dict) else {})
            elif name in ("index", "id", "type") and _is_token(value):
                self.head[name] = value
            elif name == "extra_content":
                self.head |= _signed(value)

    def _make(self, made: Mapping[str, Any]) -> None:
        if _is_token(made.get("name")):
            self.made["name"] = made["name"]
        for name in ("arguments", "input"):
            if isinstance(made.get(name), str):
                self.pieces.append(made[name])

    def whole(self, say: Callable[[str], str]) -> _Object:
        """The call in one piece, its words as they are said."""
        text = "".join(self.pieces)
        name = "input" if self.member == "custom" else "arguments"
        made = {**self.made, name: reworded_json(text, say)}
        return {**self.head, self.member: made}


@dataclass(slots=True)
class _Choice:
    index: int
    texts: dict[str, _Held] = field(default_factory=dict)
    calls: dict[int, _Call] = field(default_factory=dict)
    function_call: _Call | None = None
    speaking: str | None = None


@dataclass(frozen=True, slots=True)
class _Out:
    """A piece that goes on as soon as its words are known to be good.

    Args:
        build: Makes the chunk, given what becomes of a text.
        texts: Those it will ask for, in order.
    """

    build: Callable[[Callable[[str], str]], _Object]
    texts: tuple[str, ...] = ()


class AnswerScreen:
    """One answer.

    Args:
        placeholders: Of the call.
        restorer: Puts back what was taken from the question; of no values where policy does not
            say so.
        is_screened: What the model says is looked at; otherwise placeholders are restored only.
    """

    def __init__(
        self, placeholders: Placeholders, restorer: Restorer, *, is_screened: bool
    ) -> None:
        self._placeholders = placeholders
        self._restorer = restorer
        self._is_screened = is_screened
        self._choices: dict[int, _Choice] = {}
        self._envelope: _Object = {}
        self._outs: list[_Out] = []

    def take(self, chunks: Sequence[Mapping[str, Any]], *, is_end: bool = False) -> list[str]:
        """Take chunks in; give the texts that are to be looked at.

        Args:
            chunks: Of `chat.completion.chunk`, or of legacy completions.
            is_end: Nothing comes behind them.
        """
        for chunk in chunks:
            self._take(chunk)
        if is_end:
            for choice in self._choices.values():
                self._flush(choice)
        if not self._is_screened:
            return []
        return [text for out in self._outs for text in out.texts]

    def give(self, found: Sequence[Sequence[Finding]]) -> list[_Object]:
        """The chunks that may go on.

        Args:
            found: For each text that `take` gave, in order, what was found in it; none over
                another. Nothing at all where nothing is screened.
        """
        rest = iter(found)

        def say(text: str) -> str:
            redacted = text
            if self._is_screened:
                redacted = self._placeholders.redacted(text, next(rest))
            return self._restorer(redacted)

        outs, self._outs = self._outs, []
        return [out.build(say) for out in outs]

    def _take(self, chunk: Mapping[str, Any]) -> None:
        self._envelope = (
            {name: chunk[name] for name in _ENVELOPE if _is_token(chunk.get(name))}
            if self._is_screened
            else {n: value for n, value in chunk.items() if n not in ("choices", "usage")}
        )
        choices = chunk.get("choices")
        for streamed in choices if isinstance(choices, list) else ():
            if isinstance(streamed, dict):
                self._take_choice(streamed)
        usage = chunk.get("usage")
        if usage or not choices:
            self._put({**self._envelope, "choices": [], **({"usage": usage} if usage else {})})

    def _take_choice(self, streamed: Mapping[str, Any]) -> None:
        index = streamed.get("index", 0)
        choice = self._choices.setdefault(index, _Choice(index))
        delta = streamed.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        if kept := self._wordless(delta):
            self._put_delta(choice, kept)
        for name in (*_THOUGHTS, *_SAID):
            text = streamed.get(name) if name == "text" else delta.get(name)
            if isinstance(text, str) and text:
                self._hear(choice, name, text)
        self._call(choice, delta)
        if streamed.get("finish_reason"):
            self._flush(choice)
            reason = streamed["finish_reason"]
            end = {
                "index": index,
                "delta": {},
                "finish_reason": reason if _is_token(reason) else "stop",
            }
            self._put({**self._envelope, "choices": [_of_its_kind(streamed, end)]})

    def _wordless(self, delta: Mapping[str, Any]) -> _Object:
        """What goes on as it is: where words are looked at, only what holds none for certain."""
        if not self._is_screened:
            return {name: value for name, value in delta.items() if name not in _WORDY}
        role = {"role": delta["role"]} if _is_token(delta.get("role")) else {}
        return {**role, **_signed(delta.get("extra_content"))}

    def _hear(self, choice: _Choice, name: str, text: str) -> None:
        speaking = "thoughts" if name in _THOUGHTS else "words"
        if choice.speaking not in (None, speaking):
            # Thoughts have ended when words begin, and go before them.
            self._fall_silent(choice)
        choice.speaking = speaking
        held = choice.texts.get(name)
        if held is None:
            held = choice.texts[name] = _Held(self._restorer, is_screened=self._is_screened)
        self._release(choice, name, held.feed(text))

    def _call(self, choice: _Choice, delta: Mapping[str, Any]) -> None:
        calls = delta.get("tool_calls")
        for one in calls if isinstance(calls, list) else ():
            if isinstance(one, dict):
                index = one.get("index", len(choice.calls))
                choice.calls.setdefault(index, _Call({"index": index})).add(one)
        older = delta.get("function_call")
        if isinstance(older, dict):
            choice.function_call = choice.function_call or _Call()
            choice.function_call.add({"function": older})

    def _flush(self, choice: _Choice) -> None:
        """Let everything go on that was held back of a choice."""
        self._fall_silent(choice)
        for call in choice.calls.values():
            self._put_call(choice, call, is_older=False)
        choice.calls.clear()
        if choice.function_call is not None:
            self._put_call(choice, choice.function_call, is_older=True)
            choice.function_call = None

    def _fall_silent(self, choice: _Choice) -> None:
        """Let the texts go on. Calls wait for the end: words may come in the middle of one."""
        for name, held in choice.texts.items():
            self._release(choice, name, held.end())
        choice.speaking = None

    def _release(self, choice: _Choice, name: str, segments: Sequence[str]) -> None:
        if not segments:
            return
        envelope = self._envelope

        def build(say: Callable[[str], str]) -> _Object:
            said = "".join(map(say, segments))
            if name == "text":
                return {**envelope, "choices": [_legacy(choice.index, said)]}
            return {**envelope, "choices": [_delta(choice.index, {name: said})]}

        self._outs.append(_Out(build, tuple(segments)))

    def _put_call(self, choice: _Choice, call: _Call, *, is_older: bool) -> None:
        envelope, texts = self._envelope, []

        def note(text: str) -> str:
            texts.append(text)
            return text

        def build(say: Callable[[str], str]) -> _Object:
            whole = call.whole(say)
            made = {"function_call": whole["function"]} if is_older else {"tool_calls": [whole]}
            return {**envelope, "choices": [_delta(choice.index, made)]}

        call.whole(note)
        self._outs.append(_Out(build, tuple(texts)))

    def _put_delta(self, choice: _Choice, delta: _Object) -> None:
        self._put({**self._envelope, "choices": [_delta(choice.index, delta)]})

    def _put(self, chunk: _Object) -> None:
        self._outs.append(_Out(lambda _say: chunk))


_WORDY = frozenset({*_THOUGHTS, *_SAID, "tool_calls", "function_call"})


def _is_token(value: object) -> bool:
    """Whether it says what something is, and holds no words."""
    if isinstance(value, str):
        return bool(value) and TOKEN.fullmatch(value) is not None
    return isinstance(value, int)


def _signed(extra: object) -> _Object:
    """Google's signature of a thought, without which it does not take its own calls back."""
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    if not _is_token(signature):
        return {}
    return {"extra_content": {"google": {"thought_signature": signature}}}


def _delta(index: int, delta: _Object) -> _Object:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}


def _legacy(index: int, text: str) -> _Object:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": None}


def _of_its_kind(streamed: Mapping[str, Any], end: _Object) -> _Object:
    if "text" in streamed:
        return {**_legacy(end["index"], ""), "finish_reason": end["finish_reason"]}
    return {**end, "logprobs": None}
