"""Log lines on stdout in the form that kong-pdk writes them and Kong reads them.

Kong reads the server's stdout line by line and writes each line into its own log. So a record is
one line, however many its text has, and short enough for nginx. Lines are written by a thread:
when Kong stops reading, for instance while a worker goes away, requests must not wait for a pipe.

Source:
    https://github.com/Kong/kong/blob/3.9.1/kong/runloop/plugin_servers/process.lua
    https://github.com/Kong/kong-python-pdk/blob/master/kong_pdk/logger.py (checked 2026-11-20)
"""

import contextlib
import json
import logging
import os
import queue
import re
import threading
from datetime import UTC, datetime
from typing import Any, Final

from kong_plugins._runtime.faults import told_safely

_MAX_LINE_CHARS: Final = 1900  # nginx cuts a log line at 2,048 bytes
_MAX_MESSAGE_CHARS: Final = 700
"""Of an object, which must stay whole: it is the message that is cut."""

_MAX_FAULT_CHARS: Final = 700
_MAX_WAITING_LINES: Final = 10_000
_LEVEL_NAMES: Final = {"DEBUG": "DEBG", "WARNING": "WARN"}
_ONE_LINE: Final = {code: f"\\x{code:02x}" for code in (*range(32), 127)} | {9: " ", 10: "\\n"}
_DECISION: Final = re.compile(r"\bdec_[0-9a-hjkmnp-tv-z]{26}\b")
_TALKATIVE: Final = ("aiohttp", "asyncio", "urllib3")


class OneLineFormatter(logging.Formatter):
    """`INFO - [09:30:01] text`; of an exception only type and places."""

    def __init__(self) -> None:
        super().__init__(datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Give the record's one line, without its end."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text}: {told_safely(record.exc_info[1])}"
        level = _LEVEL_NAMES.get(record.levelname, record.levelname)
        line = f"{level:<4} - [{self.formatTime(record, self.datefmt)}] {record.name}: {text}"
        return line.translate(_ONE_LINE)[:_MAX_LINE_CHARS]


class JsonFormatter(logging.Formatter):
    """An object a line, for a plugin server whose lines are read by others than Kong."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the record's one line, without its end."""
        message = record.getMessage()
        told = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message[:_MAX_MESSAGE_CHARS],
        }
        if (named := _DECISION.search(message)) is not None:
            told["decision_id"] = named[0]
        if record.exc_info and record.exc_info[1] is not None:
            told["fault"] = told_safely(record.exc_info[1])[:_MAX_FAULT_CHARS]
        return json.dumps(told)


class PipeHandler(logging.Handler):
    """Hands lines to a thread that writes them to a file descriptor."""

    def __init__(self, file_descriptor: int, *, is_json: bool = False) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter() if is_json else OneLineFormatter())
        self._file_descriptor = file_descriptor
        self._lines: queue.Queue[bytes | None] = queue.Queue(_MAX_WAITING_LINES)
        self._thread = threading.Thread(target=self._write_lines, name="logs", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line; when nobody has read for long, drop it."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a record with wrong arguments; its text is not safe
            line = f"ERROR - a log record of {record.name} cannot be formatted"
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(line.encode("utf-8", "backslashreplace") + b"\n")

    def stop(self, timeout_s: float) -> None:
        """Write what is queued, within `timeout_s`."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(timeout_s)

    def _write_lines(self) -> None:
        while (line := self._lines.get()) is not None:
            with contextlib.suppress(OSError):  # nobody reads any more
                while line:
                    line = line[os.write(self._file_descriptor, line) :]


def start(level: int, file_descriptor: int, *, is_json: bool = False) -> PipeHandler:
    """Send everything that is logged in this process to Kong, in its form or as JSON."""
    handler = PipeHandler(file_descriptor, is_json=is_json)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler


def tell_loop_fault(_loop: object, context: dict[str, Any]) -> None:
    """An event loop's exception handler that quotes nothing."""
    fault = context.get("exception")
    told = told_safely(fault) if isinstance(fault, BaseException) else ""
    logging.getLogger(__name__).error("%s %s", context.get("message", "event loop"), told)
