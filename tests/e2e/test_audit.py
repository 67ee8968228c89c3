"""A call through the gateway is in the decision log and in the audit chain, without its words."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
from sqlalchemy import text

from llm_core.audit.verify import Verifier, verify_lines
from policy_service.adapters.sql.engine import open_engine, reading
from tests.fixtures.gateway import SECRETS, Gateway, eventually

MARKED = "MARKED-WORD-4111111111111111"


def ask(gateway: Gateway, key: str = "team", *, is_streaming: bool = False) -> str:
    """Make a call with a marked question; its decision's id, also where it is refused."""
    calls = gateway.client(key).chat.completions.with_raw_response
    try:
        raw: Any = calls.create(
            model="claude-sonnet-4-5",
            messages=[{"role": "user", "content": MARKED}],
            stream=is_streaming,
        )
        if is_streaming:
            list(raw.parse())
        return str(raw.headers["x-gatehouse-decision-id"])
    except openai.APIStatusError as refused:
        return refused.response.headers["x-gatehouse-decision-id"]


def event_of(gateway: Gateway, decision_id: str) -> dict[str, Any]:
    """The event of a decision, as soon as it is in the chain."""
    subject = f"decision:{decision_id}"
    found: list[dict[str, Any]] = eventually(
        lambda: gateway.admin("/audit/chain", subject=subject)["rows"]
    )
    [event] = found
    return event


def logged(gateway: Gateway, decision_id: str) -> dict[str, Any]:
    """The decision log's row."""

    async def read() -> dict[str, Any]:
        engine = open_engine(gateway.specs["policy"].environment["POLICY_DATABASE_URL"])
        query = text("SELECT * FROM decisions WHERE decision_id = :id")
        async with reading(engine) as connection:
            found = (await connection.execute(query, {"id": decision_id})).mappings().one()
        await engine.dispose()
        return dict(found)

    return asyncio.run(read())


@pytest.mark.e2e
@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "streamed"])
def test_an_allowed_call_is_in_the_log_and_in_the_chain(
    gateway: Gateway, is_streaming: bool
) -> None:
    decision_id = ask(gateway, is_streaming=is_streaming)
    event = event_of(gateway, decision_id)
    assert (event["chain"], event["kind"], event["actor"]) == ("org:acme", "decision", "user:sam")
    assert event["payload"]["allow"] is True
    row = logged(gateway, decision_id)
    assert row["input_digest"] == event["payload"]["input_digest"]
    assert (row["team"], row["asked_model"]) == ("search", "claude-sonnet-4-5")
    assert row["engine"] in ("opa", "wasm", "regopy")
    assert row["duration_ms"] > 0


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("key", "code"), [("narrow", "policy_denied"), ("poor", "insufficient_quota")]
)
def test_a_refused_call_is_too_with_its_code(gateway: Gateway, key: str, code: str) -> None:
    event = event_of(gateway, ask(gateway, key))
    assert (event["payload"]["allow"], event["payload"]["code"]) == (False, code)


@pytest.mark.e2e
def test_the_export_verifies_and_holds_no_word_of_a_call(gateway: Gateway) -> None:
    decision_id = ask(gateway)
    event_of(gateway, decision_id)
    token = SECRETS["POLICY_ADMIN_TOKEN"]
    answer = httpx.get(
        f"{gateway.policy_url}/admin/v1/audit/export",
        headers={"authorization": f"Bearer {token}"},
    )
    verifier = Verifier(None)
    list(verify_lines(answer.content.splitlines(), verifier))
    assert verifier.finish() == ()
    assert decision_id.encode() in answer.content
    assert MARKED.encode() not in answer.content
    assert MARKED not in json.dumps(logged(gateway, decision_id), default=str)
