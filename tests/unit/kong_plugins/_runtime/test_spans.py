"""Spans of phases: whose children they are, what they say, and that there are none unless asked."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from kong_plugins._runtime import flags, spans
from kong_plugins._runtime.events import PhaseEnded
from kong_plugins._runtime.otel import LateExporter, open_tracer
from llm_core.errors import InvalidKey, PolicyUnavailable
from llm_core.trace_context import ids_of, parts
from tests.fixtures.otlp_receiver import start_receiver
from tests.fixtures.plugin_spans import KeptSpans, facts_of, id_of, parent_of, trace_of

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_SAMPLED = f"{CLIENT[:-2]}00"
DECISION = "dec_01kaf3v2000000000000000000"


@pytest.fixture
def kept() -> KeptSpans:
    return KeptSpans()


def is_sampled(traceparent: str | None) -> bool:
    found = parts(traceparent)
    assert found is not None
    return bool(int(found[2], 16) & 1)


def test_where_nobody_traces_nothing_is_made_and_what_came_is_handed_on() -> None:
    with spans.phase("access"), spans.work("report"):
        assert spans.enter(CLIENT) == spans.Trace(CLIENT)
        assert spans.follow(CLIENT, DECISION) == CLIENT
        assert spans.own(CLIENT) == CLIENT
        assert not spans.are_made()
        spans.note({"a": 1})
        spans.refused("policy_denied", 403)
        spans.failed("timeout")
    assert spans.follow(None, DECISION) is None


def test_where_nobody_traces_no_library_for_it_is_loaded() -> None:
    modules = ", ".join(
        f"kong_plugins.{one}.plugin"
        for one in ("llm_auth", "llm_token_meter", "llm_provider_transform")
    )
    told = subprocess.run(
        [
            *(sys.executable, "-c"),
            f"import sys, kong_plugins._runtime.main, {modules}\n"
            "print([m for m in sys.modules if m.split('.')[0] in ('opentelemetry', 'requests')])",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert told.strip() == "[]"


def test_a_phase_is_a_child_of_what_the_client_sent(kept: KeptSpans) -> None:
    before_ns = time.time_ns()
    with kept.of("llm-auth"), spans.phase("access"):
        assert spans.enter(CLIENT) == spans.Trace(CLIENT)
        spans.note({"gatehouse.operation": "embeddings", "gatehouse.region": ""})
        own = spans.own(None)
    [span] = kept.all
    assert (span.name, span.kind) == ("llm-auth access", SpanKind.INTERNAL)
    assert (trace_of(span), parent_of(span)) == (CLIENT[3:35], CLIENT[36:52])
    assert own == f"00-{trace_of(span)}-{id_of(span)}-01"
    assert facts_of(span) == {"gatehouse.plugin": "llm-auth", "gatehouse.operation": "embeddings"}
    assert before_ns <= (span.start_time or 0) <= (span.end_time or 0)


@pytest.mark.parametrize("came", [None, "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01"])
def test_without_a_trace_the_first_plugin_begins_the_one_that_the_decision_s_id_gives(
    kept: KeptSpans, came: str | None
) -> None:
    """So the relay, and whoever books the call, are in it without being told."""
    with kept.of("llm-auth"), spans.phase("access"):
        trace = spans.enter(came)
    assert trace.decision_id is not None
    with kept.of("llm-token-meter"), spans.phase("access"):
        assert spans.follow(trace.parent, trace.decision_id) == trace.parent
    first, second = kept.all
    assert trace_of(first) == trace_of(second) == ids_of(trace.decision_id)[0]
    assert (parent_of(first), parent_of(second)) == ("", id_of(first))


def test_where_the_first_plugin_is_not_traced_the_next_one_begins_the_trace(
    kept: KeptSpans,
) -> None:
    with kept.of("llm-token-meter"), spans.phase("access"):
        trace = spans.follow(None, DECISION)
    with kept.of("llm-provider-transform"), spans.phase("access"):
        spans.follow(trace, DECISION)
    first, second = kept.all
    assert trace_of(first) == trace_of(second) == ids_of(DECISION)[0]
    assert (parent_of(first), parent_of(second)) == ("", id_of(first))


@pytest.mark.parametrize(
    ("raised", "said", "is_failed"),
    [
        (
            lambda: InvalidKey("words of a caller"),
            {"gatehouse.refusal": "invalid_api_key", "http.response.status_code": 401},
            False,
        ),
        (
            lambda: PolicyUnavailable("words of a caller"),
            {
                "gatehouse.refusal": "policy_unavailable",
                "http.response.status_code": 503,
                "error.type": "policy_unavailable",
            },
            True,
        ),
        (lambda: ValueError("words of a caller"), {"error.type": "ValueError"}, True),
        (asyncio.CancelledError, {"error.type": "CancelledError"}, True),
        (PhaseEnded, {}, False),
    ],
)
def test_what_a_phase_raises_is_told_by_a_word_and_goes_on(
    kept: KeptSpans,
    raised: Callable[[], BaseException],
    said: dict[str, object],
    *,
    is_failed: bool,
) -> None:
    fault = raised()
    with kept.of("llm-auth"), pytest.raises(type(fault)), spans.phase("access"):
        raise fault
    [span] = kept.all
    assert facts_of(span) == {"gatehouse.plugin": "llm-auth", **said}
    assert (span.status.status_code is StatusCode.ERROR) == is_failed
    assert "words" not in str(span.to_json())
    assert not span.events


def test_a_phase_that_came_to_no_trace_has_its_span_by_itself(kept: KeptSpans) -> None:
    for _ in range(2):
        with kept.of("llm-token-meter"), spans.phase("access"):
            pass
    first, second = kept.all
    assert parent_of(first) == parent_of(second) == ""
    assert trace_of(first) != trace_of(second)


def test_of_the_log_phase_only_what_it_spawns_is_told(kept: KeptSpans) -> None:
    with kept.of("llm-token-meter"), spans.phase("log"):
        assert not spans.are_made()
        with spans.work("report"):
            spans.follow(CLIENT, DECISION)
    assert kept.names == ["llm-token-meter report"]


async def test_phases_that_run_at_once_do_not_meet(kept: KeptSpans) -> None:
    met = asyncio.Barrier(20)

    async def run(number: int) -> None:
        with spans.phase("access"):
            spans.follow(f"00-{number:032x}-{number:016x}-01", DECISION)
            await met.wait()
            spans.note({"gatehouse.number": number})

    with kept.of("llm-token-meter"):
        await asyncio.gather(*(run(number) for number in range(1, 21)))
    assert len(kept.all) == 20
    for span in kept.all:
        number = facts_of(span)["gatehouse.number"]
        assert (span.context.trace_id, span.parent and span.parent.span_id) == (number, number)


def test_who_does_not_want_to_be_traced_is_not_and_the_service_hears_it(kept: KeptSpans) -> None:
    with kept.of("llm-auth"), spans.phase("access"):
        spans.enter(NOT_SAMPLED)
        own = spans.own(None)
    assert kept.all == []
    assert own is not None
    assert (own[:36], own[-2:]) == (NOT_SAMPLED[:36], "00")


def test_a_sampler_s_no_holds_for_all_that_follow() -> None:
    kept = KeptSpans(ParentBased(ALWAYS_OFF))
    with kept.of("llm-auth"), spans.phase("access"):
        trace = spans.enter(None)
    assert not is_sampled(trace.parent)
    later = KeptSpans()
    with later.of("llm-token-meter"), spans.phase("access"):
        spans.follow(trace.parent, trace.decision_id or "")
        assert not is_sampled(spans.own(None))
    assert later.all == []


def test_a_library_that_is_switched_off_makes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with KeptSpans().of("llm-auth"), spans.phase("access"):
        assert spans.enter(CLIENT).parent == CLIENT
        assert spans.own(CLIENT) == CLIENT


def test_spans_arrive_at_the_collector_in_the_plugins_name() -> None:
    with start_receiver() as receiver:
        tracer = open_tracer("llm-auth", f"{receiver.url}/")
        spans.begin(tracer)
        try:
            with spans.phase("access"):
                spans.enter(CLIENT)
        finally:
            spans.begin(None)
            tracer.close(20.0)
        [span] = receiver.spans
    assert receiver.paths == {"/v1/traces"}
    assert (span.name, span.parent) == ("llm-auth access", CLIENT[36:52])
    assert span.resource["service.name"] == "gatehouse-plugins"
    assert span.resource["service.version"]


def test_an_exporter_that_has_sent_nothing_ends_without_being_loaded() -> None:
    exporter = LateExporter("http://127.0.0.1:9/v1/traces")
    assert exporter.force_flush()
    exporter.shutdown()
    assert exporter._exporter is None


# --- the command line


def test_the_collector_is_read_from_the_command_line_or_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    prefix = ("-p", str(tmp_path))
    monkeypatch.delenv(flags.TRACES_VARIABLE, raising=False)
    assert flags.parse("llm-auth", prefix).traces_to is None
    monkeypatch.setenv(flags.TRACES_VARIABLE, "")
    assert flags.parse("llm-auth", prefix).traces_to is None
    monkeypatch.setenv(flags.TRACES_VARIABLE, "http://collector:4318")
    assert flags.parse("llm-auth", prefix).traces_to == "http://collector:4318"
    given = flags.parse("llm-auth", [*prefix, "--traces", "https://u:s3cret@other"])
    assert given.traces_to == "https://u:s3cret@other"
    assert "s3cret" not in repr(given)


def test_a_description_does_not_look_at_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(flags.TRACES_VARIABLE, "nonsense")
    assert flags.parse("llm-auth", ["--dump"]).traces_to is None


@pytest.mark.parametrize(
    "wrong", ["collector:4318", "grpc://collector:4317", "http://", "http://c:x"]
)
def test_what_is_no_collector_ends_the_start(
    wrong: str, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        flags.parse("llm-auth", ["-p", str(tmp_path), "--traces", wrong])
    assert "must be a URL such as http://127.0.0.1:4318" in capsys.readouterr().err
