r"""Strings on their way into rego-cpp and back.

rego-cpp 1.5 keeps a string in its JSON spelling, escapes included, and compares and cuts it in that
spelling: `count("\n")` is 2 there, and `trim_space` drops the backslash of `\"`, so that the answer
is no JSON any more, or another one. `Interpreter.set_input` is worse: it escapes nothing, so that a
model name with a quotation mark in it could write its own decision (and numbers lose their seventh
digit). So documents go in as JSON text, and private-use characters stand in, one for one, for the
few characters that JSON would escape; on the way out they are turned back.

Nearly every document has none of them and passes untouched.
"""

import msgspec

_STAND_INS = {
    **{code: chr(0xE000 + code) for code in range(0x20)},
    ord('"'): chr(0xE022),
    ord("\\"): chr(0xE02F),
}
# A stand-in that comes from outside must not turn into what it stands for.
_INWARD = {**dict.fromkeys(range(0xE000, 0xE040), "\ufffd"), **_STAND_INS}
_OUTWARD = {ord(stand_in): chr(code) for code, stand_in in _STAND_INS.items()}
_PRIVATE_USE = "\ue000".encode()[:2]
"""How U+E000 to U+E03F begin in UTF-8."""


def rego_term(document: object) -> str:
    """Write a document as JSON text that has no escape in it.

    Raises:
        ValueError: The document is no JSON, or holds half a surrogate pair.
    """
    try:
        text = msgspec.json.encode(document)
        if b"\\" in text or _PRIVATE_USE in text:
            text = msgspec.json.encode(_translated(document, _INWARD))
    except (TypeError, msgspec.MsgspecError) as error:
        raise ValueError(f"not a JSON document: {error}") from error
    return text.decode()


def from_rego(answer: object) -> object:
    """Turn the stand-ins in an answer back."""
    return _translated(answer, _OUTWARD)


def _translated(value: object, table: dict[int, str]) -> object:
    if isinstance(value, str):
        return value.translate(table)
    if isinstance(value, dict):
        return {key.translate(table): _translated(item, table) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_translated(item, table) for item in value]
    return value
