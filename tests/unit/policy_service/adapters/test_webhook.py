"""A webhook is told of approvals over real HTTP."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from llm_core.policy.approvals import ApprovalState
from policy_service.adapters.webhook import Webhook
from policy_service.ports.approvals import ApprovalNotice, ApprovalRecord, NoticeKind
from tests.fixtures.alert_receivers import SECRET, Receiver, http_receiver
from tests.fixtures.services import free_port

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
RECORD = ApprovalRecord(
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
    asked_until=AT,
    created_at=AT,
    answer_by=AT,
)
NOTICE = ApprovalNotice(NoticeKind.REMINDER, RECORD, AT)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with http_receiver() as one:
        yield one


@pytest.mark.parametrize("secret", [None, SECRET])
async def test_a_request_for_approval_is_told_with_who_and_why(
    receiver: Receiver, secret: str | None
) -> None:
    webhook = Webhook(receiver.url, secret)
    assert await webhook.tell_of_approval(NOTICE)
    await webhook.close()
    [body] = receiver.bodies
    assert (body["id"], body["event"]) == ("apr_1@reminder", "approval.reminder")
    told = body["approval"]
    assert (told["reason"], told["asked_usd"], told["team"]) == ("the launch", "50.5", "search")
    assert receiver.is_signed == [secret is not None]


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
async def test_anything_but_a_success_is_not_told(
    receiver: Receiver, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status, receiver.headers = status, {"location": receiver.url}
    webhook = Webhook(receiver.url)
    with caplog.at_level(logging.WARNING):
        assert not await webhook.tell_of_approval(NOTICE)
    await webhook.close()
    assert receiver.posts == 1  # a redirect is not followed
    assert str(status) in caplog.text
    assert "s3cret" not in caplog.text


async def test_whoever_is_not_there_or_says_nothing_is_not_told(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.hangs = True
    for webhook in (
        Webhook(receiver.url, timeout_s=0.05),
        Webhook(f"http://127.0.0.1:{free_port()}/hooks/s3cret"),
        Webhook("nonsense://s3cret"),
    ):
        assert not await webhook.tell_of_approval(NOTICE)
        await webhook.close()
    assert caplog.text.count("could not be reached") == 3
    assert "s3cret" not in caplog.text
