import json
import logging
import os
from collections.abc import Iterator

import pytest

from kong_plugins._runtime.faults import told_safely
from kong_plugins._runtime.logs import JsonFormatter, OneLineFormatter, PipeHandler

SECRET = "sk-very-secret"


def record(message: str, *args: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("gatehouse", logging.WARNING, "x.py", 1, message, args, None)
    made.__dict__.update(more)
    return made


def failure() -> ValueError:
    try:
        try:
            json.loads("{" + SECRET)
        except ValueError as cause:
            raise ValueError(SECRET) from cause
    except ValueError as error:
        return error


def test_a_record_is_one_line_in_kong_pdks_form():
    line = OneLineFormatter().format(record("first\nERROR - [00:00:00] forged\r\x1b[31m %s", "x"))
    assert line.startswith("WARN - [")
    assert "gatehouse: first\\nERROR" in line
    assert "\n" not in line
    assert "\r" not in line
    assert "\x1b" not in line


def test_a_line_is_short_enough_for_nginx():
    assert len(OneLineFormatter().format(record("x" * 10_000))) == 1900


def test_an_exception_is_told_by_type_and_place_only():
    error = failure()
    line = OneLineFormatter().format(record("failed", exc_info=(type(error), error, None)))
    assert "ValueError at _runtime/test_logs.py:" in line
    assert "; after JSONDecodeError at " in line
    assert SECRET not in line


def test_a_record_can_be_an_object_that_names_its_call():
    decision = "dec_01kaf3v2000000000000000000"
    error = failure()
    line = JsonFormatter().format(
        record("two\nlines of %s", decision, exc_info=(type(error), error, None))
    )
    told = json.loads(line)
    assert "\n" not in line
    assert told["message"] == f"two\nlines of {decision}"
    assert (told["level"], told["logger"], told["decision_id"]) == (
        "warning",
        "gatehouse",
        decision,
    )
    assert "ValueError at _runtime/test_logs.py:" in told["fault"]
    assert SECRET not in line


def test_a_long_message_is_cut_and_the_object_stays_whole():
    told = json.loads(JsonFormatter().format(record("x" * 10_000)))
    assert told["message"] == "x" * 700
    assert "decision_id" not in told


def test_a_group_names_what_is_in_it():
    group = ExceptionGroup("several", [ValueError(SECRET), KeyError(SECRET)])
    assert told_safely(group) == "ExceptionGroup(ValueError, KeyError)"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_lines_reach_the_pipe_in_order(pipe: tuple[int, int]):
    handler = PipeHandler(pipe[1])
    for number in range(3):
        handler.emit(record("line %d", number))
    handler.emit(record("wrong %d", "arguments"))
    handler.emit(record("odd \udcff"))
    handler.stop(5.0)
    lines = os.read(pipe[0], 10_000).decode().splitlines()
    assert [line.rpartition(": ")[2] for line in lines[:3]] == ["line 0", "line 1", "line 2"]
    assert lines[3] == "ERROR - a log record of gatehouse cannot be formatted"
    assert lines[4].endswith("odd \\udcff")


def test_nobody_waits_for_a_pipe_that_nobody_reads(pipe: tuple[int, int]):
    handler = PipeHandler(pipe[1])
    for _ in range(20_000):  # far more than pipe and queue hold
        handler.emit(record("x" * 500))
    handler.stop(0.01)
    # let the writing thread end: it takes its end mark once everything before it was read
    os.set_blocking(pipe[0], False)
    while handler._thread.is_alive():
        try:
            os.read(pipe[0], 1 << 20)
        except BlockingIOError:
            handler.stop(0.01)
