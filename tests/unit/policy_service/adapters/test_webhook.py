"""A webhook is told over real HTTP."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm_core.policy.approvals import ApprovalState
from policy_service.adapters.webhook import Webhook
from policy_service.ports.alerts import Alert
from policy_service.ports.approvals import ApprovalNotice, ApprovalRecord, NoticeKind
from tests.fixtures.relaying import serving
from tests.fixtures.services import free_port

ALERT = Alert(
    limit_key="team:search:group:frontier:usd_per_month",
    period="2026-11",
    percent=80,
    node="team:search",
    measure="usd_per_month",
    at=datetime(2026, 11, 20, 12, tzinfo=UTC),
    used=Decimal("80.5"),
    amount=Decimal(100),
)


class Receiver:
    """What came, and what is answered."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.hangs = False

    async def __call__(self, request: Request) -> Response:
        if self.hangs:
            await asyncio.Event().wait()
        self.bodies.append(json.loads(await request.body()))
        return Response(status_code=self.status, headers=self.headers)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def url(receiver: Receiver) -> AsyncIterator[str]:
    app = Starlette(routes=[Route("/hooks/s3cret", receiver.__call__, methods=["POST"])])
    async with serving(app) as base:
        yield f"{base}/hooks/s3cret"


async def test_the_body_says_what_was_passed(receiver: Receiver, url: str) -> None:
    webhook = Webhook(url)
    assert await webhook.tell(ALERT)
    await webhook.close()
    assert receiver.bodies == [
        {
            "id": "team:search:group:frontier:usd_per_month@2026-11@80",
            "limit_key": "team:search:group:frontier:usd_per_month",
            "period": "2026-11",
            "percent": 80,
            "node": "team:search",
            "scope": "group:frontier",
            "measure": "usd_per_month",
            "at": "2026-11-20T12:00:00Z",
            "used": "80.5",
            "amount": "100",
        }
    ]


async def test_a_request_for_approval_is_told_with_who_and_why(
    receiver: Receiver, url: str
) -> None:
    record = ApprovalRecord(
        id="apr_1",
        state=ApprovalState.REQUESTED,
        model="o1-pro",
        node="user:sam",
        organisation="acme",
        department="research",
        team="search",
        project=None,
        requester="user:sam",
        reason="the launch",
        asked_usd=Decimal("50.5"),
        asked_until=ALERT.at,
        created_at=ALERT.at,
        answer_by=ALERT.at,
    )
    webhook = Webhook(url)
    assert await webhook.tell_of_approval(ApprovalNotice(NoticeKind.REMINDER, record, ALERT.at))
    await webhook.close()
    [body] = receiver.bodies
    assert (body["id"], body["event"]) == ("apr_1@reminder", "approval.reminder")
    told = body["approval"]
    assert (told["reason"], told["asked_usd"], told["team"]) == ("the launch", "50.5", "search")


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
async def test_anything_but_a_success_is_not_told(
    receiver: Receiver, url: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status, receiver.headers = status, {"location": url}
    webhook = Webhook(url)
    with caplog.at_level(logging.WARNING):
        assert not await webhook.tell(ALERT)
    await webhook.close()
    assert len(receiver.bodies) == 1  # a redirect is not followed
    assert str(status) in caplog.text
    assert "s3cret" not in caplog.text


async def test_whoever_is_not_there_or_says_nothing_is_not_told(
    receiver: Receiver, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.hangs = True
    for webhook in (
        Webhook(url, timeout_s=0.05),
        Webhook(f"http://127.0.0.1:{free_port()}/hooks/s3cret"),
        Webhook("nonsense://s3cret"),
    ):
        assert not await webhook.tell(ALERT)
        await webhook.close()
    assert caplog.text.count("could not be reached") == 3
    assert "s3cret" not in caplog.text
