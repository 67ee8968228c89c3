"""Answers in OpenAI's format as they can be worked with, whatever a server has sent.

OpenAI keeps to its own format, and those who imitate it mostly do. One member of another type must
not bring down who adds chunks up or puts an answer into another API. So it is looked at once,
where it comes in: one that has the right shape stays the very same object, and of any other what
has no meaning is left out. Content that is a list of parts, as some servers have it, becomes its
text.

Source:
    https://platform.openai.com/docs/api-reference/chat/object (checked 2026-11-20)
    https://platform.openai.com/docs/api-reference/chat/streaming (checked 2026-11-20)
"""

from collections.abc import Callable, Mapping
from typing import Any

_Object = dict[str, Any]
_Cleaner = Callable[[Any], Any]


def sound(answer: _Object) -> _Object:
    """A completion or a chunk whose members have the types that they have at OpenAI.

    Args:
        answer: A JSON object; not changed. Its `choices` are a list, or missing.

    Returns:
        The same object if there is nothing to be mended.
    """
    return _cleaned(answer, _ENVELOPE)


def _cleaned(given: _Object, cleaners: Mapping[str, _Cleaner]) -> _Object:
    """The object with each of these members cleaned; `None` stays, and what has no use becomes it.

    Cleaners give the same object back when there is nothing to do.
    """
    mended = {
        name: cleaned
        for name, clean in cleaners.items()
        if (value := given.get(name)) is not None and (cleaned := clean(value)) is not value
    }
    return {**given, **mended} if mended else given


def _text(value: Any) -> str | None:  # noqa: ANN401 - any JSON
    return value if isinstance(value, str) else None


def _number(value: Any) -> int | float | None:  # noqa: ANN401 - any JSON
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _content(value: Any) -> str | None:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        texts = [part.get("text") for part in value if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return _text(value)


def _object(value: Any) -> _Object | None:  # noqa: ANN401 - any JSON
    return value if isinstance(value, dict) else None


def _list(value: Any) -> list[Any] | None:  # noqa: ANN401 - any JSON
    return value if isinstance(value, list) else None


def _objects(cleaners: Mapping[str, _Cleaner]) -> _Cleaner:
    def clean(value: Any) -> list[_Object] | None:  # noqa: ANN401 - any JSON
        if not isinstance(value, list):
            return None
        cleaned = [_cleaned(one, cleaners) for one in value if isinstance(one, dict)]
        is_same = len(cleaned) == len(value) and all(
            one is other for one, other in zip(cleaned, value, strict=True)
        )
        return value if is_same else cleaned

    return clean


def _members(cleaners: Mapping[str, _Cleaner]) -> _Cleaner:
    def clean(value: Any) -> _Object | None:  # noqa: ANN401 - any JSON
        return _cleaned(value, cleaners) if isinstance(value, dict) else None

    return clean


def _logprobs(value: Any) -> _Object | None:  # noqa: ANN401 - any JSON
    return _cleaned(value, dict.fromkeys(value, _list)) if isinstance(value, dict) else None


def _indexed(cleaners: Mapping[str, _Cleaner]) -> _Cleaner:
    """Objects with an `index`; one that is no whole number is taken for a missing one."""
    clean_all = _objects(cleaners)

    def clean(value: Any) -> list[_Object] | None:  # noqa: ANN401 - any JSON
        listed: list[_Object] | None = clean_all(value)
        if listed is None or all(map(_has_no_odd_index, listed)):
            return listed
        return [
            one if _has_no_odd_index(one) else {k: v for k, v in one.items() if k != "index"}
            for one in listed
        ]

    return clean


def _has_no_odd_index(one: Mapping[str, Any]) -> bool:
    index = one.get("index", 0)
    return isinstance(index, int) and not isinstance(index, bool)


_CALLED = {"name": _text, "arguments": _text, "input": _text}
_CALL: Mapping[str, _Cleaner] = {
    "id": _text,
    "type": _text,
    "function": _members(_CALLED),
    "custom": _members(_CALLED),
    "extra_content": _object,
}
_SAID: Mapping[str, _Cleaner] = {
    "role": _text,
    "content": _content,
    "refusal": _text,
    "reasoning_content": _content,
    "reasoning": _content,
    "thinking_blocks": _objects({}),
    "tool_calls": _indexed(_CALL),
    "function_call": _members(_CALLED),
    "extra_content": _object,
    "annotations": _list,
    "audio": _object,
}
_CHOICE: Mapping[str, _Cleaner] = {
    "message": _members(_SAID),
    "delta": _members(_SAID),
    "text": _text,
    "logprobs": _logprobs,
    "finish_reason": _text,
}
_ENVELOPE: Mapping[str, _Cleaner] = {
    "id": _text,
    "model": _text,
    "created": _number,
    "usage": _object,
    "choices": _indexed(_CHOICE),
}
