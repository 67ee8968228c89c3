"""A closed statement as it is kept: JSON Lines, and the digest by which a change shows.

The first line is the statement without its lines, then come its lines, then its charges; members
stand in the order of their types. The digest is the SHA-256 of these bytes.
"""

import hashlib

import msgspec

from llm_core.chargeback.statement import Charge, Document, Line, Statement

_FORMAT = "gatehouse chargeback v1"
_HEAD_HAS_NOT = ("lines", "digest", "within", "adjustments_usd")


class _Head(msgspec.Struct, frozen=True):
    format: str
    lines: int
    charges: int
    statement: dict[str, object]


def frozen(document: Document) -> bytes:
    """The bytes to keep."""
    statement = msgspec.to_builtins(document.statement)
    kept = {name: value for name, value in statement.items() if name not in _HEAD_HAS_NOT}
    head = _Head(_FORMAT, len(document.statement.lines), len(document.charges), kept)
    rows = (head, *document.statement.lines, *document.charges)
    return b"\n".join(msgspec.json.encode(row) for row in rows) + b"\n"


def digest_of(kept: bytes) -> str:
    """What the audit chain remembers of these bytes, hex."""
    return hashlib.sha256(kept).hexdigest()


def thawed(kept: bytes, digest: str) -> Document:
    """The document again.

    Raises:
        ValueError: The bytes are not those that the digest was made of.
    """
    if digest_of(kept) != digest:
        raise ValueError("a closed statement is not as it was when it was closed")
    first, *rows = kept.splitlines()
    head = msgspec.json.decode(first, type=_Head)
    lines = tuple(msgspec.json.decode(row, type=Line) for row in rows[: head.lines])
    charges = tuple(msgspec.json.decode(row, type=Charge) for row in rows[head.lines :])
    statement = msgspec.convert(
        {**head.statement, "lines": (), "digest": digest}, Statement, strict=False
    )
    return Document(msgspec.structs.replace(statement, lines=lines), charges)
