"""Scheduled reports: who gets which, and which were sent."""

from datetime import datetime

from sqlalchemy import JSON, Index, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from policy_service.adapters.sql.tables.base import Base


class ReportScheduleRow(Base):
    """A schedule: `ports.report_schedules.ReportSchedule`."""

    __tablename__ = "report_schedules"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    organisation: Mapped[str] = mapped_column(Text)
    node: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    cadence: Mapped[str] = mapped_column(Text)
    hour: Mapped[int]
    to: Mapped[list[str]] = mapped_column("recipients", key="to")
    since: Mapped[datetime]
    set_by: Mapped[str] = mapped_column(Text)
    per_department: Mapped[bool] = mapped_column(server_default=false())
    department_to: Mapped[dict[str, list[str]]] = mapped_column(
        "department_recipients",
        JSON(none_as_null=True),
        key="department_to",
        server_default=text("'{}'"),
    )


class ReportRunRow(Base):
    """A report that was sent, or is to be. `id` names schedule, period and where to: sent once.

    `next_at` is when somebody else may try: after a failure, or when whoever is at it has died.
    """

    __tablename__ = "report_runs"
    __table_args__ = (Index(None, "schedule", "at"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    schedule: Mapped[str] = mapped_column(Text)
    period: Mapped[str] = mapped_column(Text)
    destination: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int]
    at: Mapped[datetime]
    next_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text)
    node: Mapped[str] = mapped_column(Text, server_default="")
