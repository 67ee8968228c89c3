"""The table of pages: what each is called, where it stands, and who is offered it.

What they then get is the API's say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dashboard.api.identity import Viewer

# Streamlit would serve a folder of the name `pages` by itself, past the door and this table.
FOLDER = Path(__file__).parent / "views"


@dataclass(frozen=True, slots=True)
class Entry:
    """One page.

    Args:
        file: Below `views/`, without `.py`; it is the page's address too.
        needs: A permission, held anywhere; `None` for everybody.
    """

    file: str
    title: str
    icon: str
    section: str
    needs: str | None = None


_READS = "usage.read"
PAGES = (
    Entry("overview", "Overview", "monitoring", "Money"),
    Entry("costs", "Costs", "payments", "Money", _READS),
    Entry("chargeback", "Chargeback", "receipt_long", "Money", "organisation.read"),
    Entry("limits", "Budgets and limits", "speed", "Money", "organisation.read"),
    Entry("usage", "Usage", "bar_chart", "Operation", _READS),
    Entry("reliability", "Reliability", "ecg_heart", "Operation", _READS),
    Entry("alerts", "Alerts", "notifications", "Operation", _READS),
    Entry("approvals", "Approvals", "approval", "Control", _READS),
    Entry("policy", "Policy", "policy", "Control", "policy.read"),
    Entry("audit", "Audit", "history_edu", "Control", "audit.read"),
    Entry("mine", "My usage", "person", "You"),
)
"""The first is the one that the dashboard opens on."""


def offered(viewer: Viewer | None) -> dict[str, list[Entry]]:
    """The pages that somebody is offered, by section.

    Args:
        viewer: `None` where it is not known who looks: all, so that the address stays a page's, and
            the pages say why.
    """
    return _by_section(
        entry for entry in PAGES if entry.needs is None or viewer is None or viewer.may(entry.needs)
    )


def behind_the_door() -> dict[str, list[Entry]]:
    """All pages, for who has not come in yet: likewise."""
    return offered(None)


def _by_section(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    by_section: dict[str, list[Entry]] = {}
    for entry in entries:
        by_section.setdefault(entry.section, []).append(entry)
    return by_section
