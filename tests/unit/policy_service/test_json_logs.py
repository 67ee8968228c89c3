import json
import logging
import logging.config
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from llm_core.trace_context import ids_of, parts
from policy_service import call_context
from policy_service.json_logs import LOG_CONFIG, JsonFormatter

DECISION = "dec_01kaf3v2000000000000000000"
OTHER = "dec_01kaf3v2000000000000000001"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def outside_of_any_call() -> Iterator[None]:
    tokens = call_context.decision_id.set(None), call_context.traceparent.set(None)
    yield
    call_context.decision_id.reset(tokens[0])
    call_context.traceparent.reset(tokens[1])


def told(message: str, *arguments: object, **fields: Any) -> dict[str, Any]:
    record = logging.LogRecord("a.b", logging.WARNING, __file__, 1, message, arguments, None)
    record.__dict__.update(fields)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_a_line_is_an_object_whatever_is_in_it() -> None:
    one = told('two\nlines, "quotes" and %s', "ünïcode")
    assert one["message"] == 'two\nlines, "quotes" and ünïcode'
    assert (one["level"], one["logger"]) == ("warning", "a.b")
    assert "decision_id" not in one
    assert "trace_id" not in one


def test_the_call_that_a_line_is_about_is_named() -> None:
    one = told("%s: it failed", DECISION)
    assert one["decision_id"] == DECISION
    assert one["trace_id"] == ids_of(DECISION)[0]


def test_so_is_the_call_that_is_being_worked_on_with_its_client_s_trace() -> None:
    call_context.decision_id.set(DECISION)
    call_context.traceparent.set(f"00-{TRACE}-b7ad6b7169203331-01")
    assert told("something happened")["decision_id"] == DECISION
    assert told("something happened")["trace_id"] == TRACE
    assert told("%s: it failed", OTHER)["trace_id"] == ids_of(OTHER)[0]


def test_of_an_exception_only_type_and_places_are_told() -> None:
    try:
        int("words of a caller")
    except ValueError:
        one = told("it stumbled", exc_info=sys.exc_info())
    assert one["fault"]["type"] == "ValueError"
    assert __file__ in one["fault"]["places"][0]
    assert "words" not in json.dumps(one)


def test_the_configuration_is_one_that_logging_takes() -> None:
    assert logging.config.DictConfigurator(LOG_CONFIG).config["root"]["level"] == "INFO"
    formatter = LOG_CONFIG["formatters"]["json"]["()"]
    assert formatter == f"{JsonFormatter.__module__}.{JsonFormatter.__qualname__}"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        f"00-{TRACE}-b7ad6b7169203331",
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-b7ad6b7169203331-01-more",
    ],
)
def test_what_is_no_traceparent_says_nothing(header: str) -> None:
    assert parts(header) is None
    call_context.traceparent.set(header)
    call_context.decision_id.set(DECISION)
    assert call_context.trace_id() == ids_of(DECISION)[0]
