"""Metrics of two workers, traces through Kong to providers, and logs: the gateway as a whole.

Starting it takes most of the time, so all of it is watched in one.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_core.trace_context import ids_of
from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import HOST, Gateway, eventually, free_ports, start_gateway
from tests.fixtures.otlp_receiver import Receiver, Span, start_receiver
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis
from tests.fixtures.scraping import labels, value

pytestmark = pytest.mark.e2e
TOKEN = "prometheus-0123456789"
MARK = "zebra-in-the-prompt"
SERVER, CLIENT = 2, 3
"""Kinds of spans, as OTLP numbers them."""

TRACE = "0af7651916cd43dd8448eb211c8031{:02x}"
PARENT = "b7ad6b7169203331"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with start_receiver() as running:
        yield running


@pytest.fixture(scope="module")
def scraped() -> dict[str, int]:
    """Where the plugin servers are scraped."""
    names = ("llm-auth", "llm-token-meter", "llm-provider-transform")
    return dict(zip(names, free_ports(len(names)), strict=True))


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, scraped: dict[str, int]
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "tmp").mkdir()
    with start_postgres() as postgres, start_redis() as redis:
        settings = {
            "POLICY_DATABASE_URL": postgres.create_database(),
            "POLICY_REDIS_URL": redis.url,
            "POLICY_METRICS_TOKEN": TOKEN,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "POLICY_LOG_FORMAT": "json",
            "TMPDIR": str(folder / "tmp"),
        }
        flags = {name: f"--metrics {HOST}:{port}" for name, port in scraped.items()}
        with start_gateway(
            folder,
            company=COMPANY,
            models=models,
            settings=settings,
            serve_options=("--workers", "2"),
            plugin_flags=flags,
        ) as running:
            _warm(running)
            yield running


def _warm(gateway: Gateway) -> None:
    """Both workers have decided before anything is counted: each compiles policy at its first."""
    in_a_row = 0

    def served() -> bool:
        nonlocal in_a_row
        is_good = gateway.post(b'{"model": "gpt-4o-mini", "messages": []}').status_code < 500
        in_a_row = in_a_row + 1 if is_good else 0
        return in_a_row == 8

    eventually(served, timeout_s=60)
    eventually(lambda: value(page(gateway), "gatehouse_reservations_open") == 0, timeout_s=60)


def ask(gateway: Gateway, model: str, number: int | None = None, **more: Any) -> httpx.Response:
    """A marked chat completion; with a number, as part of that trace."""
    body = {"model": model, "messages": [{"role": "user", "content": f"Say {MARK}"}], **more}
    headers = {} if number is None else {"traceparent": f"00-{TRACE.format(number)}-{PARENT}-01"}
    answer = gateway.post(json.dumps(body).encode(), **headers)
    assert answer.status_code == 200, answer.text
    return answer


def page(gateway: Gateway) -> str:
    answer = httpx.get(
        f"{gateway.policy_url}/metrics", headers={"authorization": f"Bearer {TOKEN}"}, timeout=10
    )
    assert answer.status_code == 200
    return answer.text


def test_two_workers_count_as_one(watched: Gateway) -> None:
    """Each scrape is a connection of its own, so that both workers come to answer."""
    before = page(watched)
    calls = 16

    def call(number: int) -> None:
        ask(watched, "gpt-4o-mini", stream=number % 2 == 0)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(calls)))
        refused = list(pool.map(lambda _: watched.post(b'{"model": "no-such"}'), range(8)))
    assert {one.status_code for one in refused} <= {400, 404}

    def more(name: str, now: str, **of: str) -> float:
        return value(now, name, **of) - value(before, name, **of)

    eventually(lambda: more("kong_ai_llm_requests_total", page(watched)) == calls)
    for _ in range(10):
        now = page(watched)
        assert more("kong_ai_llm_requests_total", now) == calls
        assert more("kong_ai_llm_requests_total", now, request_mode="stream") == calls / 2
        chats = {"operation": "chat.completions", "code": "allowed"}
        assert more("gatehouse_decisions_total", now, **chats) == calls
        assert more("gatehouse_settlements_total", now, source="provider") == calls
        assert more("gatehouse_settlements_total", now, transport="direct") == calls / 2
        assert value(now, "gatehouse_reservations_open") == 0
    counted = list(Path(watched.specs["policy"].environment["TMPDIR"]).glob("*/counter_*.db"))
    assert len({file.name for file in counted}) == 2
    assert MARK not in now
    assert not {"sam", "acme"} & {of for _, of in labels(now)}


def test_plugin_servers_tell_what_they_did(watched: Gateway, scraped: dict[str, int]) -> None:
    ask(watched, "gpt-4o-mini")
    for plugin, port in scraped.items():
        answer = httpx.get(f"http://{HOST}:{port}/metrics")
        done = {"plugin": plugin, "phase": "access"}
        assert value(answer.text, "gatehouse_plugin_phase_duration_seconds_count", **done) > 0
        assert MARK not in answer.text
    meter = httpx.get(f"http://{HOST}:{scraped['llm-token-meter']}/").text
    asked = {"question": "decide", "outcome": "answered"}
    assert value(meter, "gatehouse_plugin_policy_request_duration_seconds_count", **asked) > 0


def trace(receiver: Receiver, trace_id: str, calls: int) -> tuple[Span, Span, list[Span]]:
    """A decision, its policy, and its calls to providers; as soon as they have arrived."""

    def arrived() -> list[Span]:
        spans = receiver.of(trace_id)
        return spans if len(spans) >= 2 + calls else []

    spans = eventually(arrived)
    [decide] = [one for one in spans if one.name == "decide"]
    [policy] = [one for one in spans if one.name == "policy"]
    return decide, policy, [one for one in spans if one.kind == CLIENT]


@pytest.mark.parametrize(
    ("number", "model", "more", "transport"),
    [
        (1, "gpt-4o-mini", {}, "direct"),
        (2, "gpt-4o-mini", {"stream": True}, "relay"),
        (3, "claude-sonnet-4-5", {"stream": True, "max_tokens": 20}, "relay"),
    ],
)
def test_a_call_is_one_trace_from_the_client_to_the_provider(
    watched: Gateway,
    receiver: Receiver,
    *,
    number: int,
    model: str,
    more: dict[str, Any],
    transport: str,
) -> None:
    watched.forget_calls()
    answer = ask(watched, model, number, **more)
    decide, policy, [call] = trace(receiver, TRACE.format(number), 1)
    assert (decide.parent, decide.kind) == (PARENT, SERVER)
    assert policy.parent == call.parent == decide.id
    assert decide.resource["service.name"] == "gatehouse"
    decision_id = answer.headers["x-gatehouse-decision-id"]
    assert decide.attributes["gatehouse.decision.id"] == decision_id
    assert decide.attributes["gatehouse.decision.code"] == "allowed"
    told = call.attributes
    row = watched.row(decision_id)
    assert told["gatehouse.transport"] == transport
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == row["provider"]
    assert told["gen_ai.request.model"] == row["routed_model"]
    assert told["gen_ai.response.model"] == row["served_model"]
    assert told["gen_ai.usage.input_tokens"] == row["input_tokens"] > 0
    assert told["gen_ai.usage.output_tokens"] == row["output_tokens"] > 0
    assert told["server.address"] == HOST
    assert call.took_ns > 0
    [reached] = watched.calls()
    span = call.id if transport == "relay" else PARENT
    assert reached["traceparent"] == f"00-{TRACE.format(number)}-{span}-01"


def test_each_deployment_that_is_tried_has_its_span(watched: Gateway, receiver: Receiver) -> None:
    ask(watched, "with-fallback", 10)
    decide, _, calls = trace(receiver, TRACE.format(10), 2)
    assert {one.parent for one in calls} == {decide.id}
    failed, good = sorted(calls, key=lambda one: not one.is_failed)
    assert failed.attributes["error.type"] == "provider_error"
    assert not good.is_failed
    assert good.attributes["gen_ai.provider.name"] == "azure.ai.openai"


def test_without_a_trace_of_the_client_s_the_decision_begins_one(
    watched: Gateway, receiver: Receiver
) -> None:
    answer = ask(watched, "gpt-4o-mini", stream=True)
    trace_id, span_id = ids_of(answer.headers["x-gatehouse-decision-id"])
    decide, policy, [call] = trace(receiver, trace_id, 1)
    assert (decide.id, decide.parent) == (span_id, "")
    assert policy.parent == call.parent == span_id


def test_no_word_of_a_call_is_in_traces_or_logs(watched: Gateway, receiver: Receiver) -> None:
    answer = ask(watched, "gpt-4o-mini", 20, stream=True)
    said = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    words = "".join(
        one["choices"][0]["delta"].get("content") or "" for one in said if one["choices"]
    )
    trace(receiver, TRACE.format(20), 1)
    assert receiver.paths == {"/v1/traces"}
    sent = b"".join(receiver.bodies)
    assert len(words) > 10
    for content in (MARK, words, "Say "):
        assert content.encode() not in sent
    for name in ("sam", watched.keys["team"]):
        assert name.encode() not in sent
    assert MARK not in (watched.logs / "policy.log").read_text("utf-8")


def test_log_lines_are_objects_that_name_their_call(watched: Gateway) -> None:
    answer = ask(watched, "with-fallback", 30)
    decision_id = answer.headers["x-gatehouse-decision-id"]

    def lines() -> list[dict[str, Any]]:
        text = (watched.logs / "policy.log").read_text("utf-8")
        told = [json.loads(line) for line in text.splitlines()]
        return [one for one in told if one.get("decision_id") == decision_id]

    [failed] = eventually(lines)
    assert failed["logger"] == "policy_service.services.reach"
    assert (failed["level"], failed["trace_id"]) == ("info", TRACE.format(30))
