"""A PDK call costs 0.1 ms: which ones a request takes is decided here, and not by accident.

The same figures stand in `docs/architecture.md`, which `test_docs.py` holds.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kong_plugins.llm_auth.plugin import Plugin as Auth
from kong_plugins.llm_provider_transform.plugin import Plugin as Transform
from kong_plugins.llm_token_meter.plugin import Plugin as Meter
from llm_core.policy.decision import Decision
from tests.fakes.kong import FakeKong
from tests.fakes.policy_service import SECRET, FakePolicyService
from tests.fakes.samples import (
    AZURE,
    CALLER,
    CLAUDE,
    OPENAI,
    SECRETS,
    anthropic_answer,
    chat_body,
    decision,
    openai_answer,
)

AUTH = ["request.get_headers", "ctx.shared.set"]
METER = [
    "ctx.shared.get",
    "request.get_raw_body",
    "service.request.set_headers",
    "ctx.shared.set",
]
AIM = [
    "service.request.set_headers",
    "service.request.set_raw_body",
    "service.request.set_path",
    "service.request.set_scheme",
    "service.set_target",
]
ANSWER = ["ctx.shared.get", "service.response.get_raw_body", "ctx.shared.set", "response.exit"]
ERROR = [
    "ctx.shared.get",
    "service.response.get_raw_body",
    "service.response.get_status",
    "response.get_headers",
    "ctx.shared.set",
]
LOG = [*["ctx.shared.get"] * 3, "log.serialize"]
RECORD = {"upstream_status": "200", "response": {"status": 200}}


@asynccontextmanager
async def plugins(made: Decision, folder: Path) -> AsyncIterator[tuple[Auth, Meter, Transform]]:
    async with FakePolicyService({"gk-1": CALLER}, made).running() as service:
        config = {"policy_url": service.url, "policy_secret": SECRET, "timeout_ms": 5000}
        auth, transform = Auth(config), Transform({"credentials": SECRETS})
        journal = {"journal_path": str(folder / "journal"), "operation": "chat.completions"}
        meter = Meter({**config, **journal})
        try:
            yield auth, meter, transform
        finally:
            await auth.close()
            await meter.close()


async def called(made: Decision, folder: Path, **answers: Any) -> dict[str, list[str]]:
    """The PDK calls of one request, by plugin and phase."""
    body = answers.pop("body", chat_body())
    headers = {"authorization": ["Bearer gk-1"], **answers.pop("headers", {})}
    is_direct = answers.pop("is_direct", True)
    given = {
        "request.get_headers": headers,
        "request.get_raw_body": body,
        "log.serialize": RECORD,
        **answers,
    }
    shared: dict[str, Any] = {}
    found: dict[str, list[str]] = {}
    async with plugins(made, folder) as (auth, meter, transform):
        phases = {
            "auth access": auth.access,
            "meter access": meter.access,
            "transform access": transform.access,
            **({"transform response": transform.response} if is_direct else {}),
            "meter log": meter.log,
        }
        for name, phase in phases.items():
            kong = FakeKong(given, shared)
            await kong.run(phase)
            found[name] = kong.methods
    return found


async def test_a_direct_call_takes_twelve_before_the_provider_and_four_after(
    tmp_path: Path,
) -> None:
    answer = {"service.response.get_raw_body": openai_answer()}
    found = await called(decision(OPENAI), tmp_path, **answer)
    assert found == {
        "auth access": AUTH,
        "meter access": METER,
        "transform access": ["ctx.shared.get", *AIM],
        "transform response": ANSWER,
        "meter log": LOG,
    }


async def test_a_relayed_call_takes_eight(tmp_path: Path) -> None:
    found = await called(decision(OPENAI, AZURE), tmp_path, is_direct=False)
    assert found == {
        "auth access": AUTH,
        "meter access": METER,
        "transform access": ["ctx.shared.get", "nginx.set_ctx"],
        "meter log": LOG,
    }


async def test_a_credential_outside_of_authorization_costs_one_more(tmp_path: Path) -> None:
    answer = {"service.response.get_raw_body": anthropic_answer()}
    found = await called(decision(CLAUDE), tmp_path, **answer)
    # And one for its Host, because it listens on a port that is not its scheme's own.
    cleared, host = "service.request.clear_header", "service.request.set_headers"
    assert found["transform access"] == ["ctx.shared.get", cleared, *AIM, host]


async def test_a_long_body_is_read_again_and_no_more_than_that(tmp_path: Path) -> None:
    body = chat_body(messages=[{"role": "user", "content": "x" * 70_000}])
    answer = {"service.response.get_raw_body": openai_answer()}
    found = await called(decision(OPENAI), tmp_path, body=body, **answer)
    assert found["transform access"] == ["ctx.shared.get", "request.get_raw_body", *AIM]
    assert found["meter access"] == METER


async def test_a_header_that_must_not_travel_on_costs_one_each(tmp_path: Path) -> None:
    headers = {"x-api-key": ["gk-1"], "openai-organization": ["org-1"]}
    answer = {"service.response.get_raw_body": openai_answer()}
    found = await called(decision(OPENAI), tmp_path, headers=headers, **answer)
    cleared = ["service.request.clear_header"] * 2
    assert found["auth access"] == [AUTH[0], *cleared, AUTH[1]]


@pytest.mark.parametrize("status", [400, 500])
async def test_a_providers_error_costs_one_more(tmp_path: Path, status: int) -> None:
    found = await called(
        decision(OPENAI),
        tmp_path,
        **{
            "service.response.get_raw_body": b"{}",
            "service.response.get_status": status,
            "response.get_headers": {},
        },
    )
    # The runtime answers with `response.exit`, which makes one.
    assert found["transform response"] == ERROR
