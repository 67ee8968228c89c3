import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from llm_core.policy.caller import Caller, ProofOfIdentity
from llm_core.policy.decision import Decision, DecisionRequest, Transport, UsageReport
from llm_core.policy.journal_standing import JOURNAL_HEADER, JournalStanding, written
from llm_core.tokens.usage import TokenUsage
from policy_service.ports.journals import HeardJournal
from tests.fakes.running_service import ADMIN, INTERNAL, Api
from tests.fakes.samples import CALLER, chat_body, chat_call

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATHS = ["/v1/callers/identify", "/v1/decisions", "/v1/decisions/dec_1/usage"]


def builtins(value: object) -> Any:
    return msgspec.to_builtins(value)


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def decided(api: Api, **fields: Any) -> Decision:
    caller = msgspec.convert(await api.caller(), Caller)
    call = chat_call(chat_body(**fields))
    answer = await api.post("/v1/decisions", builtins(DecisionRequest(caller, call)))
    assert answer.status_code == 200
    return msgspec.json.decode(answer.content, type=Decision)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer internal-0123456789abcde"},
        {"authorization": "Basic internal-0123456789abcdef"},
        {"authorization": "Bearer intérnal".encode("latin-1")},
        ADMIN,
    ],
    ids=["none", "empty", "no token", "wrong", "shorter", "basic", "latin", "admin's"],
)
async def test_nobody_gets_in_without_the_internal_secret(
    api: Api, path: str, headers: Any
) -> None:
    answer = await api.post(path, b"{}", headers)
    assert error_of(answer) == (401, "invalid_api_key")
    assert "internal-0" not in answer.text


MALFORMED = {
    "empty": b"",
    "half": b"{",
    "list": b"[]",
    "number": b"5",
    "not utf-8": b'"\xff"',
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_body_is_400(api: Api, path: str, body: bytes) -> None:
    assert error_of(await api.post(path, body)) == (400, "malformed_request")


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        (PATHS[0], b'{"api_key": 5}', "$.api_key"),
        (PATHS[1], b'{"caller": {}}', "$.caller"),
        (PATHS[2], b'{"deployment_id": 5}', "$.deployment_id"),
    ],
)
async def test_a_body_of_the_wrong_shape_is_400_and_is_told_where(
    api: Api, path: str, body: bytes, where: str
) -> None:
    answer = await api.post(path, body)
    assert error_of(answer) == (400, "malformed_request")
    assert where in answer.json()["error"]["message"]


async def test_a_key_and_a_consumer_are_told_who_they_are(api: Api) -> None:
    by_key = msgspec.convert(await api.caller(), Caller)
    assert (by_key.team, by_key.user, by_key.proof) == ("search", "sam", ProofOfIdentity.API_KEY)
    assert {limit.amount for limit in by_key.limits} == {Decimal(100), Decimal(1000)}
    consumer = {"consumer": {"username": "shop", "custom_id": None}}
    answer = await api.post("/v1/callers/identify", consumer)
    assert answer.json()["caller"]["proof"] == "kong_consumer"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({}, "unknown"),
        ({"api_key": None}, "unknown"),
        ({"api_key": "sk-wrong"}, "unknown"),
        ({"api_key": "gk-wrong"}, "mistyped"),
        ({"token": "a.b.c"}, "unknown"),
        ({"consumer": {"username": "nobody"}}, "unplaced"),
        ({"consumer": {"groups": ["staff"]}}, "unplaced"),
    ],
)
async def test_whoever_is_not_known_is_null_with_the_reason_and_no_error(
    api: Api, asked: Any, why: str
) -> None:
    answer = await api.post("/v1/callers/identify", asked)
    assert answer.status_code == 200
    assert (answer.json()["caller"], answer.json()["unknown"]) == (None, why)


async def test_the_stream_of_changes_is_for_plugins_only(api: Api) -> None:
    for headers in ({}, ADMIN):
        answer = await api.client.get("/v1/callers/changes", headers=headers)
        assert error_of(answer) == (401, "invalid_api_key")


async def test_a_call_is_decided_settled_once_and_in_the_ledger(api: Api) -> None:
    made = await decided(api)
    assert made.denial is None
    assert made.transport is Transport.DIRECT
    report = UsageReport(
        "openai-mini", Transport.DIRECT, 200, usage=TokenUsage(1000, output_tokens=10)
    )
    path = f"/v1/decisions/{made.decision_id}/usage"
    for outcome in ("settled", "already_settled"):
        answer = await api.post(path, builtins(report))
        assert answer.json() == {"outcome": outcome}
    async with asyncio.timeout(10):
        while not (rows := (await api.get("/admin/v1/usage/recent")).json()["rows"]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    [row] = rows
    assert (row["decision_id"], row["team"]) == (made.decision_id, "search")
    # 0.15 and 0.60 dollars a million.
    assert Decimal(row["usd"]) == Decimal("0.000156")


async def test_a_report_on_a_decision_nobody_made_is_unknown(api: Api) -> None:
    report = UsageReport(None, Transport.DIRECT, 200)
    answer = await api.post("/v1/decisions/dec_0/usage", builtins(report))
    assert answer.json() == {"outcome": "unknown"}


async def test_a_report_says_how_the_journal_stands_also_when_it_is_not_taken_itself(
    api: Api,
) -> None:
    path = "/v1/decisions/dec_0/usage"
    report = builtins(UsageReport(None, Transport.DIRECT, 200))
    standing = JournalStanding("gw-1:/j", 3, 60, is_full=False)
    telling = {JOURNAL_HEADER: written(standing)}
    for refused in ({**ADMIN, **telling}, telling):
        assert (await api.post(path, report, refused)).status_code == 401
    for odd in ("", "much", written(standing) + ";"):
        answer = await api.post(path, report, {**INTERNAL, JOURNAL_HEADER: odd})
        assert answer.json() == {"outcome": "unknown"}
    kept = api.opened.journals.journals
    assert await kept.newest(api.clock()) == []
    assert (await api.post(path, b"[", {**INTERNAL, **telling})).status_code == 400
    await api.opened.journals.step()
    assert await kept.newest(api.clock()) == [HeardJournal(standing, api.clock(), api.clock())]


async def test_a_refusal_is_a_decision_too(api: Api) -> None:
    made = await decided(api, model="nowhere")
    assert made.denial
    assert made.denial.status == 404
    assert made.ticket == ""


async def test_a_caller_whom_no_level_allows_a_model_is_denied_by_the_real_rules(api: Api) -> None:
    call = chat_call(chat_body())
    caller = replace(CALLER, allowed_models=())
    answer = await api.post("/v1/decisions", builtins(DecisionRequest(caller, call)))
    denial = answer.json()["denial"]
    assert denial["status"] == 403
    assert denial["body"]["error"]["reasons"][0]["code"] == "model_not_allowed"


async def test_a_fault_of_ours_is_told_without_its_words(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret word")

    monkeypatch.setattr(type(api.opened.callers), "by_key", fail)
    answer = await api.post("/v1/callers/identify", {"api_key": "gk-1"})
    assert error_of(answer) == (500, "internal_error")
    assert "secret word" not in answer.text
