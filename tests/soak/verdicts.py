"""What a correct answer is, whatever goes wrong meanwhile. Here and nowhere else.

| Question | Right | Right too, while something is out of order or just was |
|---|---|---|
| served | 200 with the sandbox's very words | no more than the gateway can, or a visible break |
| of the poor team | the same, or a refusal for its budget | the same |
| to be refused | its own refusal | no more than the gateway can |

For its budget: 429 `insufficient_quota`, and 403 `policy_denied` before that, because the rules
that ship leave only cheap models to a budget that is nearly used up.

What is out of order with PostgreSQL alone excuses nothing but for keys that are not known: calls go
on without it. It does excuse where something else was out of order just before: then counters may
have to be made anew, for which the ledger is asked.

No more than the gateway can: 502, 503 or 504 in OpenAI's shape, or Kong's own page where Kong
itself could go no further: its upstream gave no answer, or a plugin of the phase `response` did not
(that one is a 500). An answer breaks visibly when the connection does, or when a stream ends with
an error. Never right: 200 with other words, a stream that ends without `[DONE]` as if it were
whole, a 500 of our own, a connection closed without an answer, no answer at all.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sandbox.openai.embeddings import vector_for
from tests.soak.faults import Part, Trouble, is_troubled
from tests.soak.questions import SILENT, Kind, Question

ANSWERED_WITHIN_S = 45.0
"""Three times the longest that any of our timeouts allows."""
_COUNTERS_REMADE_S = 15.0
_DATABASE = frozenset({Part.POSTGRES, Part.POSTGRES_WIRE})
_OK = 200
_REFUSALS = {
    Kind.SERVED: (),
    Kind.WRONG_KEY: ((401, "invalid_api_key"),),
    Kind.FORBIDDEN: ((403, "policy_denied"),),
    Kind.NO_MODEL: ((404, "model_not_found"),),
    Kind.BROKEN: ((400, "malformed_request"),),
    Kind.TOO_LARGE: ((413, "request_too_large"),),
    Kind.POOR: ((429, "insufficient_quota"), (403, "policy_denied")),
}
_OF_THE_GATEWAY = frozenset({502, 503, 504})
_OF_KONG = _OF_THE_GATEWAY | {500}
_SANDBOX_SAYS = re.compile(r'Sandbox answer [0-9a-f]{8} to "(?P<echo>[^"]*)": [a-z ]+\.')


class End(StrEnum):
    """How an answer ended, as the client saw it."""

    WHOLE = "whole"
    BROKEN = "broken off"
    ERROR = "ended with an error"
    UNFINISHED = "ended without [DONE]"
    LEFT = "left by the client"
    HUNG = "never came"
    CLOSED = "closed without an answer"


@dataclass(slots=True)
class Answer:
    """What a client saw.

    Args:
        error: The error object of a refusal in OpenAI's shape.
        is_kongs: A refusal in Kong's own shape.
        said: The words of an answer; of vectors nothing.
        output_tokens: As told.
        start: The beginning of a body that was not understood.
    """

    end: End
    from_s: float
    until_s: float
    status: int | None = None
    decision_id: str | None = None
    cost_usd: str | None = None
    error: dict[str, Any] | None = None
    is_kongs: bool = False
    said: str = ""
    vector: tuple[float, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    start: str = ""


def excuses(troubles: Sequence[Trouble], question: Question) -> list[Trouble]:
    """Which of all troubles can be why a question is not answered."""
    if question.kind is Kind.WRONG_KEY:
        return list(troubles)
    others = [one for one in troubles if one.part not in _DATABASE]
    return others + [
        one
        for one in troubles
        if one.part in _DATABASE
        and is_troubled(others, one.from_s - _COUNTERS_REMADE_S, one.until_s)
    ]


def wrong(question: Question, answer: Answer, *, is_troubled: bool) -> str | None:
    """What is wrong with an answer; `None` when nothing is."""
    if answer.end is End.LEFT:
        return None
    if answer.end in (End.HUNG, End.CLOSED, End.UNFINISHED):
        return f"the answer {answer.end}"
    if answer.end is not End.WHOLE and not is_troubled:
        return f"{answer.status} {answer.end}, and nothing was out of order"
    if answer.status == _OK:
        return _wrong_200(question, answer)
    return _wrong_refusal(question, answer, is_troubled=is_troubled)


def _wrong_refusal(question: Question, answer: Answer, *, is_troubled: bool) -> str | None:
    code = (answer.error or {}).get("code")
    if (answer.status, code) in _REFUSALS[question.kind]:
        return None
    told = f"{answer.status} {code or answer.start!r} for a question {question.kind}"
    if answer.error is not None:
        is_allowed = answer.status in _OF_THE_GATEWAY
    else:
        is_allowed = answer.is_kongs and answer.status in _OF_KONG
    if not is_allowed:
        return told
    return None if is_troubled else f"{told}, and nothing was out of order"


def _wrong_200(question: Question, answer: Answer) -> str | None:
    if question.kind not in (Kind.SERVED, Kind.POOR):
        return f"200 for a question {question.kind}"
    if answer.decision_id is None:
        return "200 without a decision"
    if answer.end is not End.WHOLE:
        return None
    return (
        _wrong_vector(question, answer) if question.is_embedding else _wrong_words(question, answer)
    )


def _wrong_words(question: Question, answer: Answer) -> str | None:
    found = _SANDBOX_SAYS.fullmatch(answer.said)
    if found is None or not found["echo"].startswith(question.mark):
        return f"200 with other words than the sandbox's: {answer.said[:80]!r}"
    words = len(answer.said.split())
    if question.model != SILENT and answer.output_tokens != words:
        return f"{answer.output_tokens} tokens told for {words} words"
    return None


def _wrong_vector(question: Question, answer: Answer) -> str | None:
    true = vector_for(json.loads(question.body)["input"], len(answer.vector) or 1)
    is_same = len(answer.vector) == len(true) and all(
        math.isclose(one, other, abs_tol=1e-6)
        for one, other in zip(answer.vector, true, strict=True)
    )
    return None if is_same else "200 with another vector than the sandbox's"
