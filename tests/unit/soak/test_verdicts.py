from dataclasses import replace
from typing import Any

import pytest

from sandbox.openai.embeddings import vector_for
from tests.soak.questions import Kind, Question
from tests.soak.verdicts import Answer, End, wrong

ASKED = Question(
    number=1,
    kind=Kind.SERVED,
    path="/v1/chat/completions",
    key="team",
    body=b"",
    mark="soak-1-1-end",
    model="openai",
)
SAID = 'Sandbox answer 0123abcd to "soak-1-1-end canary word": the harbour wakes.'


def answer(**more: Any) -> Answer:
    given: dict[str, Any] = {
        "end": End.WHOLE,
        "from_s": 0,
        "until_s": 1,
        "status": 200,
        "decision_id": "dec_1",
        "said": SAID,
        "output_tokens": 10,
    }
    return Answer(**{**given, **more})


def refusal(status: int, code: str, **more: Any) -> Answer:
    error = {"message": "", "type": "", "param": None, "code": code}
    return answer(status=status, error=error, decision_id=None, said="", **more)


def test_the_sandboxs_words_are_right() -> None:
    assert wrong(ASKED, answer(), is_troubled=False) is None


@pytest.mark.parametrize(
    "bad",
    [
        answer(said=SAID.replace("soak-1-1", "soak-1-2")),
        answer(said=SAID[:-9]),
        answer(said=""),
        answer(output_tokens=9),
        answer(output_tokens=None),
        answer(decision_id=None),
        answer(end=End.UNFINISHED),
        answer(end=End.HUNG),
        answer(end=End.CLOSED, status=None),
        refusal(500, "internal_error"),
        refusal(401, "invalid_api_key"),
        refusal(403, "policy_denied"),
        refusal(429, "insufficient_quota"),
        answer(status=503, said="", start="<html>"),
        answer(status=404, said="", is_kongs=True),
    ],
    ids=lambda bad: f"{bad.status} {bad.end} {(bad.error or {}).get('code')} {bad.said[:25]}",
)
def test_these_are_never_right(bad: Answer) -> None:
    assert wrong(ASKED, bad, is_troubled=False)
    assert wrong(ASKED, bad, is_troubled=True)


@pytest.mark.parametrize(
    "bad",
    [
        refusal(502, "provider_unavailable"),
        refusal(503, "policy_unavailable"),
        refusal(504, "provider_timeout"),
        answer(status=502, said="", is_kongs=True),
        answer(status=500, said="", is_kongs=True),
        answer(end=End.BROKEN, said=SAID[:20]),
        answer(end=End.ERROR, said=SAID[:20]),
    ],
    ids=lambda bad: f"{bad.status} {bad.end} {(bad.error or {}).get('code')}",
)
def test_these_are_right_only_while_something_is_out_of_order(bad: Answer) -> None:
    assert wrong(ASKED, bad, is_troubled=False)
    assert wrong(ASKED, bad, is_troubled=True) is None


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (Kind.WRONG_KEY, 401, "invalid_api_key"),
        (Kind.FORBIDDEN, 403, "policy_denied"),
        (Kind.NO_MODEL, 404, "model_not_found"),
        (Kind.BROKEN, 400, "malformed_request"),
        (Kind.TOO_LARGE, 413, "request_too_large"),
    ],
)
def test_who_is_to_be_refused_gets_that_refusal_or_none_of_the_others(
    kind: Kind, status: int, code: str
) -> None:
    asked = replace(ASKED, kind=kind)
    assert wrong(asked, refusal(status, code), is_troubled=False) is None
    assert wrong(asked, refusal(503, "policy_unavailable"), is_troubled=True) is None
    for is_troubled in (False, True):
        assert wrong(asked, answer(), is_troubled=is_troubled)
        assert wrong(asked, refusal(409, "conflict"), is_troubled=is_troubled)


def test_the_poor_team_is_served_or_told_that_its_budget_is_used_up() -> None:
    asked = replace(ASKED, kind=Kind.POOR)
    assert wrong(asked, answer(), is_troubled=False) is None
    assert wrong(asked, refusal(429, "insufficient_quota"), is_troubled=False) is None
    assert wrong(asked, refusal(403, "policy_denied"), is_troubled=False) is None
    assert wrong(asked, refusal(429, "rate_limit_exceeded"), is_troubled=True)


def test_a_client_that_left_judges_nothing() -> None:
    assert wrong(ASKED, answer(end=End.LEFT, status=None), is_troubled=False) is None


def test_a_vector_is_the_sandboxs_own() -> None:
    body = b'{"model": "embed-openai", "input": "soak-1-1-end word"}'
    asked = replace(ASKED, path="/v1/embeddings", body=body)
    true = tuple(vector_for("soak-1-1-end word", 8))
    assert wrong(asked, answer(said="", vector=true), is_troubled=False) is None
    other = tuple(vector_for("soak-1-2-end word", 8))
    assert wrong(asked, answer(said="", vector=other), is_troubled=True)
    assert wrong(asked, answer(said=""), is_troubled=True)
