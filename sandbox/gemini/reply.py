"""Writes an answer as Gemini does, whole or as events.

Source:
    https://ai.google.dev/api/generate-content#GenerateContentResponse (checked 2026-11-20)
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from sandbox.answers import Answer, Finish, ToolCall, call_id
from sandbox.gemini.question import PromptSize
from sandbox.gemini.traits import generation
from sandbox.identifiers import identifier
from sandbox.tokens import count, pieces
from sandbox.wire import Event, data_event

_Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContentReply:
    """One `GenerateContentResponse`.

    Args:
        digest: The request's; fixes the ids.
        model: The served model.
        answers: What is said, by candidate.
        prompt: Size of the prompt.
        are_thoughts_shown: Whether a summary of the thoughts was asked for.
        probabilities: How many likely tokens are told beside each; `None` for no probabilities.
    """

    digest: str
    model: str
    answers: Sequence[Answer]
    prompt: PromptSize
    are_thoughts_shown: bool
    probabilities: int | None

    @property
    def output_tokens(self) -> int:
        """Thinking included."""
        return sum(answer.output_tokens for answer in self.answers)

    def whole(self, *, has_usage: bool) -> _Object:
        """One document."""
        body: _Object = {
            "candidates": [
                self._candidate(index, self._parts(answer, index), answer.finish)
                for index, answer in enumerate(self.answers)
            ]
        }
        for candidate, answer in zip(body["candidates"], self.answers, strict=True):
            if self.probabilities is not None:
                candidate["logprobsResult"] = _logprobs(pieces(answer.text), self.probabilities)
        if has_usage:
            body["usageMetadata"] = self._usage(self.answers)
        return {**body, **self._envelope()}

    def events(self, *, has_usage: bool) -> list[Event]:
        """An event for every piece; each has the envelope, the last of a candidate its finish."""
        events: list[Event] = []
        for index, answer in enumerate(self.answers):
            steps = list(self._steps(answer, index))
            for place, (part, tokens) in enumerate(steps):
                is_last = place == len(steps) - 1
                body: _Object = {
                    "candidates": [
                        self._candidate(index, [part], answer.finish if is_last else None)
                    ]
                }
                if self.probabilities is not None and "text" in part and "thought" not in part:
                    body["candidates"][0]["logprobsResult"] = _logprobs(
                        pieces(part["text"]), self.probabilities
                    )
                if has_usage:
                    done = self.answers[: index + 1] if is_last else ()
                    body["usageMetadata"] = self._usage(done)
                events.append(data_event({**body, **self._envelope()}, tokens))
        return events

    def _steps(self, answer: Answer, index: int) -> Iterator[tuple[_Object, int]]:
        for part in self._parts(answer, index):
            said = part.get("text")
            if not said:
                tokens = count(str(part.get("functionCall", "")))
                yield part, tokens
                continue
            parts = pieces(said)
            rest = {name: value for name, value in part.items() if name != "text"}
            signature = rest.pop("thoughtSignature", None)
            for piece in parts:
                yield {"text": piece, **rest}, 1
            if signature:
                # In a stream the signature may come in a part of its own, with an empty text.
                yield {"text": "", "thoughtSignature": signature}, 0

    def _candidate(self, index: int, parts: list[_Object], finish: Finish | None) -> _Object:
        candidate: _Object = {"content": {"parts": parts, "role": "model"}}
        if finish is not None:
            candidate["finishReason"] = "MAX_TOKENS" if finish is Finish.LENGTH else "STOP"
        return {**candidate, "index": index}

    def _parts(self, answer: Answer, index: int) -> list[_Object]:
        signature = base64.b64encode(
            identifier("sandbox/", f"{self.digest}/{index}/signature", 28).encode()
        ).decode()
        signed = {"thoughtSignature": signature} if answer.thinking else {}
        parts: list[_Object] = []
        if answer.thinking and self.are_thoughts_shown:
            parts.append({"text": answer.thinking, "thought": True})
        if answer.text:
            parts.append({"text": answer.text, **({} if answer.calls else signed)})
        for place, call in enumerate(answer.calls):
            # Of several calls only the first is signed.
            parts.append({**self._call(call), **(signed if place == 0 else {})})
        return parts or [{"text": ""}]

    def _call(self, call: ToolCall) -> _Object:
        made: _Object = {"name": call.name, "args": msgspec.json.decode(call.arguments)}
        if generation(self.model) >= (3, 0):
            made["id"] = call_id("", call, 8)
        return {"functionCall": made}

    def _usage(self, answers: Sequence[Answer]) -> _Object:
        """Zeros are left out, as Google does."""
        prompt = self.prompt
        thoughts = sum(answer.thinking_tokens for answer in answers)
        said = sum(answer.output_tokens for answer in answers) - thoughts
        details = [{"modality": "TEXT", "tokenCount": prompt.total - prompt.images}]
        if prompt.images:
            details.append({"modality": "IMAGE", "tokenCount": prompt.images})
        counted = {
            "promptTokenCount": prompt.total,
            "cachedContentTokenCount": prompt.cached,
            "candidatesTokenCount": said,
            "thoughtsTokenCount": thoughts,
            "totalTokenCount": prompt.total + said + thoughts,
        }
        found: _Object = {name: number for name, number in counted.items() if number}
        return {**found, "promptTokensDetails": details}

    def _envelope(self) -> _Object:
        return {
            "modelVersion": self.model,
            "responseId": identifier("", self.digest, 22),
        }


def _logprobs(tokens: Sequence[str], top: int) -> _Object:
    chosen = [{"token": token, "tokenId": 1, "logProbability": -0.25} for token in tokens]
    return {
        "chosenCandidates": chosen,
        "topCandidates": [{"candidates": [token] * min(top, 1)} for token in chosen],
    }
