"""Gemini's answers in OpenAI's shape; whole and streamed answers both use these functions.

| Gemini | OpenAI |
|---|---|
| text parts, joined | `content` |
| text parts with `thought`, joined | `reasoning_content` |
| `functionCall` parts | `tool_calls`; an id is made where Gemini gives none |
| `thoughtSignature` of a call | `extra_content.google.thought_signature` of the tool call |
| `thoughtSignature` of another part | the same, of the message |
| `STOP` | `stop`, with calls `tool_calls` |
| `MAX_TOKENS`, `CONTINUATION` | `length` |
| `SAFETY` and all else that filters | `content_filter`, and a sentence in `refusal` |
| `MALFORMED_FUNCTION_CALL` and all else that broke | as `STOP`, and a sentence in `refusal` |
| `promptFeedback.blockReason` | one choice, `content_filter`, and a sentence in `refusal` |

Source:
    https://ai.google.dev/api/generate-content#GenerateContentResponse
    https://ai.google.dev/gemini-api/docs/openai
    Shape from the SDK's types (google-genai 3.4.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from llm_core.chat.response import choice, completion, tool_call
from llm_core.digest import sha256_hex
from llm_core.providers.gemini.usage import usage_from_gemini
from llm_core.providers.gemini.vendor import Vendor
from llm_core.providers.translator import Translated

_Object = dict[str, Any]

_LENGTH = frozenset({"MAX_TOKENS", "CONTINUATION"})
_FILTERED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "ESCALATION",
        "PUP_LIMITED_DISABLED",
        "MODEL_ARMOR",
    }
)
# OpenAI has no word for these; without a sentence they would look like an answer that says nothing.
_BROKEN = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)
_CALL_ID_DIGITS = 24


def is_answer(document: Mapping[str, Any]) -> bool:
    """Whether a document is an answer: candidates, or word that the prompt was blocked."""
    return bool(candidates(document)) or block_reason(document) is not None


def from_gemini(answer: Mapping[str, Any], vendor: Vendor) -> Translated:
    """Read a whole answer."""
    id_, model = text(answer.get("responseId")), text(answer.get("modelVersion"))
    usage = usage_from_gemini(answer.get("usageMetadata"))
    choices = [_choice(candidate, id_, vendor) for candidate in candidates(answer)]
    blocked = block_reason(answer)
    if not choices and blocked is not None:
        message = {"role": "assistant", "content": "", "refusal": prompt_refusal(answer, vendor)}
        choices = [choice(message=message, finish_reason="content_filter")]
    choices.sort(key=lambda one: one["index"])
    body = completion(id_=id_, model=model, choices=choices, usage=usage)
    return Translated(body=body, usage=usage, served_model=model or None)


def _choice(candidate: Mapping[str, Any], response_id: str, vendor: Vendor) -> _Object:
    index = index_of(candidate)
    message: _Object = {"role": "assistant", "content": "", "refusal": None}
    calls: list[_Object] = []
    for part in parts(candidate):
        if "functionCall" in part:
            calls.append(call_from_gemini(part, response_id, index, len(calls)))
            continue
        field = "reasoning_content" if part.get("thought") is True else "content"
        said = text(part.get("text"))
        if said or field in message:
            message[field] = message.get(field, "") + said
        message |= signature_of(part)
    if calls:
        # OpenAI has null where there are only tool calls, and text everywhere else.
        message |= {"content": message["content"] or None, "tool_calls": calls}
    message["refusal"] = refusal_of(candidate, vendor)
    reason = candidate.get("finishReason")
    finished = choice(
        message=message,
        finish_reason=finish_reason_from_gemini(reason, has_calls=bool(calls)),
        index=index,
    )
    finished["logprobs"] = logprobs_of(candidate)
    return finished


def candidates(answer: Mapping[str, Any]) -> list[_Object]:
    """The candidates of an answer or of a stream's event."""
    given = answer.get("candidates")
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def index_of(candidate: Mapping[str, Any]) -> int:
    """Which choice it is; zero is left out on the wire."""
    index = candidate.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) else 0


def parts(candidate: Mapping[str, Any]) -> Iterator[_Object]:
    """The parts; a candidate that was filtered has none."""
    content = candidate.get("content")
    given = content.get("parts") if isinstance(content, dict) else None
    if isinstance(given, list):
        yield from (part for part in given if isinstance(part, dict))


def call_from_gemini(part: Mapping[str, Any], response_id: str, index: int, place: int) -> _Object:
    """One call, its arguments as JSON text.

    Args:
        part: With a `functionCall`.
        response_id: Of the answer.
        index: Which choice.
        place: Which call of the choice; makes the id where Gemini, before version 3, gives none.
    """
    given = part["functionCall"]
    given = given if isinstance(given, dict) else {}
    name = text(given.get("name"))
    arguments = msgspec.json.encode(given.get("args") or {})
    seed = f"{response_id}/{index}/{place}/{name}/".encode() + arguments
    id_ = text(given.get("id")) or f"call_{sha256_hex(seed)[:_CALL_ID_DIGITS]}"
    call = tool_call(id_=id_, name=name, arguments=arguments.decode())
    return {**call, **signature_of(part)}


def signature_of(part: Mapping[str, Any]) -> _Object:
    """The member that carries a part's signature; empty without one."""
    signature = text(part.get("thoughtSignature"))
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def finish_reason_from_gemini(reason: object, *, has_calls: bool) -> str | None:
    """OpenAI's word for why the answer ended; a reason that is new to us reads as `stop`."""
    if not isinstance(reason, str) or not reason:
        return None
    if reason in _LENGTH:
        return "length"
    if reason in _FILTERED:
        return "content_filter"
    return "tool_calls" if has_calls else "stop"


def refusal_of(candidate: Mapping[str, Any], vendor: Vendor) -> str | None:
    """A sentence for an answer that was filtered or broke: Google's own, or its word for why."""
    reason = candidate.get("finishReason")
    if not isinstance(reason, str) or reason not in _FILTERED | _BROKEN:
        return None
    said = text(candidate.get("finishMessage"))
    return said or f"{vendor.name} stopped this answer: {reason}."


def block_reason(answer: Mapping[str, Any]) -> str | None:
    """Why the prompt was not answered at all; `None` when it was."""
    feedback = answer.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return reason if isinstance(reason, str) and reason else None


def prompt_refusal(answer: Mapping[str, Any], vendor: Vendor) -> str:
    """A sentence for a prompt that was blocked."""
    feedback = answer["promptFeedback"]
    said = text(feedback.get("blockReasonMessage"))
    return said or f"{vendor.name} blocked this prompt: {feedback['blockReason']}."


def logprobs_of(candidate: Mapping[str, Any]) -> _Object | None:
    """OpenAI's `logprobs` of a choice; `None` when there are none."""
    result = candidate.get("logprobsResult")
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(chosen, list):
        return None
    top = result.get("topCandidates")
    content = []
    for place, token in enumerate(chosen):
        others = top[place] if isinstance(top, list) and place < len(top) else None
        listed = others.get("candidates") if isinstance(others, dict) else None
        content.append(
            {
                **_token(token),
                "top_logprobs": [_token(t) for t in listed] if isinstance(listed, list) else [],
            }
        )
    return {"content": content, "refusal": None}


def _token(given: object) -> _Object:
    token = given if isinstance(given, dict) else {}
    said, logprob = text(token.get("token")), token.get("logProbability")
    return {
        "token": said,
        "logprob": logprob if isinstance(logprob, int | float) else 0.0,
        "bytes": list(said.encode(errors="surrogatepass")),
    }


def text(value: object) -> str:
    """A string, or nothing."""
    return value if isinstance(value, str) else ""
