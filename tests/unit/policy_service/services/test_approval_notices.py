from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from llm_core.policy.approvals import ApprovalState
from policy_service.ports.approvals import ApprovalNotice, ApprovalRecord, NoticeKind
from policy_service.services.approval_notices import ApprovalNotices
from tests.fakes.approvals import FakeApprovals
from tests.fakes.clock import FakeClock

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
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
    asked_usd=Decimal(50),
    asked_until=NOW + timedelta(days=7),
    created_at=NOW,
    answer_by=NOW + timedelta(days=14),
)
NEWS = ApprovalNotice(NoticeKind.REQUESTED, RECORD, NOW)


class FakeTeller:
    """Implements `ApprovalTeller`."""

    def __init__(self) -> None:
        self.takes = True
        self.told: list[ApprovalNotice] = []

    async def tell_of_approval(self, notice: ApprovalNotice) -> bool:
        self.told.append(notice)
        return self.takes


class Announced:
    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> None:
        self.times += 1


def watching(
    store: FakeApprovals, teller: FakeTeller | None, announced: Announced | None = None
) -> ApprovalNotices:
    day = timedelta(days=1)
    return ApprovalNotices(
        store.as_port(), FakeClock(NOW), day, day, announced or Announced(), teller
    )


async def test_a_request_is_told_once() -> None:
    store, teller = FakeApprovals(notices=[NEWS]), FakeTeller()
    notices = watching(store, teller)
    await notices.step()
    await notices.step()
    assert teller.told == store.told_of == [NEWS]


async def test_what_nobody_took_is_told_again() -> None:
    store, teller = FakeApprovals(notices=[NEWS]), FakeTeller()
    teller.takes = False
    notices = watching(store, teller)
    await notices.step()
    assert store.told_of == []
    teller.takes = True
    await notices.step()
    assert store.told_of == [NEWS]


async def test_what_is_no_news_any_more_is_not_told() -> None:
    granted = replace(RECORD, state=ApprovalState.GRANTED)
    stale = [
        ApprovalNotice(NoticeKind.REQUESTED, granted, NOW),
        ApprovalNotice(NoticeKind.REMINDER, granted, NOW),
        ApprovalNotice(NoticeKind.ENDING, replace(RECORD, state=ApprovalState.REVOKED), NOW),
    ]
    store, teller = FakeApprovals(notices=stale), FakeTeller()
    await watching(store, teller).step()
    assert teller.told == []
    assert store.told_of == stale


async def test_without_a_webhook_the_log_is_enough() -> None:
    store = FakeApprovals(notices=[NEWS])
    await watching(store, None).step()
    assert store.told_of == [NEWS]


async def test_what_expired_is_announced() -> None:
    announced = Announced()
    notices = watching(FakeApprovals(over=2), None, announced)
    await notices.step()
    await notices.step()
    assert announced.times == 1
