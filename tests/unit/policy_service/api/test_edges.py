"""What comes over the wire and is not what it seems: twice, too long, from too many tries."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from llm_core.nesting import MAX_DEPTH
from llm_core.policy.caller import Caller
from llm_core.policy.decision import Decision, DecisionRequest
from policy_service.ports.policies import MOST_TARBALL_BYTES
from tests.fakes.running_service import ADMIN, INTERNAL, Api, running_service
from tests.fakes.samples import chat_body, chat_call
from tests.fixtures.scraping import value

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/relay/v1/chat/completions"
METRICS = {"authorization": "Bearer prometheus-0123456789"}


async def ticket(api: Api, body: bytes) -> str:
    caller = msgspec.convert(await api.caller(), Caller)
    asked = msgspec.json.encode(DecisionRequest(caller, chat_call(body)))
    answer = await api.post("/v1/decisions", asked)
    return msgspec.json.decode(answer.content, type=Decision).ticket


async def test_a_ticket_that_is_sent_twice_is_none(api: Api) -> None:
    body = chat_body(model="mini")
    genuine = await ticket(api, body)
    for pair in ([genuine, genuine], ["gt1.x.1.y", genuine], [genuine, ""]):
        headers = [("x-gatehouse-ticket", one) for one in pair]
        answer = await api.client.post(CHAT, headers=headers, content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "undecided")


@pytest.mark.parametrize(
    ("path", "good"),
    [("/v1/callers/identify", INTERNAL), ("/admin/v1/limits", ADMIN), ("/metrics", METRICS)],
)
async def test_a_credential_that_is_sent_twice_proves_nothing(
    tmp_path: Path, path: str, good: dict[str, str]
) -> None:
    async with running_service(tmp_path, metrics_token="prometheus-0123456789") as api:
        for other in ("Bearer other", good["authorization"]):
            headers = [("authorization", other), ("authorization", good["authorization"])]
            method = "POST" if path.startswith("/v1") else "GET"
            answer = await api.client.request(method, path, headers=headers)
            assert answer.status_code == 401


async def pieces(count: int) -> AsyncIterator[bytes]:
    """Longer than anybody takes, and without saying so first."""
    for _ in range(count):
        yield b" " * 1024 * 1024


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/callers/identify", INTERNAL),
        ("/v1/decisions", INTERNAL),
        ("/admin/v1/keys", ADMIN),
        ("/admin/v1/approvals/apr_1/grant", ADMIN),
    ],
)
async def test_a_body_without_end_is_413(api: Api, path: str, headers: dict[str, str]) -> None:
    sent = pieces(1000 * MOST_TARBALL_BYTES)
    answer = await api.client.post(path, headers=headers, content=sent)
    assert answer.status_code == 413
    assert "longer than" in answer.text
    await sent.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/v1/callers/identify", INTERNAL),
        ("POST", "/v1/decisions", INTERNAL),
        ("POST", "/v1/decisions/dec_1/usage", INTERNAL),
        ("POST", "/admin/v1/keys", ADMIN),
        ("PUT", "/admin/v1/limits", ADMIN),
        ("PUT", "/admin/v1/chargebacks/rules?organisation=acme", ADMIN),
        ("PUT", "/admin/v1/organisation/company", ADMIN),
        ("POST", "/admin/v1/approvals/apr_1/grant", ADMIN),
    ],
)
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 100_000])
async def test_a_body_that_is_too_deep_is_400_in_words(
    api: Api, method: str, path: str, headers: dict[str, str], levels: int
) -> None:
    """Also where what is deep is a member that nobody looks at."""
    body = b'{"more":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"
    answer = await api.client.request(method, path, headers=headers, content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "malformed_request"), error
    assert f"it may have {MAX_DEPTH} levels" in error["message"]


async def test_who_tries_key_after_key_is_told_to_wait_and_counted(tmp_path: Path) -> None:
    settings = {"failed_keys_per_minute": 3, "metrics_token": "prometheus-0123456789"}
    async with running_service(tmp_path, **settings) as api:
        good = {"api_key": api.key, "source_ip": "192.0.2.7"}
        assert (await api.post("/v1/callers/identify", good)).json()["caller"]
        told = []
        for number in range(5):
            tried = {"api_key": f"gk-{number}", "source_ip": "192.0.2.7"}
            told.append((await api.post("/v1/callers/identify", tried)).json()["unknown"])
        assert told == ["mistyped"] * 3 + ["too_many_failures"] * 2
        assert (await api.post("/v1/callers/identify", good)).json()["caller"]
        page = (await api.client.get("/metrics", headers=METRICS)).text
    assert value(page, "gatehouse_failed_credentials_total", reason="mistyped") == 3
    assert value(page, "gatehouse_failed_credentials_total", reason="too_many_failures") == 2
