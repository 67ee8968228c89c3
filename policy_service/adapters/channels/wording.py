"""What a notice says to people."""

from datetime import datetime

from llm_core.alerts.incident import Notice, NoticeEvent

_MARKS = {
    NoticeEvent.OPENED: "",
    NoticeEvent.WORSE: "worse: ",
    NoticeEvent.STILL_OPEN: "still open: ",
    NoticeEvent.RECOVERED: "over: ",
    NoticeEvent.TEST: "test: ",
}


def headline(notice: Notice) -> str:
    """One line: how bad, what became of it, and what it is."""
    incident = notice.incident
    title = " ".join(incident.title.split())
    severity = "recovered" if notice.event is NoticeEvent.RECOVERED else incident.severity.value
    return f"[{severity}] {_MARKS[notice.event]}{title}"


def facts(notice: Notice) -> list[tuple[str, str]]:
    """What else people want to know, by name."""
    incident = notice.incident
    found = [("Kind", incident.kind.value), ("About", incident.node or incident.subject)]
    found.append(("Since", _shown(incident.opened_at)))
    if incident.recovered_at is not None:
        found.append(("Over since", _shown(incident.recovered_at)))
    found.append(("Incident", incident.id))
    return found


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
