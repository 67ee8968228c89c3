"""Looks for secrets and for people's words in everything that processes have written."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.soak.questions import CANARY, WRONG_KEY

_PIECE_BYTES = 4 * 2**20


def searched_for(secrets: Mapping[str, str]) -> dict[str, str]:
    """What may stand nowhere, by name."""
    return {**secrets, "a key that was refused": WRONG_KEY, "a prompt's word": CANARY}


def leaks(files: Iterable[Path], secrets: Mapping[str, str]) -> list[str]:
    """Which secret is in which file; a secret itself is not repeated."""
    found = []
    longest = max(map(len, secrets.values()))
    for file in files:
        for name in _held(file, secrets, longest):
            found.append(f"{name} is in {file}")
    return found


def _held(file: Path, secrets: Mapping[str, str], longest: int) -> list[str]:
    held: set[str] = set()
    before = b""
    with file.open("rb") as lines:
        while piece := lines.read(_PIECE_BYTES):
            text = before + piece
            held |= {name for name, secret in secrets.items() if secret.encode() in text}
            before = text[-longest:]
    return sorted(held)
