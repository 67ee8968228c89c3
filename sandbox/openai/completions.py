"""The completions API, the one before chat, of the stand-in for OpenAI.

Source:
    https://platform.openai.com/docs/api-reference/completions (checked 2026-11-20)
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.answers import Answer, Finish, Question, answer_to
from sandbox.identifiers import CREATED_AT_S, digest, identifier
from sandbox.openai import errors
from sandbox.openai.errors import error
from sandbox.openai.wire import OpenAiWire
from sandbox.tokens import REQUEST_TOKENS, count, pieces, words
from sandbox.wire import Event, Received, Reply, data_event

_PARAMETERS = frozenset(
    words(
        """best_of echo frequency_penalty logit_bias logprobs max_tokens model n presence_penalty
        prompt seed stop stream stream_options suffix temperature top_p user"""
    )
)
_DEFAULT_MAX_TOKENS = 16
_TRANSPORT = frozenset({"stream", "stream_options", "model"})
_CHAT_MODEL = re.compile(r"(gpt-4|gpt-5|gpt-6|o\d|gpt-3\.5-turbo(?!-instruct))")
_SUFFIX_MODEL = "gpt-3.5-turbo-instruct"


class OpenAiCompletionsWire(OpenAiWire):
    """`/v1/completions` as OpenAI speaks it."""

    def reply(self, received: Received) -> Reply:
        """Answer a request for a completion."""
        model = received.wishes.model
        if not model:
            raise errors.error(400, "you must provide a model parameter")
        if model.startswith("no-such-"):
            raise errors.no_such_model(model)
        if _CHAT_MODEL.match(model):
            raise error(
                404,
                "This is a chat model and not supported in the v1/completions endpoint. Did you "
                "mean to use v1/chat/completions?",
                param="model",
            )
        payload = received.payload
        _check(payload, model)
        prompts = _prompts(payload.get("prompt"))
        fixed = digest({**{k: v for k, v in payload.items() if k not in _TRANSPORT}, "m": model})
        answers = [
            answer_to(_question(payload, prompt, received, fixed, place), choice)
            for place, prompt in enumerate(prompts)
            for choice in range(payload.get("n") or 1)
        ]
        return CompletionReply(
            digest=fixed,
            model=model,
            answers=answers,
            prompts=prompts,
            echo="".join(prompts) if payload.get("echo") else "",
            is_usage_streamed=bool((payload.get("stream_options") or {}).get("include_usage")),
        )


@dataclass(frozen=True, slots=True)
class CompletionReply:
    """One answer with all its choices.

    Args:
        digest: The request's; fixes the ids.
        model: The served model.
        answers: One for every choice of every prompt.
        prompts: As text.
        echo: The prompt, when it is to be repeated.
        is_usage_streamed: Whether the stream ends with a usage chunk.
    """

    digest: str
    model: str
    answers: Sequence[Answer]
    prompts: Sequence[str]
    echo: str
    is_usage_streamed: bool

    @property
    def output_tokens(self) -> int:
        """Of all choices."""
        return sum(answer.output_tokens for answer in self.answers)

    def whole(self, *, has_usage: bool) -> dict[str, Any]:
        """A `text_completion` object."""
        body = self._chunk(
            [
                _choice(index, self.echo + answer.text, _finish(answer))
                for index, answer in enumerate(self.answers)
            ]
        )
        if has_usage:
            body["usage"] = self._usage()
        return body

    def events(self, *, has_usage: bool) -> list[Event]:
        """The same object piece by piece, then usage and `[DONE]`."""
        is_usage_shown = self.is_usage_streamed and has_usage
        events: list[Event] = []
        for index, answer in enumerate(self.answers):
            for piece in ([self.echo] if self.echo else []) + pieces(answer.text):
                events.append(data_event(self._chunk([_choice(index, piece, None)]), 1))
            last = _choice(index, "", _finish(answer))
            events.append(data_event(self._chunk([last])))
        if is_usage_shown:
            events.append(data_event({**self._chunk([]), "usage": self._usage()}))
        return [*events, Event(b"data: [DONE]\n\n")]

    def _usage(self) -> dict[str, Any]:
        asked = sum(count(prompt) for prompt in self.prompts) + REQUEST_TOKENS
        return {
            "prompt_tokens": asked,
            "completion_tokens": self.output_tokens,
            "total_tokens": asked + self.output_tokens,
        }

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": identifier("cmpl-", self.digest, 29),
            "object": "text_completion",
            "created": CREATED_AT_S,
            "model": self.model,
            "choices": choices,
        }


def _choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def _finish(answer: Answer) -> str:
    return "length" if answer.finish is Finish.LENGTH else "stop"


def _check(payload: Mapping[str, Any], model: str) -> None:
    unknown = next((key for key in payload if key not in _PARAMETERS), None)
    if unknown is not None:
        raise error(
            400,
            f"Unrecognized request argument supplied: {unknown}",
        )
    if payload.get("suffix") and model != _SUFFIX_MODEL:
        raise error(400, f"The model '{model}' does not support 'suffix'.", param="suffix")
    longest = payload.get("max_tokens")
    if longest is not None and longest < 0:
        raise error(400, f"{longest} is less than the minimum of 0 - 'max_tokens'")
    if payload.get("stream_options") is not None and not payload.get("stream"):
        raise error(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )


def _prompts(given: object) -> list[str]:
    match given:
        case None:
            return [""]
        case str():
            return [given]
        case [int(), *_] as tokens:
            return [_spoken(tokens)]
        case [*each]:
            return [one if isinstance(one, str) else _spoken(one) for one in each]
        case _:
            raise error(400, "'prompt' must be a string or an array.", param="prompt")


def _spoken(tokens: object) -> str:
    """Token numbers, as if each were a word."""
    return " ".join(map(str, tokens)) if isinstance(tokens, list) else str(tokens)


def _question(
    payload: Mapping[str, Any], prompt: str, received: Received, fixed: str, place: int
) -> Question:
    stop = payload.get("stop") or ()
    longest = payload.get("max_tokens")
    return Question(
        digest=fixed if place == 0 else digest({"of": fixed, "place": place}),
        last_user_text=prompt,
        stops=(stop,) if isinstance(stop, str) else tuple(stop),
        max_tokens=_DEFAULT_MAX_TOKENS if longest is None else longest,
        words=received.wishes.words,
    )
