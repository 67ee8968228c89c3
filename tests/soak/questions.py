"""What is asked, fixed by a seed and a number: data only.

Every question has a mark of its own, which the sandbox repeats in its answer, and a word that
stands for what people must never find in a log.
"""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from llm_core.digest import canonical, sha256_hex
from policy_service.digests import Digests

CANARY = "canary-7f3e9c51b2"
WRONG_KEY = "gk-nobody-has-this-key-0123456789abcdef"
MOST_OUTPUT = 120
MAX_BODY_BYTES = 64 * 1024
ORGANISATION = "acme"
_MARK = re.compile(r"soak-\d+-\d+-end")
_LEAVES_WITHIN_S = 1.2


class Kind(StrEnum):
    """What a question is for, and so what its right answer is."""

    SERVED = "served"
    POOR = "of a team whose budget runs out"
    WRONG_KEY = "with a key that nobody has"
    FORBIDDEN = "for a model that the team may not use"
    NO_MODEL = "for a model that there is not"
    BROKEN = "with a broken body"
    TOO_LARGE = "with too long a body"


_WEIGHTS = {
    Kind.SERVED: 80,
    Kind.POOR: 6,
    Kind.WRONG_KEY: 3,
    Kind.FORBIDDEN: 3,
    Kind.NO_MODEL: 3,
    Kind.BROKEN: 3,
    Kind.TOO_LARGE: 2,
}
CHAT = (
    "openai",
    "anthropic",
    "gemini",
    "mistral",
    "cohere",
    "bedrock",
    "fallback",
    "flaky",
    "slow",
)
"""Aliases of the catalogue; see `tests.soak.company`."""
EMBEDDINGS = ("embed-openai", "embed-cohere")
SILENT = "silent"
"""An alias whose provider says nothing about tokens."""


@dataclass(frozen=True)
class Question:
    """One request.

    Args:
        key: Name of a key of the company, or the key itself.
        leaves_after_s: The client goes away then, whatever has come; `None`: it stays.
    """

    number: int
    kind: Kind
    path: str
    key: str
    body: bytes
    mark: str
    model: str = ""
    is_streaming: bool = False
    leaves_after_s: float | None = None

    @property
    def is_embedding(self) -> bool:
        """Whether vectors are asked for."""
        return self.path.endswith("/embeddings")

    def digest(self, digests: Digests) -> str | None:
        """What the ledger calls this request; nothing for a body that is not read."""
        if self.kind in (Kind.BROKEN, Kind.TOO_LARGE):
            return None
        body = sha256_hex(canonical(json.loads(self.body)))
        return digests.of(ORGANISATION, body.encode())


def mark_in(text: str) -> str | None:
    """The mark of the question that a text holds."""
    found = _MARK.search(text)
    return found[0] if found else None


def question(seed: int, number: int) -> Question:
    """The `number`-th question of a run."""
    dice = random.Random(f"question/{seed}/{number}")
    kind = dice.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    mark = f"soak-{seed}-{number}-end"
    said = f"{mark} {CANARY} " + " ".join(["word"] * dice.randint(1, 60))
    leaves_after_s = dice.uniform(0, _LEAVES_WITHIN_S) if dice.random() < 0.12 else None
    if kind is Kind.SERVED and dice.random() < 0.12:
        model = dice.choice(EMBEDDINGS)
        body = _body({"model": model, "input": said})
        path = "/v1/embeddings"
        return Question(
            number, kind, path, "team", body, mark, model, leaves_after_s=leaves_after_s
        )
    is_streaming = dice.random() < 0.5
    model = SILENT if dice.random() < 0.04 else dice.choice(CHAT)
    key = "team"
    match kind:
        case Kind.POOR:
            key, model = "poor", "openai"
        case Kind.WRONG_KEY:
            key = WRONG_KEY
        case Kind.FORBIDDEN:
            key, model = "narrow", "anthropic"
        case Kind.NO_MODEL:
            model = "no-such-model"
        case Kind.TOO_LARGE:
            said += " word" * (MAX_BODY_BYTES // 5)
        case _:
            pass
    document: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": said}],
        "max_tokens": MOST_OUTPUT,
        **_streaming(is_streaming=is_streaming),
    }
    body = _body(document)
    if kind is Kind.BROKEN:
        body = body[:-10]
    return Question(
        number, kind, "/v1/chat/completions", key, body, mark, model, is_streaming, leaves_after_s
    )


def _streaming(*, is_streaming: bool) -> Mapping[str, Any]:
    return {"stream": True, "stream_options": {"include_usage": True}} if is_streaming else {}


def _body(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()
