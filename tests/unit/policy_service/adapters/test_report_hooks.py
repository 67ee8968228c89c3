"""Reports over real HTTP: signed where there is a secret, and told without the address."""

from collections.abc import AsyncIterator

import pytest

from policy_service.adapters.report_hooks import HttpReportHooks
from policy_service.ports.report_schedules import ReportNotTaken
from tests.fixtures.alert_receivers import SECRET, Receiver, http_receiver

BODY = {"id": "acme-monthly@2026-11@webhook:finance", "total_usd": "77.750000000000"}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with http_receiver() as one:
        yield one


@pytest.mark.parametrize(("named", "is_signed"), [("finance", True), ("other", False)])
async def test_a_report_is_signed_with_the_secret_of_its_webhook_only(
    receiver: Receiver, named: str, *, is_signed: bool
) -> None:
    hooks = HttpReportHooks({"finance": receiver.url, "other": receiver.url}, {"finance": SECRET})
    await hooks.post(named, BODY)
    await hooks.close()
    assert (receiver.bodies, receiver.is_signed) == ([BODY], [is_signed])


async def test_what_was_not_taken_is_told_without_address_and_secret(receiver: Receiver) -> None:
    receiver.status = 503
    hooks = HttpReportHooks({"finance": receiver.url}, {"finance": SECRET})
    with pytest.raises(ReportNotTaken, match="'finance': it answered 503") as refused:
        await hooks.post("finance", BODY)
    with pytest.raises(ReportNotTaken, match="no webhook 'other'"):
        await hooks.post("other", BODY)
    await hooks.close()
    assert receiver.url not in str(refused.value)
    assert SECRET not in str(refused.value)
