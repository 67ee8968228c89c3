"""Makes reports, and sends each that is due: once, over all processes."""

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import quote

from policy_service.ids import new_id
from policy_service.ports.chargeback import ChargebackRefused, Chargebacks
from policy_service.ports.clock import Clock
from policy_service.ports.mail import MailFailed, MailSender
from policy_service.ports.report_schedules import (
    NewRun,
    ReportHooks,
    ReportNotTaken,
    ReportRun,
    ReportSchedule,
    ReportSchedules,
    RunState,
)
from policy_service.services.background import for_ever
from policy_service.services.report_making import DEPARTMENT, ReportMaking, ReportPart, parts_of
from policy_service.services.report_page import ReportPage, mailed
from policy_service.services.report_periods import ReportPeriod, latest_due, latest_over

_log = logging.getLogger(__name__)
_INTERVAL_S = 20.0
_TRY_AGAIN = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
)
"""After each failure but the last; then it is given up."""

HOOK = "webhook:"
_ORGANISATION = "organisation:"
_EMAIL = "email"
MOST_RECIPIENTS = 50
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_HOURS = range(24)
_MOST_KNOWN = 10_000
_IDLE_TOO = timedelta(days=1)
"""So long after a report is due each department gets its own, then only who used something: a
department that is made later has no report of what was before it."""


class ScheduleRefused(ValueError):
    """A schedule cannot be; says why."""


@dataclass(slots=True)
class ReportSender:
    """Reports: made, sent when due, tried again, and what became of them.

    Args:
        store: Schedules and what was sent.
        chargebacks: For statements.
        mail: `None`: no e-mail can be sent.
        hooks: Webhooks by name.
    """

    store: ReportSchedules
    chargebacks: Chargebacks
    clock: Clock
    hooks: ReportHooks
    mail: MailSender | None = None
    _over: set[str] = field(default_factory=set)
    _spenders: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    async def run(self) -> None:
        """Send until cancelled."""
        await for_ever("scheduled reports", self._step_and_wait)

    async def step(self) -> None:
        """Send whatever is due now.

        Raises:
            PolicyUnavailable: The database is away; what is due stays due.
        """
        now = self.clock()
        for schedule in await self.store.all():
            period = latest_due(schedule.cadence, schedule.hour, now, schedule.time_zone)
            if period.due_at <= schedule.since:
                continue
            making = ReportMaking(self.store, self.chargebacks, schedule, period)
            idle_too = now < period.due_at + _IDLE_TOO
            for part in await self._parts(schedule, period, idle_too=idle_too):
                for destination in _destinations(part):
                    run_id = _run_id(making, part, destination)
                    if run_id not in self._over:
                        await self._claim_and_send(run_id, making, part, destination)

    async def send_now(self, schedule: ReportSchedule) -> Sequence[ReportRun]:
        """Send the newest period's report at once, whether it was sent or not; gives how it went.

        What fails here is not tried again.
        """
        period = latest_over(schedule.cadence, self.clock(), schedule.time_zone)
        making = ReportMaking(self.store, self.chargebacks, schedule, period)
        once, sent = new_id("run"), 0
        for part in await self._parts(schedule, period, idle_too=True):
            for destination in _destinations(part):
                run_id = f"{_run_id(making, part, destination)}@{once}"
                await self._claim_and_send(run_id, making, part, destination, is_asked_for=True)
                sent += 1
        return await self.store.runs(schedule.id, most=sent, ending=f"@{once}")

    async def page(
        self, schedule: ReportSchedule, period: ReportPeriod | None = None
    ) -> ReportPage:
        """The report of a schedule's own node; of the newest period that is over by default.

        Raises:
            ChargebackRefused: There is no statement; says why.
        """
        over = period or latest_over(schedule.cadence, self.clock(), schedule.time_zone)
        making = ReportMaking(self.store, self.chargebacks, schedule, over)
        return await making.page(schedule.node)

    def refuse_bad(self, schedule: ReportSchedule) -> None:
        """Let no schedule pass that could not be sent.

        Raises:
            ScheduleRefused: Says what to write instead.
        """
        if not _ID.fullmatch(schedule.id):
            raise ScheduleRefused(
                "an id has 1 to 60 small letters, digits, - and _, such as research-weekly"
            )
        if schedule.hour not in _HOURS:
            raise ScheduleRefused("the hour is 0 to 23")
        if schedule.per_department and not schedule.node.startswith(_ORGANISATION):
            raise ScheduleRefused(
                "with `per_department` the node is the organisation whose departments get reports"
            )
        if schedule.department_to and not schedule.per_department:
            raise ScheduleRefused("`department_to` is for schedules with `per_department`")
        self._refuse_bad_recipients("a report", schedule.to)
        for department, own in schedule.department_to.items():
            self._refuse_bad_recipients(f"the report of {DEPARTMENT}{department[:100]}", own)

    def _refuse_bad_recipients(self, report: str, to: Sequence[str]) -> None:
        if not 1 <= len(to) <= MOST_RECIPIENTS:
            raise ScheduleRefused(f"{report} goes to 1 to {MOST_RECIPIENTS} recipients")
        for one in to:
            self._refuse_bad_recipient(one)

    def _refuse_bad_recipient(self, one: str) -> None:
        if one.startswith(HOOK):
            if one.removeprefix(HOOK) not in self.hooks.names:
                known = ", ".join(sorted(self.hooks.names)) or "none"
                raise ScheduleRefused(
                    f"there is no {one[:100]}; POLICY_REPORT_WEBHOOKS has {known}"
                )
        elif not _ADDRESS.fullmatch(one):
            raise ScheduleRefused(f"{one[:100]!r} is no e-mail address and no {HOOK}<name>")
        elif self.mail is None:
            raise ScheduleRefused(
                "no e-mail can be sent: POLICY_SMTP_URL and POLICY_SMTP_FROM say how"
            )

    async def _step_and_wait(self) -> None:
        await self.step()
        await asyncio.sleep(_INTERVAL_S)

    async def _parts(
        self, schedule: ReportSchedule, period: ReportPeriod, *, idle_too: bool
    ) -> list[ReportPart]:
        """The reports to send.

        Args:
            schedule: Of its node, or of each department.
            period: Whose spenders have a report, be they removed since.
            idle_too: Those that used nothing have one as well.
        """
        if not schedule.per_department:
            return parts_of(schedule, ())
        asked = (schedule.organisation, period.name)
        if asked not in self._spenders:
            if len(self._spenders) >= _MOST_KNOWN:
                self._spenders.clear()
            found = await self.store.spenders(asked[0], period.starts_at, period.ends_at)
            self._spenders[asked] = frozenset(found)
        there = await self.store.departments(asked[0]) if idle_too else ()
        return parts_of(schedule, sorted({*self._spenders[asked], *there}))

    async def _claim_and_send(
        self,
        run_id: str,
        making: ReportMaking,
        part: ReportPart,
        destination: str,
        *,
        is_asked_for: bool = False,
    ) -> None:
        new = NewRun(making.schedule.id, making.period.name, destination, part.node)
        run = await self.store.claim(run_id, new)
        if run is None:
            return
        state, next_at = RunState.SENT, self.clock()
        try:
            page = await making.page(part.node)
            error = await self._deliver(making, part, run, page)
        except (MailFailed, ReportNotTaken, ChargebackRefused) as fault:
            error = str(fault)
            is_last = is_asked_for or run.attempts > len(_TRY_AGAIN)
            state = RunState.FAILED if is_last else RunState.WAITING
            next_at += timedelta(0) if is_last else _TRY_AGAIN[run.attempts - 1]
            _log.warning("report %s: %s, try %d: %s", run.id, state, run.attempts, error)
        await self.store.settle(run, state, next_at, error)
        if state is not RunState.WAITING and not is_asked_for:
            if len(self._over) >= _MOST_KNOWN:
                self._over.clear()
            self._over.add(run.id)

    async def _deliver(
        self, making: ReportMaking, part: ReportPart, run: ReportRun, page: ReportPage
    ) -> str:
        """Hand it over; gives what is to be said of it all the same."""
        if run.destination.startswith(HOOK):
            body = _body(making, part, run, page)
            await self.hooks.post(run.destination.removeprefix(HOOK), body)
            return ""
        if self.mail is None:
            raise MailFailed("no e-mail can be sent: POLICY_SMTP_URL is not set")
        html, pictures = await asyncio.to_thread(mailed, page)
        refused = await self.mail.send(
            [one for one in part.to if not one.startswith(HOOK)],
            page.subject,
            html,
            page.text,
            pictures=pictures,
            message_id=quote(run.id.replace("@", "."), safe=""),
        )
        return f"the mail server refused {', '.join(refused)}" if refused else ""


def _run_id(making: ReportMaking, part: ReportPart, destination: str) -> str:
    """Names what is sent once."""
    named = f"{making.schedule.id}@{making.period.name}"
    if making.schedule.per_department:
        named += f"@{part.node}"
    return f"{named}@{destination}"


def _destinations(part: ReportPart) -> list[str]:
    hooks = [one for one in part.to if one.startswith(HOOK)]
    return hooks if len(hooks) == len(part.to) else [_EMAIL, *hooks]


def _body(
    making: ReportMaking, part: ReportPart, run: ReportRun, page: ReportPage
) -> dict[str, object]:
    schedule, period = making.schedule, making.period
    return {
        "id": run.id,
        "event": f"report.{schedule.kind}",
        "schedule": schedule.id,
        "organisation": schedule.organisation,
        "node": part.node,
        "period": period.name,
        "from": period.starts_at,
        "to": period.ends_at,
        "total_usd": page.total_usd,
        "subject": page.subject,
        "text": page.text,
        "html": page.html,
    }
