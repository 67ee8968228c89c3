"""OpenAI's completions: the API before chat.

A server that still has it is asked in it. Every other gets the prompt as one message of a user, so
that an old client works with any model; what a chat completion cannot say is refused there.

Source:
    https://platform.openai.com/docs/api-reference/completions (checked 2026-11-20)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from llm_core.apis.ask import Exchange
from llm_core.apis.dialect import ChatAsk
from llm_core.apis.native_completions import native_completion
from llm_core.catalogue import Deployment
from llm_core.chat.checks import MAX_OUTPUT_TOKENS, check_request
from llm_core.chat.encoding import parse_object
from llm_core.chat.request import ChatRequest
from llm_core.errors import GatewayError, MalformedRequest, UnsupportedParameter, error_body
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from llm_core.sse import DONE, encode_event

_Object = dict[str, Any]

DEFAULT_MAX_TOKENS = 16
"""OpenAI's own default for this API, kept so that an old client is charged what it expects."""

MOST_PROMPTS = 128
_NATIVE_ONLY: Mapping[str, str] = {
    "suffix": "has no completion that is inserted into a text; leave 'suffix' out.",
    "echo": "does not repeat the prompt; put it before the answer yourself.",
    "logprobs": "gives them in chat completions only; ask there.",
}
_TRANSLATED = frozenset({"prompt", "max_tokens", "max_completion_tokens", *_NATIVE_ONLY})
_CHAT_ONLY = ("messages", "tools", "functions", "tool_choice", "response_format")
_FINISH = {"length": "length", "content_filter": "content_filter"}


def read_completion(body: bytes) -> "CompletionsAsk":
    """Read a request to `POST /v1/completions`.

    Raises:
        MalformedRequest: It is none.
        UnsupportedParameter: It asks for what nobody here does.
    """
    fields = parse_object(body)
    if fields.get("best_of") not in (None, 1):
        raise UnsupportedParameter(
            "Answers that are not shown were not reserved for; use 'n' and choose yourself.",
            param="best_of",
        )
    for name in _CHAT_ONLY:
        if fields.get(name) is not None:
            raise MalformedRequest(f"'{name}' belongs to chat completions.", param=name)
    prompts = _prompts(fields.get("prompt"))
    _check_own(fields)
    chat = {k: v for k, v in fields.items() if k not in _TRANSLATED and v is not None}
    chat.pop("best_of", None)
    text = "\n".join(prompt for prompt in prompts if isinstance(prompt, str))
    chat["messages"] = [{"role": "user", "content": text}]
    chat["max_tokens"] = DEFAULT_MAX_TOKENS
    if fields.get("max_tokens") is not None:
        chat["max_tokens"] = fields["max_tokens"]
    check_request(chat)
    dialect = _TextCompletions(ChatRequest(chat).wants_usage_in_stream)
    return CompletionsAsk(Operation.COMPLETIONS, fields, ChatRequest(chat), dialect, prompts)


@dataclass(frozen=True, slots=True)
class CompletionsAsk(ChatAsk):
    """Implements `Ask`.

    Args:
        prompts: Each a text, or the numbers of its tokens.
    """

    prompts: tuple[str | Sequence[int], ...] = ()

    @property
    def choices(self) -> int:
        """How many answers are asked for: `n` to every prompt."""
        return self.chat.choices * len(self.prompts)

    def prompt_tokens(self, count: Callable[[str], int]) -> int:
        """Estimate the input tokens; see `Ask.prompt_tokens`."""
        numbered = sum(len(prompt) for prompt in self.prompts if not isinstance(prompt, str))
        suffix = self.fields.get("suffix")
        added = count(suffix) if isinstance(suffix, str) else 0
        return ChatAsk.prompt_tokens(self, count) + numbered + added

    def exchange(
        self, deployment: Deployment, obligations: Obligations, *, created: int
    ) -> Exchange:
        """Put the request to one deployment, natively where its server has this API."""
        if Operation.COMPLETIONS in deployment.native_operations:
            return native_completion(
                self.chat, self.fields, deployment, obligations, choices=self.choices
            )
        self._refuse_native_only(deployment.provider_name)
        return self.as_chat(deployment, obligations, created=created)

    def _refuse_native_only(self, provider: str) -> None:
        for name, why in _NATIVE_ONLY.items():
            # `false`, and no text, are what these mean when they are left out.
            if self.fields.get(name) not in (None, False, ""):
                raise UnsupportedParameter(f"{provider} {why}", param=name)
        if len(self.prompts) > 1 or not isinstance(self.prompts[0], str):
            raise UnsupportedParameter(
                f"{provider} takes one text for 'prompt'; send one request for each, as text.",
                param="prompt",
            )


def _check_own(fields: Mapping[str, Any]) -> None:
    """Check what chat completions have not, or have otherwise."""
    for name, kind, wanted in (("suffix", str, "a string"), ("echo", bool, "true or false")):
        if fields.get(name) is not None and not isinstance(fields[name], kind):
            raise MalformedRequest(f"'{name}' must be {wanted}.", param=name)
    if fields.get("max_completion_tokens") is not None:
        raise MalformedRequest(
            "In this API 'max_completion_tokens' is 'max_tokens'.", param="max_completion_tokens"
        )
    for name, most in (("logprobs", 5), ("max_tokens", MAX_OUTPUT_TOKENS)):
        value = fields.get(name)
        if value is not None and not (_is_whole(value) and value <= most):
            raise MalformedRequest(f"'{name}' must be a whole number, at most {most}.", param=name)


def _prompts(given: object) -> tuple[str | Sequence[int], ...]:
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list) and given:
        if all(map(_is_whole, given)):
            return (given,)
        is_each = all(isinstance(one, str) or _is_tokens(one) for one in given)
        if is_each and len(given) <= MOST_PROMPTS:
            return tuple(given)
    raise MalformedRequest(
        f"'prompt' must be a text, a list of token numbers, or a list of at most {MOST_PROMPTS} "
        "such.",
        param="prompt",
    )


def _is_tokens(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(_is_whole, value))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True, slots=True)
class _TextCompletions:
    """Implements `Dialect` and `EventWriter`; a chunk here says all that is needed to write it.

    Thoughts and calls have no place in this API.

    Args:
        shows_usage: The client asked for the chunk with usage.
    """

    shows_usage: bool

    def body(self, completion: Mapping[str, Any]) -> _Object:
        return _as_text(completion, "message")

    def events(self) -> "_TextCompletions":
        return self

    def completion(self, body: Mapping[str, Any]) -> _Object:
        choices = [
            {
                "index": choice.get("index", 0),
                "message": {"role": "assistant", "content": choice.get("text") or ""},
                "logprobs": None,
                "finish_reason": choice.get("finish_reason"),
            }
            for choice in body.get("choices") or ()
        ]
        return {**body, "object": "chat.completion", "choices": choices}

    def write(self, chunk: Mapping[str, Any]) -> Sequence[bytes]:
        said = _as_text(chunk, "delta")
        is_of_use = any(choice["text"] or choice["finish_reason"] for choice in said["choices"])
        if not is_of_use and not (said.get("usage") and self.shows_usage):
            return ()
        return (encode_event(msgspec.json.encode(said)),)

    def end(self) -> Sequence[bytes]:
        return (DONE,)

    def failed(self, error: GatewayError) -> bytes:
        return encode_event(msgspec.json.encode(error_body(error)))


def _as_text(chat: Mapping[str, Any], member: str) -> _Object:
    choices = []
    for choice in chat.get("choices") or ():
        # A server may send anything here; what is no text is passed over.
        said = choice.get(member) if isinstance(choice.get(member), dict) else {}
        texts = [t for t in (said.get("content"), said.get("refusal")) if isinstance(t, str) and t]
        finish = choice.get("finish_reason")
        choices.append(
            {
                "text": "".join(texts),
                "index": choice.get("index", 0),
                "logprobs": None,
                "finish_reason": _FINISH.get(str(finish), "stop") if finish else None,
            }
        )
    named = ("id", "created", "model", "system_fingerprint", "usage")
    envelope = {name: chat[name] for name in named if chat.get(name) is not None}
    return {**envelope, "object": "text_completion", "choices": choices}
