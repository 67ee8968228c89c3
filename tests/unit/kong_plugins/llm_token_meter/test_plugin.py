"""llm-token-meter against a policy service on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import generate_latest

from kong_plugins._runtime import measures, shared_context
from kong_plugins._runtime.shared_context import HandedCaller, HandedDecision
from kong_plugins.llm_token_meter.journal import Journal
from kong_plugins.llm_token_meter.plugin import Plugin
from llm_core.chat.chunk import fold
from llm_core.policy.decision import (
    Decision,
    DecisionRequest,
    Denial,
    ErrorClass,
    Transport,
    UsageReport,
)
from llm_core.policy.journal_standing import read
from llm_core.policy.limits import Priority
from llm_core.policy.request_facts import RequestFacts
from llm_core.tokens.usage import TokenUsage
from tests.fakes.kong import Answered, FakeKong
from tests.fakes.policy_service import SECRET, FakePolicyService
from tests.fakes.samples import AZURE, CALLER, OPENAI, chat_body, chat_call, decision
from tests.fixtures.scraping import value

DIRECT = decision(OPENAI)
RELAY = decision(OPENAI, AZURE)
USED = UsageReport("openai-mini", Transport.DIRECT, 200, usage=TokenUsage(12, output_tokens=3))
RECORD = {"upstream_status": "200", "response": {"status": 200}, "latencies": {"request": 80}}


@pytest.fixture
async def service() -> AsyncIterator[FakePolicyService]:
    async with FakePolicyService(decision=DIRECT).running() as running:
        yield running


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


@asynccontextmanager
async def meter(
    service: FakePolicyService, journal: Journal, **config: Any
) -> AsyncIterator[Plugin]:
    given = {
        "policy_url": service.url,
        "policy_secret": SECRET,
        "timeout_ms": 5000,
        "operation": "chat.completions",
        "journal_path": str(journal.path),
        "journal_retry_s": 0.01,
        **config,
    }
    plugin = Plugin(given)
    try:
        yield plugin
    finally:
        async with asyncio.timeout(10):
            await plugin.close()


async def identified(
    body: bytes = b"", facts: RequestFacts | None = None, **answers: Any
) -> FakeKong:
    before = FakeKong()
    await shared_context.write_caller(before, HandedCaller(CALLER, facts or RequestFacts()))
    return FakeKong({"request.get_raw_body": body or chat_body(), **answers}, before.shared)


def code_of(answered: Answered | None) -> tuple[int, str]:
    assert answered is not None
    return answered.status, answered.body["error"]["code"]


async def handed_in(kong: FakeKong) -> HandedDecision:
    handed = await shared_context.read_decision(kong)
    assert handed is not None
    return handed


# --- access


async def test_an_allowed_call_gets_its_ticket_and_its_decision(
    service: FakePolicyService, journal: Journal
) -> None:
    async with meter(service, journal) as plugin:
        kong = await identified()
        assert await kong.run(plugin.access) is None
    assert kong.arguments("service.request.set_headers") == [{"x-gatehouse-ticket": "gt1.ticket"}]
    handed = await handed_in(kong)
    assert handed.decision == DIRECT
    assert handed.body == chat_body()
    [asked] = service.bodies("/decisions")
    request = msgspec.convert(asked, DecisionRequest)
    assert request.caller == CALLER
    assert request.call == handed.call
    assert request.call.asked_model == "mini"
    assert "hello there" not in str(asked)


async def test_a_request_for_approval_is_handed_on_as_it_came(
    service: FakePolicyService, journal: Journal
) -> None:
    service.decision = replace(DIRECT, transport=Transport.ANSWER, answer={"id": "apr_1"})
    async with meter(service, journal, operation="approvals.request") as plugin:
        kong = await identified(b'{"model": "o1-pro", "reason": "the launch"}')
        answered = await kong.run(plugin.access)
    assert answered is not None
    assert (answered.status, answered.body) == (200, {"id": "apr_1"})
    [asked] = service.bodies("/decisions")
    request = msgspec.convert(asked, DecisionRequest)
    assert request.body == b'{"model": "o1-pro", "reason": "the launch"}'
    assert request.call.asked_model == ""


async def test_a_request_for_approval_is_short(
    service: FakePolicyService, journal: Journal
) -> None:
    async with meter(service, journal, operation="approvals.request") as plugin:
        kong = await identified(b"x" * (16 * 1024 + 1))
        assert code_of(await kong.run(plugin.access)) == (413, "request_too_large")
    assert service.bodies("/decisions") == []


async def test_only_what_the_gateway_itself_takes_is_handed_on(
    service: FakePolicyService, journal: Journal
) -> None:
    async with meter(service, journal) as plugin:
        await (await identified()).run(plugin.access)
    [asked] = service.bodies("/decisions")
    assert not asked["body"]


async def test_what_the_headers_ask_of_the_cache_is_told_to_the_service(
    service: FakePolicyService, journal: Journal
) -> None:
    async with meter(service, journal) as plugin:
        kong = await identified(facts=RequestFacts(reads_cache=False, fills_cache=False))
        await kong.run(plugin.access)
    [asked] = service.bodies("/decisions")
    assert (asked["call"]["reads_cache"], asked["call"]["fills_cache"]) == (False, False)


async def test_what_the_headers_say_of_the_call_is_told_to_the_service(
    service: FakePolicyService, journal: Journal
) -> None:
    said = RequestFacts(priority=Priority.BATCH, use_case="nightly", data_labels=("public",))
    async with meter(service, journal) as plugin:
        kong = await identified(facts=said)
        await kong.run(plugin.access)
    [asked] = service.bodies("/decisions")
    call = asked["call"]
    assert (call["priority"], call["use_case"], call["data_labels"]) == (
        "batch",
        "nightly",
        ["public"],
    )


@pytest.mark.parametrize(
    ("use_case", "is_required", "is_asked"),
    [(None, False, True), (None, True, False), ("search", True, True)],
)
async def test_a_route_can_ask_what_a_call_is_for(
    service: FakePolicyService,
    journal: Journal,
    use_case: str | None,
    is_required: bool,
    is_asked: bool,
) -> None:
    async with meter(service, journal, require_use_case=is_required) as plugin:
        kong = await identified(facts=RequestFacts(use_case=use_case))
        answered = await kong.run(plugin.access)
    assert (answered is None) is is_asked
    if not is_asked:
        assert code_of(answered) == (400, "malformed_request")
    assert bool(service.bodies("/decisions")) is is_asked


@pytest.mark.parametrize("operation", ["models", "me", "me.usage"])
async def test_what_the_gateway_answers_by_itself_takes_no_body_and_no_ticket(
    service: FakePolicyService, journal: Journal, operation: str
) -> None:
    service.decision = Decision(
        "dec_1", "rev-7", transport=Transport.ANSWER, answer={"object": operation}
    )
    async with meter(service, journal, operation=operation, require_use_case=True) as plugin:
        kong = await identified()
        answered = await kong.run(plugin.access)
    assert answered is not None
    assert (answered.status, answered.body) == (200, {"object": operation})
    [asked] = service.bodies("/decisions")
    assert asked["call"]["operation"] == operation
    assert {called for called, _ in kong.calls} == {"ctx.shared.get", "response.exit"}


KEPT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_763_640_000,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hi"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}
HIT = Decision(
    "dec_1",
    "rev-7",
    transport=Transport.ANSWER,
    headers={"x-gatehouse-cache": "hit"},
    answer=KEPT,
)


async def test_a_kept_answer_is_given_as_it_is(
    service: FakePolicyService, journal: Journal
) -> None:
    service.decision = HIT
    async with meter(service, journal) as plugin:
        kong = await identified()
        answered = await kong.run(plugin.access)
        assert await FakeKong(shared=kong.shared).run(plugin.log) is None
    assert answered is not None
    assert answered.body == KEPT
    assert answered.headers == {"x-gatehouse-cache": "hit", "content-type": "application/json"}
    assert service.reports() == {}


@pytest.mark.parametrize("shows_usage", [False, True])
async def test_a_kept_answer_is_streamed_to_whom_asked_for_a_stream(
    service: FakePolicyService, journal: Journal, shows_usage: bool
) -> None:
    service.decision = HIT
    body = chat_body(stream=True, stream_options={"include_usage": shows_usage})
    async with meter(service, journal) as plugin:
        kong = await identified(body)
        answered = await kong.run(plugin.access)
    assert answered is not None
    assert answered.status == 200
    assert answered.headers["content-type"].startswith("text/event-stream")
    *chunks, done = answered.body.strip().split("\n\n")
    assert done == "data: [DONE]"
    folded = fold(msgspec.json.decode(chunk.removeprefix("data: ")) for chunk in chunks)
    assert folded["choices"][0]["message"]["content"] == "hi"
    assert folded["choices"][0]["finish_reason"] == "stop"
    assert folded.get("usage") == (KEPT["usage"] if shows_usage else None)


@pytest.mark.parametrize("made", [DIRECT, RELAY], ids=["direct", "relay"])
async def test_the_ticket_is_set_whatever_the_transport(
    service: FakePolicyService, journal: Journal, made: Decision
) -> None:
    """A client's own ticket is overwritten, and a dead transform plugin leaves a working relay."""
    service.decision = made
    async with meter(service, journal) as plugin:
        kong = await identified()
        await kong.run(plugin.access)
    assert kong.arguments("service.request.set_headers") == [{"x-gatehouse-ticket": "gt1.ticket"}]


async def test_without_a_caller_nothing_is_read_and_nothing_decided(
    service: FakePolicyService, journal: Journal
) -> None:
    async with meter(service, journal) as plugin:
        kong = FakeKong()
        assert code_of(await kong.run(plugin.access)) == (503, "undecided")
    assert kong.methods == ["ctx.shared.get"]
    assert service.asked == []


async def test_a_caller_that_cannot_be_read_is_no_caller(
    service: FakePolicyService, journal: Journal
) -> None:
    async with meter(service, journal) as plugin:
        kong = FakeKong(shared={"gatehouse_caller": '{"team": 5}'})
        with pytest.raises(msgspec.MsgspecError):  # the runtime answers 500 for it
            await kong.run(plugin.access)
    assert service.asked == []


async def test_a_denial_is_answered_as_the_service_words_it(
    service: FakePolicyService, journal: Journal
) -> None:
    said = {"error": {"message": "no", "type": "permission_error", "code": "policy_denied"}}
    headers = {"x-gatehouse-decision-id": "dec_1", "retry-after": "3"}
    service.decision = Decision("dec_1", "rev-7", denial=Denial(403, said, headers))
    async with meter(service, journal) as plugin:
        kong = await identified()
        answered = await kong.run(plugin.access)
    assert answered == Answered(403, said, {**headers, "content-type": "application/json"})
    # Neither a ticket nor a decision is left behind.
    assert kong.methods == ["ctx.shared.get", "request.get_raw_body", "response.exit"]


async def test_an_answer_ends_the_request_without_a_provider(
    service: FakePolicyService, journal: Journal
) -> None:
    listing = {"object": "list", "data": []}
    service.decision = Decision(
        "dec_1", "rev-7", transport=Transport.ANSWER, answer=listing, headers={"x-a": "b"}
    )
    async with meter(service, journal, operation="models") as plugin:
        kong = await identified()
        answered = await kong.run(plugin.access)
    assert answered == Answered(200, listing, {"x-a": "b", "content-type": "application/json"})
    assert kong.methods == ["ctx.shared.get", "response.exit"]


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v1/chat/completions", "chat.completions"),
        ("GET", "/v1/models", "models"),
    ],
)
async def test_auto_asks_kong_for_the_path(
    service: FakePolicyService, journal: Journal, method: str, path: str, operation: str
) -> None:
    answers = {"request.get_method": method, "request.get_path": path}
    async with meter(service, journal, operation="auto") as plugin:
        kong = await identified(**answers)
        await kong.run(plugin.access)
    assert service.bodies("/decisions")[0]["call"]["operation"] == operation


async def test_auto_refuses_what_is_not_served(
    service: FakePolicyService, journal: Journal
) -> None:
    answers = {"request.get_method": "POST", "request.get_path": "/v1/audio/speech"}
    async with meter(service, journal, operation="auto") as plugin:
        kong = await identified(**answers)
        assert code_of(await kong.run(plugin.access)) == (400, "malformed_request")
    assert service.asked == []


async def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(
    service: FakePolicyService, journal: Journal
) -> None:
    body = chat_body()
    async with meter(service, journal, max_body_bytes=len(body)) as plugin:
        kong = await identified(body)
        assert await kong.run(plugin.access) is None
        assert kong.arguments("request.get_raw_body") == [2 * len(body)]
        longer = await identified(body + b" ")
        assert code_of(await longer.run(plugin.access)) == (413, "request_too_large")
    assert len(service.bodies("/decisions")) == 1


@pytest.mark.parametrize("words", [1, 60_000], ids=["short", "counted beside the loop"])
async def test_a_long_body_is_decided_as_well_but_not_carried_along(
    service: FakePolicyService, journal: Journal, words: int
) -> None:
    body = chat_body(messages=[{"role": "user", "content": "word " * words}])
    async with meter(service, journal) as plugin:
        kong = await identified(body)
        assert await kong.run(plugin.access) is None
    handed = await handed_in(kong)
    assert (handed.body is None) == (len(body) > shared_context.MAX_HANDED_BODY_BYTES)
    assert handed.call.prompt_tokens >= words


async def test_a_malformed_body_is_refused_without_a_decision(
    service: FakePolicyService, journal: Journal
) -> None:
    async with meter(service, journal) as plugin:
        kong = await identified(b"{")
        assert code_of(await kong.run(plugin.access)) == (400, "malformed_request")
    assert service.asked == []


async def test_no_decision_means_no(service: FakePolicyService, journal: Journal) -> None:
    service.is_down = True
    async with meter(service, journal) as plugin:
        kong = await identified()
        assert code_of(await kong.run(plugin.access)) == (503, "policy_unavailable")
    assert "service.request.set_headers" not in kong.methods
    assert "ctx.shared.set" not in kong.methods


async def test_a_decision_whose_answer_never_came_is_taken_back(
    service: FakePolicyService, journal: Journal
) -> None:
    """Else a slow policy service would charge teams for calls that were refused."""
    service.is_down = True
    async with meter(service, journal) as plugin:
        kong = await identified()
        await kong.run(plugin.access)
        service.is_down = False
        [asked] = service.bodies("/v1/decisions")
        [report] = await service.reported(asked["decision_id"])
    assert report["error_class"] == "unreachable"
    assert report["usage"] is None


@pytest.mark.parametrize("broken", ["service.request.set_headers", "ctx.shared.set"])
async def test_what_was_reserved_is_given_back_when_kong_does_not_take_the_decision(
    service: FakePolicyService, journal: Journal, broken: str
) -> None:
    async with meter(service, journal) as plugin:
        kong = await identified(**{broken: asyncio.CancelledError()})
        with pytest.raises(asyncio.CancelledError):
            await kong.run(plugin.access)
        [report] = await service.reported("dec_1")
    assert report["error_class"] == "unreachable"
    assert report["usage"] is None


# --- log


async def reported(plugin: Plugin, made: Decision, **of_log: Any) -> FakeKong:
    """Run the log phase of a decided call."""
    kong = await identified(**{"log.serialize": of_log.get("record", RECORD)})
    await shared_context.write_decision(kong, HandedDecision(made, chat_call(chat_body())))
    if of_log.get("usage"):
        await shared_context.write_usage(kong, of_log["usage"])
    await kong.run(plugin.log)
    return kong


async def test_a_direct_calls_usage_is_reported(
    service: FakePolicyService, journal: Journal
) -> None:
    async with meter(service, journal) as plugin:
        await reported(plugin, DIRECT, usage=USED)
        [report] = await service.reported("dec_1")
    assert msgspec.convert(report, UsageReport) == replace(USED, total_ms=80.0)
    assert not journal.path.exists()
    assert service.journals == [None]


async def test_what_the_relay_served_is_not_reported_twice(
    service: FakePolicyService, journal: Journal
) -> None:
    async with meter(service, journal) as plugin:
        await reported(plugin, RELAY)
    assert service.asked == []


async def test_a_call_that_was_not_decided_is_nothing_to_report(
    service: FakePolicyService, journal: Journal
) -> None:
    async with meter(service, journal) as plugin:
        kong = FakeKong()
        await kong.run(plugin.log)
    assert kong.methods == ["ctx.shared.get"]
    assert service.asked == []


async def test_a_provider_that_was_not_reached_is_reported_too(
    service: FakePolicyService, journal: Journal
) -> None:
    record = {"upstream_status": None, "response": {"status": 502}}
    async with meter(service, journal) as plugin:
        await reported(plugin, DIRECT, record=record)
        [report] = await service.reported("dec_1")
    assert report["error_class"] == ErrorClass.UNREACHABLE
    assert report["http_status"] == 502


async def test_a_service_that_has_forgotten_gets_the_reservation_along(
    service: FakePolicyService, journal: Journal
) -> None:
    service.known = set()
    async with meter(service, journal) as plugin:
        await reported(plugin, DIRECT, usage=USED)
        first, second = await service.reported("dec_1", 2)
    assert first["reservation"] is None
    assert second["reservation"]["decision_id"] == "dec_1"
    assert {**second, "reservation": None} == first


async def test_a_report_waits_on_disk_while_the_service_is_down_and_arrives_afterwards(
    service: FakePolicyService, journal: Journal
) -> None:
    service.is_down = True
    async with meter(service, journal) as plugin:
        await reported(plugin, DIRECT, usage=USED)
        await service.reported("dec_1", 2)  # the first try, and one from the journal
        assert [waiting.decision_id for waiting in journal.waiting()] == ["dec_1"]
        service.is_down = False
        tries = len(service.reports()["dec_1"])
        await service.reported("dec_1", tries + 1)
        async with asyncio.timeout(10):
            while journal.waiting():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.01)
    delivered = msgspec.convert(service.reports()["dec_1"][-1], UsageReport)
    assert replace(delivered, reservation=None) == replace(USED, total_ms=80.0)


async def test_reports_say_how_the_journal_stands_while_something_waits_and_when_nothing_does(
    service: FakePolicyService, journal: Journal
) -> None:
    service.is_down = True
    async with meter(service, journal) as plugin:
        await reported(plugin, DIRECT, usage=USED)
        await service.reported("dec_1", 2)
        service.is_down = False
        async with asyncio.timeout(10):
            while not (service.journals[-1] or "").endswith("full=0"):
                service.came.clear()
                await service.came.wait()
            while _waiting(service.journals[-1]) != 0:
                service.came.clear()
                await service.came.wait()
    told = [_waiting(one) for one in service.journals]
    assert told[0] is None
    assert set(told[1:-1]) == {1}
    assert str(journal.path) in (service.journals[-1] or "")


def _waiting(told: str | None) -> int | None:
    if told is None:
        return None
    standing = read(told)
    assert standing is not None
    return standing.waiting


async def test_a_report_that_could_neither_be_sent_nor_kept_is_told_and_counted(
    service: FakePolicyService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").write_text("no folder")
    service.fails_for = {"dec_1"}
    measures.begin("llm-token-meter")
    try:
        async with meter(service, Journal(tmp_path / "folder" / "journal")) as plugin:
            await reported(plugin, DIRECT, usage=USED)
            async with asyncio.timeout(10):
                while "usage could not be kept" not in caplog.text:  # noqa: ASYNC110 - a log
                    await asyncio.sleep(0.01)
            await reported(plugin, replace(DIRECT, decision_id="dec_2"), usage=USED)
            await service.reported("dec_2")
        assert measures._Holder.current is not None
        page = generate_latest(measures._Holder.current.registry).decode()
    finally:
        measures._Holder.current = None
    who = {"plugin": "llm-token-meter"}
    assert value(page, "gatehouse_plugin_lost_reports_total", **who) == 1
    assert (service.journals[-1] or "").endswith("; waiting=0; oldest_s=0; full=1")


async def test_what_waits_from_before_a_restart_is_delivered(
    service: FakePolicyService, journal: Journal
) -> None:
    service.fails_for = {"dec_1"}
    async with meter(service, journal, journal_retry_s=3600) as plugin:
        await reported(plugin, DIRECT, usage=USED)
    assert journal.waiting()
    service.fails_for = set()
    async with meter(service, journal):
        await service.reported("dec_1", 2)


@pytest.mark.parametrize("count", [0, 1, 8])
async def test_closing_stops_the_journal_and_lets_deliveries_finish(
    service: FakePolicyService, journal: Journal, count: int
) -> None:
    """Once it took any one of its tasks for the journal's, and waited for ever for the others."""
    plugin = Plugin(
        {
            "policy_url": service.url,
            "policy_secret": SECRET,
            "journal_path": str(journal.path),
            "timeout_ms": 5000,
        }
    )
    for number in range(count):
        await reported(plugin, replace(DIRECT, decision_id=f"dec_{number}"), usage=USED)
    async with asyncio.timeout(10):
        await plugin.close()
    assert len(service.reports()) == count
