"""The history of breakers on a page: when calls were kept away from which deployment, and why."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

from dashboard import wiring
from dashboard.api import reliability
from dashboard.api.client import Client, Query
from dashboard.api.reliability import BreakerSteps
from dashboard.figures import reliability as figures
from dashboard.frames import breakers as frames
from dashboard.parts import page, shown
from dashboard.parts.filters import Chosen
from dashboard.tables import Column

_MOST = 1000
_COLUMNS = (
    Column("at", "At"),
    Column("deployment", "Deployment"),
    Column("change", "Breaker"),
    Column("reason", "Why"),
    Column("provider", "Provider"),
    Column("model", "Model"),
)


def steps(client: Client, chosen: Chosen) -> BreakerSteps:
    """The steps of the chosen time and providers."""
    since, until = _times(chosen)
    query: Query = (
        ("since", since.isoformat()),
        ("until", until.isoformat()),
        *(("provider", one) for one in chosen.wanted.get("provider", ())),
        ("limit", str(_MOST)),
    )
    return reliability.breakers(client, query)


def show(client: Client, chosen: Chosen) -> None:
    """Show the steps of the chosen time and providers, as a figure and as a table."""
    found = steps(client, chosen)
    (since, until), tz = _times(chosen), chosen.zone
    if not found.data:
        page.nothing(
            f"No breaker opened or closed from {chosen.told}.",
            "Calls went to every deployment as a matter of course, or none was called. A breaker "
            "opens when calls to its deployment fail again and again.",
        )
        return
    began = found.data[-1].at if found.next_cursor else since
    span = began, min(until, wiring.now())
    periods = frames.periods_frame(found.data, span, tz)
    if len(periods):
        there = periods["start"].min().to_pydatetime(), periods["end"].max().to_pydatetime()
        shown.figure(
            figures.breaker_periods(periods, there, is_dark=wiring.is_dark()),
            key="breaker_periods",
            alt="A line of time for each deployment: bars where its breaker was open or half-open; "
            "the steps are in the table below",
        )
    listed = frames.steps_frame(found.data, tz)
    shown.table(listed, _COLUMNS, key="breakers", alt="Steps of breakers, the newest first")
    shown.csv_button(listed, "breakers", key="breakers_csv")


def _times(chosen: Chosen) -> tuple[datetime, datetime]:
    zone = ZoneInfo(chosen.zone)
    since, until = (datetime.combine(day, time(), zone) for day in (chosen.start, chosen.end))
    return since, until
