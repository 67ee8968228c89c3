"""A schedule that could not be sent is refused, with what to write instead."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from policy_service.adapters.mail import SmtpMail
from policy_service.adapters.report_hooks import HttpReportHooks
from policy_service.adapters.sql.chargeback import SqlChargebacks
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.report_schedules import SqlReportSchedules
from policy_service.ports.report_schedules import Cadence, ReportKind, ReportSchedule
from policy_service.services.report_sender import ReportSender, ScheduleRefused
from tests.fakes.clock import FakeClock

GOOD = ReportSchedule(
    id="research-weekly",
    organisation="acme",
    node="department:research",
    kind=ReportKind.SUMMARY,
    cadence=Cadence.WEEKLY,
    hour=7,
    to=("boss@acme.example", "webhook:finance"),
    since=datetime(2026, 11, 23, tzinfo=UTC),
    set_by="",
)


EACH: dict[str, Any] = {"node": "organisation:acme", "per_department": True}


@pytest.fixture
async def able() -> AsyncIterator[ReportSender]:
    """Nothing is asked of its database."""
    engine, clock = open_engine("sqlite:///unused.db"), FakeClock()
    hooks = HttpReportHooks({"finance": "http://127.0.0.1:9/"})
    yield ReportSender(
        SqlReportSchedules(engine, clock),
        SqlChargebacks(engine, clock),
        clock,
        hooks=hooks,
        mail=SmtpMail("smtp://127.0.0.1", "a@b.example"),
    )
    await hooks.close()
    await engine.dispose()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": "../x"}, "small letters"),
        ({"hour": 24}, "0 to 23"),
        ({"to": ()}, "1 to 50 recipients"),
        ({"to": ("a@b.example",) * 51}, "1 to 50 recipients"),
        ({"to": ("boss",)}, "no e-mail address"),
        ({"to": ("a@b.example\nBcc: c@d.example",)}, "no e-mail address"),
        ({"to": ("webhook:other",)}, "POLICY_REPORT_WEBHOOKS has finance"),
        ({"to": ("webhook:http://169.254.169.254/",)}, "POLICY_REPORT_WEBHOOKS has finance"),
        ({"to": ("http://169.254.169.254/",)}, "no e-mail address"),
        ({"per_department": True}, "the node is the organisation"),
        ({"department_to": {"research": ("a@b.example",)}}, "is for schedules with"),
        (EACH | {"department_to": {"research": ()}}, "department:research goes to 1 to 50"),
        (EACH | {"department_to": {"research": ("boss",)}}, "no e-mail address"),
        (EACH | {"to": ()}, "a report goes to 1 to 50"),
    ],
)
async def test_what_could_not_be_sent_is_refused(
    able: ReportSender, changes: dict[str, Any], why: str
) -> None:
    able.refuse_bad(GOOD)
    able.refuse_bad(replace(GOOD, **EACH, department_to={"research": ("a@b.example",)}))
    with pytest.raises(ScheduleRefused, match=why):
        able.refuse_bad(replace(GOOD, **changes))


async def test_without_a_mail_server_there_is_no_e_mail(able: ReportSender) -> None:
    able.mail = None
    able.refuse_bad(replace(GOOD, to=("webhook:finance",)))
    with pytest.raises(ScheduleRefused, match="POLICY_SMTP_URL"):
        able.refuse_bad(GOOD)
