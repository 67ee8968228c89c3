"""Log lines as JSON, one object a line, each with the call that it is about.

What was said in a call never is in our messages. Of an exception only type and places are told: its
text may quote what it choked on.
"""

import json
import logging
import re
import traceback
from datetime import UTC, datetime
from typing import Any, Final

from llm_core.trace_context import ids_of
from policy_service import call_context

_DECISION: Final = re.compile(r"\bdec_[0-9a-hjkmnp-tv-z]{26}\b")
_MOST_FRAMES: Final = 20


class JsonFormatter(logging.Formatter):
    """`at`, `level`, `logger`, `message`; `decision_id`, `trace_id`, `fault` where known."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the record's one line, without its end."""
        message = record.getMessage()
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            "process": record.process,
        }
        named = _DECISION.search(message)
        decision = named[0] if named else call_context.decision_id.get()
        if decision is not None:
            told["decision_id"] = decision
        if decision == call_context.decision_id.get():
            trace = call_context.trace_id()
        else:  # a line about another call than the one that is being worked on
            trace = ids_of(decision)[0] if decision else None
        if trace is not None:
            told["trace_id"] = trace
        if record.exc_info and record.exc_info[1] is not None:
            told["fault"] = _told(record.exc_info[1])
        return json.dumps(told, ensure_ascii=False)


def _told(fault: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(fault.__traceback__)[-_MOST_FRAMES:]
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return {"type": type(fault).__name__, "places": places}


LOG_CONFIG: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "policy_service.json_logs.JsonFormatter"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "stream": "ext://sys.stderr",
        }
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "uvicorn": {"level": "INFO"},
        "uvicorn.error": {"level": "INFO"},
        "httpx": {"level": "WARNING"},
        "alembic": {"level": "WARNING"},
    },
}
"""For uvicorn, in place of its own."""
