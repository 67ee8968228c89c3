"""Makes the reports of one schedule and one period: of its node, or of each department."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from llm_core.chargeback.statement import Document, restricted
from policy_service.ports.chargeback import Chargebacks
from policy_service.ports.report_schedules import (
    Cadence,
    ReportKind,
    ReportSchedule,
    ReportSchedules,
)
from policy_service.services.report_page import ReportPage, chargeback_page, summary_page
from policy_service.services.report_periods import ReportPeriod

DEPARTMENT = "department:"


@dataclass(frozen=True, slots=True)
class ReportPart:
    """A report that a schedule sends.

    Args:
        node: What it is about; it holds nothing else.
        to: Who gets it.
    """

    node: str
    to: tuple[str, ...]


def parts_of(schedule: ReportSchedule, departments: Sequence[str]) -> list[ReportPart]:
    """The reports that a schedule sends.

    Args:
        schedule: Of its node, or of each department.
        departments: Those that are to have one.
    """
    if not schedule.per_department:
        return [ReportPart(schedule.node, schedule.to)]
    own = schedule.department_to
    return [ReportPart(f"{DEPARTMENT}{one}", own.get(one, schedule.to)) for one in departments]


@dataclass(slots=True)
class ReportMaking:
    """Each report is made once for all its destinations, and a statement once for all reports."""

    store: ReportSchedules
    chargebacks: Chargebacks
    schedule: ReportSchedule
    period: ReportPeriod
    _document: Document | None = None
    _made: tuple[str, ReportPage] | None = None

    async def page(self, node: str) -> ReportPage:
        """The report of a node.

        Raises:
            ChargebackRefused: There is no statement; says why.
        """
        if self._made is None or self._made[0] != node:
            self._made = node, await self._page(node)
        return self._made[1]

    async def _page(self, node: str) -> ReportPage:
        schedule, period = self.schedule, self.period
        match schedule.kind:
            case ReportKind.SUMMARY:
                figures = await self.store.figures(
                    node, schedule.organisation, period.days, period.before
                )
                return await asyncio.to_thread(
                    summary_page, node, period, schedule.time_zone, figures
                )
            case ReportKind.CHARGEBACK:
                if self._document is None:
                    self._document = await self._statement()
                seen = restricted(self._document, {node}).statement
                return await asyncio.to_thread(chargeback_page, node, seen, schedule.cadence)

    async def _statement(self) -> Document:
        """The closed month's, else its preview; of a week there is a preview only."""
        organisation, period = self.schedule.organisation, self.period
        if self.schedule.cadence is Cadence.WEEKLY:
            span = (period.starts_at, period.ends_at)
            return await self.chargebacks.preview(
                organisation, period.name, span=span, lines_only=True
            )
        closed = await self.chargebacks.closed(organisation, period.name)
        return closed or await self.chargebacks.preview(organisation, period.name, lines_only=True)
