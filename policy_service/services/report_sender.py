"""Makes reports, and sends each that is due: once, over all processes."""

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from llm_core.chargeback.statement import restricted
from policy_service.ids import new_id
from policy_service.ports.chargeback import ChargebackRefused, Chargebacks
from policy_service.ports.clock import Clock
from policy_service.ports.mail import MailFailed, MailSender
from policy_service.ports.report_schedules import (
    Cadence,
    NewRun,
    ReportHooks,
    ReportKind,
    ReportNotTaken,
    ReportRun,
    ReportSchedule,
    ReportSchedules,
    RunState,
)
from policy_service.services.background import for_ever
from policy_service.services.report_page import ReportPage, chargeback_page, mailed, summary_page
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
_EMAIL = "email"
MOST_RECIPIENTS = 50
_MOST_DESTINATIONS = MOST_RECIPIENTS + 1
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_HOURS = range(24)
_MOST_KNOWN = 10_000


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
            making = _Making(self, schedule, period)
            for destination in _destinations(schedule):
                run_id = f"{schedule.id}@{period.name}@{destination}"
                if run_id not in self._over:
                    await self._claim_and_send(run_id, making, destination)

    async def send_now(self, schedule: ReportSchedule) -> Sequence[ReportRun]:
        """Send the newest period's report at once, whether it was sent or not; gives how it went.

        What fails here is not tried again.
        """
        period = latest_over(schedule.cadence, self.clock(), schedule.time_zone)
        making, once = _Making(self, schedule, period), new_id("run")
        for destination in _destinations(schedule):
            run_id = f"{schedule.id}@{period.name}@{destination}@{once}"
            await self._claim_and_send(run_id, making, destination, is_asked_for=True)
        made = await self.store.runs(schedule.id, most=_MOST_DESTINATIONS)
        return [run for run in made if run.id.endswith(f"@{once}")]

    async def page(
        self, schedule: ReportSchedule, period: ReportPeriod | None = None
    ) -> ReportPage:
        """What would be sent; of the newest period that is over by default.

        Raises:
            ChargebackRefused: There is no statement; says why.
        """
        over = period or latest_over(schedule.cadence, self.clock(), schedule.time_zone)
        match schedule.kind:
            case ReportKind.SUMMARY:
                figures = await self.store.figures(
                    schedule.node, schedule.organisation, over.days, over.before
                )
                return await asyncio.to_thread(
                    summary_page, schedule.node, over, schedule.time_zone, figures
                )
            case ReportKind.CHARGEBACK:
                document = await self.chargebacks.closed(
                    schedule.organisation, over.name
                ) or await self.chargebacks.preview(
                    schedule.organisation, over.name, lines_only=True
                )
                seen = restricted(document, {schedule.node}).statement
                return await asyncio.to_thread(chargeback_page, schedule.node, seen)

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
        if schedule.kind is ReportKind.CHARGEBACK and schedule.cadence is not Cadence.MONTHLY:
            raise ScheduleRefused("a chargeback report is `monthly`")
        if not 1 <= len(schedule.to) <= MOST_RECIPIENTS:
            raise ScheduleRefused(f"a report goes to 1 to {MOST_RECIPIENTS} recipients")
        for one in schedule.to:
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

    async def _claim_and_send(
        self,
        run_id: str,
        making: "_Making",
        destination: str,
        *,
        is_asked_for: bool = False,
    ) -> None:
        schedule, period = making.schedule, making.period
        run = await self.store.claim(run_id, NewRun(schedule.id, period.name, destination))
        if run is None:
            return
        state, next_at = RunState.SENT, self.clock()
        try:
            page = await making.page()
            error = await self._deliver(schedule, period, run, page)
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
        self, schedule: ReportSchedule, period: ReportPeriod, run: ReportRun, page: ReportPage
    ) -> str:
        """Hand it over; gives what is to be said of it all the same."""
        if run.destination.startswith(HOOK):
            body = _body(schedule, period, run, page)
            await self.hooks.post(run.destination.removeprefix(HOOK), body)
            return ""
        if self.mail is None:
            raise MailFailed("no e-mail can be sent: POLICY_SMTP_URL is not set")
        html, pictures = await asyncio.to_thread(mailed, page)
        refused = await self.mail.send(
            [one for one in schedule.to if not one.startswith(HOOK)],
            page.subject,
            html,
            page.text,
            pictures=pictures,
            message_id=run.id.replace("@", "."),
        )
        return f"the mail server refused {', '.join(refused)}" if refused else ""


@dataclass(slots=True)
class _Making:
    """A report that is made once, when the first of its destinations is claimed."""

    sender: ReportSender
    schedule: ReportSchedule
    period: ReportPeriod
    _made: ReportPage | None = None

    async def page(self) -> ReportPage:
        if self._made is None:
            self._made = await self.sender.page(self.schedule, self.period)
        return self._made


def _destinations(schedule: ReportSchedule) -> list[str]:
    hooks = [one for one in schedule.to if one.startswith(HOOK)]
    return hooks if len(hooks) == len(schedule.to) else [_EMAIL, *hooks]


def _body(
    schedule: ReportSchedule, period: ReportPeriod, run: ReportRun, page: ReportPage
) -> dict[str, object]:
    return {
        "id": run.id,
        "event": f"report.{schedule.kind}",
        "schedule": schedule.id,
        "organisation": schedule.organisation,
        "node": schedule.node,
        "period": period.name,
        "from": period.starts_at,
        "to": period.ends_at,
        "total_usd": page.total_usd,
        "subject": page.subject,
        "text": page.text,
        "html": page.html,
    }
