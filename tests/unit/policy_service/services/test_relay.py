"""The relay, with real limits in memory and providers that answer what the test lays ready.

Whatever happens, a call is booked exactly once, and what a provider took or gave is charged.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from llm_core.catalogue import Deployment
from llm_core.errors import (
    GatewayError,
    MalformedRequest,
    PolicyUnavailable,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    Undecided,
)
from llm_core.policy.allowance import worst_case
from llm_core.policy.decision import Obligations, PricedDeployment, Reservation
from llm_core.policy.limits import Limit, LimitState
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.ports.ledger import UsageRow
from policy_service.services.reach import Reach
from policy_service.services.relay import Relay, StreamedAnswer, WholeAnswer
from policy_service.services.reserving import Reserving
from policy_service.services.settle import Settler
from policy_service.services.tickets import Tickets
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.credentials import FakeCredentials
from tests.fakes.health import FakeHealth
from tests.fakes.ledger import FakeLedger
from tests.fakes.providers import FakeAnswer, FakeProviders
from tests.fakes.samples import (
    AZURE,
    CALLER,
    CLAUDE,
    OPENAI,
    PRICE,
    SECRETS,
    anthropic_answer,
    chat_body,
    chat_call,
    openai_answer,
    openai_events,
)

TICKETS = Tickets("ticket-secret-0123456789")
BUSY = FakeAnswer([b'{"error": {"message": "busy"}}'], status=503)


class Limits(MemoryLimitsStore):
    """Says no while it is away, and notes which leases were renewed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.renewed: list[str] = []
        self.was_asked_to_renew = asyncio.Event()

    async def states(self, limits: Sequence[Limit], now: datetime) -> tuple[LimitState, ...]:
        if self.is_away:
            raise PolicyUnavailable("away")
        return await super().states(limits, now)

    async def extend(self, decision_id: str, expires_at: datetime) -> None:
        self.was_asked_to_renew.set()
        if self.is_away:
            raise PolicyUnavailable("away")
        self.renewed.append(decision_id)
        await super().extend(decision_id, expires_at)


@dataclass
class Service:
    """A relay and what stands around it."""

    providers: FakeProviders
    limits: Limits = field(default_factory=Limits)
    clock: FakeClock = field(default_factory=FakeClock)
    lease_s: float = 300.0
    secrets: Mapping[str, str] = field(default_factory=lambda: SECRETS)
    health: FakeHealth = field(default_factory=FakeHealth)

    def __post_init__(self) -> None:
        self.relay = Relay(
            limits=self.limits,
            reach=Reach(
                self.providers, FakeCredentials(self.secrets), self.health, self.clock, 60.0
            ),
            settler=Settler(self.limits, Reserving(self.limits, FakeLedger()), self.clock),
            tickets=TICKETS,
            clock=self.clock,
            count=lambda text: len(text.split()),
            lease_s=self.lease_s,
        )

    async def decide(self, body: bytes, *deployments: Deployment, **fields: Any) -> str:
        """Reserve as a decision does; give the ticket."""
        call = chat_call(body)
        priced = tuple(PricedDeployment(one, PRICE) for one in deployments)
        obligations = fields.get("obligations", Obligations())
        amounts = worst_case(call, priced, obligations)
        reservation = Reservation(
            decision_id="dec_1",
            caller=CALLER,
            call=call,
            operation=call.operation,
            deployments=priced,
            obligations=obligations,
            prompt_tokens=call.prompt_tokens,
            max_output_tokens=100,
            usd=amounts.usd,
            decided_at=NOON,
            expires_at=NOON + timedelta(seconds=self.lease_s),
            policy_revision="rev-7",
        )
        await self.limits.reserve(reservation, amounts, NOON)
        return TICKETS.issue("dec_1", NOON + timedelta(seconds=30))

    async def row(self) -> UsageRow:
        """What was booked; exactly one row."""
        await self.relay.drain()
        [queued] = await self.limits.take_rows(100, 0)
        assert await self.limits.overdue(NOON + timedelta(days=9), 1) == ()
        return msgspec.json.decode(queued.row, type=UsageRow)


def service(**answers: Any) -> Service:
    """By provider: `openai=FakeAnswer(...)`."""
    return Service(FakeProviders({f"{name}.test": answer for name, answer in answers.items()}))


async def whole(made: Service, *deployments: Deployment, **fields: Any) -> WholeAnswer:
    body = chat_body(**fields)
    answer = await made.relay.serve(await made.decide(body, *deployments), body)
    assert isinstance(answer, WholeAnswer)
    return answer


async def streamed(made: Service, *deployments: Deployment, **fields: Any) -> StreamedAnswer:
    body = chat_body(stream=True, **fields)
    answer = await made.relay.serve(await made.decide(body, *deployments), body)
    assert isinstance(answer, StreamedAnswer)
    return answer


async def collected(events: AsyncIterator[bytes]) -> list[Any]:
    """The data of every event; `DONE` stands for the last."""
    raw = b"".join([event async for event in events])
    datas = [part.removeprefix(b"data: ") for part in raw.split(b"\n\n") if part]
    return ["DONE" if data == b"[DONE]" else json.loads(data) for data in datas]


def text_of(chunks: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        if isinstance(chunk, dict)
        for choice in chunk.get("choices", ())
    )


# --- whole answers


async def test_a_whole_answer_is_translated_priced_and_booked() -> None:
    made = service(anthropic=FakeAnswer([anthropic_answer()]))
    answer = await whole(made, CLAUDE, model="sonnet")
    body = json.loads(answer.body)
    assert body["choices"][0]["message"]["content"] == "hi"
    assert body["created"] == int(NOON.timestamp())
    assert answer.headers["x-gatehouse-cost-usd"] == "0.000018"
    assert answer.headers["x-gatehouse-fallbacks"] == "0"
    row = await made.row()
    assert (row.usd, row.source, row.transport) == (Decimal("0.000018"), "provider", "relay")
    assert (row.deployment_id, row.http_status) == ("anthropic-sonnet", 200)
    assert row.response_bytes == len(answer.body)
    [sent] = made.providers.sent
    assert sent.credential == {"x-api-key": "sk-ant"}


async def test_an_answer_without_usage_is_counted() -> None:
    made = service(openai=FakeAnswer([openai_answer("one two three four", usage=None)]))
    await whole(made, OPENAI)
    row = await made.row()
    assert (row.source, row.input_tokens, row.output_tokens) == ("counted", 10, 4)


async def test_the_provider_is_told_the_longest_answer_that_was_reserved() -> None:
    made = service(openai=FakeAnswer([openai_answer()]))
    body = chat_body(max_tokens=5000)
    ticket = await made.decide(body, OPENAI, obligations=Obligations(max_output_tokens=30))
    await made.relay.serve(ticket, body)
    sent = json.loads(made.providers.sent[0].request.body)
    assert sent["max_completion_tokens"] == 30


# --- tickets


@pytest.mark.parametrize("ticket", [None, "", "-", "gt1.dec_1.99999999999999.00"])
async def test_without_a_genuine_ticket_nothing_is_sent(ticket: str | None) -> None:
    made = service(openai=FakeAnswer([openai_answer()]))
    await made.decide(chat_body(), OPENAI)
    with pytest.raises(Undecided):
        await made.relay.serve(ticket, chat_body())
    assert made.providers.sent == []
    assert await made.limits.redeem("dec_1", NOON)


async def test_a_ticket_is_good_for_one_call() -> None:
    made = service(openai=FakeAnswer([openai_answer()]))
    ticket = await made.decide(chat_body(), OPENAI)
    await made.relay.serve(ticket, chat_body())
    with pytest.raises(Undecided, match="has been used"):
        await made.relay.serve(ticket, chat_body())
    assert len(made.providers.sent) == 1
    await made.row()


async def test_of_two_calls_at_once_with_one_ticket_one_is_served() -> None:
    made = service(openai=FakeAnswer([openai_answer()]))
    ticket = await made.decide(chat_body(), OPENAI)
    outcomes = await asyncio.gather(
        *(made.relay.serve(ticket, chat_body()) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(one, WholeAnswer) for one in outcomes) == 1
    assert sum(isinstance(one, Undecided) for one in outcomes) == 4
    assert len(made.providers.sent) == 1


async def test_an_expired_ticket_is_refused() -> None:
    made = service(openai=FakeAnswer([openai_answer()]))
    ticket = await made.decide(chat_body(), OPENAI)
    made.clock.advance(31)
    with pytest.raises(Undecided, match="expired"):
        await made.relay.serve(ticket, chat_body())
    assert made.providers.sent == []


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (chat_body(model="sonnet"), Undecided),
        (chat_body(max_tokens=9999), Undecided),
        (chat_body(messages=[{"role": "user", "content": "something else"}]), Undecided),
        (b"{}", MalformedRequest),
        (b"", MalformedRequest),
    ],
)
async def test_another_body_than_the_one_decided_on_is_not_sent_and_costs_nothing(
    other: bytes, error: type[GatewayError]
) -> None:
    made = service(openai=FakeAnswer([openai_answer()]))
    ticket = await made.decide(chat_body(), OPENAI)
    with pytest.raises(error):
        await made.relay.serve(ticket, other)
    assert made.providers.sent == []
    assert (await made.row()).usd == 0


async def test_the_same_body_in_another_order_of_members_is_the_same() -> None:
    made = service(openai=FakeAnswer([openai_answer()]))
    body = chat_body(temperature=0)
    turned = json.dumps(dict(reversed(json.loads(body).items()))).encode()
    assert await made.relay.serve(await made.decide(body, OPENAI), turned)


# --- failover


@pytest.mark.parametrize(
    "first",
    [
        ProviderUnavailable("refused"),
        ProviderTimeout("late"),
        FakeAnswer([b"{}"], status=429),
        FakeAnswer([b"{}"], status=500),
        FakeAnswer([b"{}"], status=503),
        FakeAnswer([b"{}"], status=529),
        FakeAnswer([b"{}"], status=401),
        FakeAnswer([b""], status=307),
    ],
    ids=lambda first: str(getattr(first, "status", "")),
)
async def test_the_next_permitted_deployment_is_tried_in_the_decisions_order(first: Any) -> None:
    made = service(azure=first, openai=FakeAnswer([openai_answer()]))
    answer = await whole(made, AZURE, OPENAI, model="both")
    assert made.providers.hosts == ["azure.test", "openai.test"]
    assert answer.headers["x-gatehouse-fallbacks"] == "1"
    assert answer.headers["x-gatehouse-provider"] == "openai"
    row = await made.row()
    assert (row.deployment_id, row.fallbacks) == ("openai-mini", 1)
    if isinstance(first, FakeAnswer):
        assert first.is_closed


async def test_a_deployment_that_was_not_permitted_is_never_tried() -> None:
    made = service(azure=ProviderUnavailable("no"), openai=FakeAnswer([openai_answer()]))
    with pytest.raises(ProviderUnavailable):
        await whole(made, AZURE, model="both")
    assert made.providers.hosts == ["azure.test"]
    row = await made.row()
    assert (row.usd, row.error_class, row.http_status) == (0, "unreachable", 502)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_the_caller_must_mend_is_not_tried_elsewhere(status: int) -> None:
    wrong = FakeAnswer([b'{"error": {"message": "no such field"}}'], status=status)
    made = service(azure=wrong, openai=FakeAnswer([openai_answer()]))
    with pytest.raises(ProviderError, match="no such field") as raised:
        await whole(made, AZURE, OPENAI, model="both")
    assert raised.value.http_status == status
    assert made.providers.hosts == ["azure.test"]
    row = await made.row()
    assert (row.usd, row.error_class) == (0, "caller")


async def test_when_none_answers_the_last_failure_is_told() -> None:
    made = service(azure=BUSY, openai=FakeAnswer([b"{}"], status=429, headers={"retry-after": "9"}))
    with pytest.raises(ProviderError) as raised:
        await whole(made, AZURE, OPENAI, model="both")
    assert raised.value.http_status == 429
    assert raised.value.headers == {"retry-after": "9"}
    row = await made.row()
    assert (row.usd, row.error_class, row.fallbacks) == (0, "rate_limited", 1)


@pytest.mark.parametrize("secrets", [{}, {"openai": "", "azure_openai": "k"}])
async def test_without_a_credential_nothing_is_sent_there(secrets: dict[str, str]) -> None:
    made = Service(FakeProviders({"azure.test": FakeAnswer([openai_answer()])}), secrets=secrets)
    if not secrets:
        with pytest.raises(ProviderUnavailable, match="holds no credential"):
            await whole(made, OPENAI)
        assert made.providers.sent == []
        return
    await whole(made, OPENAI, AZURE, model="both")
    assert made.providers.hosts == ["azure.test"]


async def test_each_deployment_has_its_own_time() -> None:
    made = service(openai=FakeAnswer([openai_answer()]))
    await whole(made, OPENAI)
    assert made.providers.sent[0].timeout_s == 60  # the smaller of 120 and the service's 60


# --- failures after a provider has taken the call


@pytest.mark.parametrize(
    "pieces", [[b"<html>"], [b"{}"], [b'{"choi', ProviderUnavailable("broke off")]]
)
async def test_nonsense_with_a_200_is_502_and_its_prompt_is_owed(pieces: list[Any]) -> None:
    broken = FakeAnswer(pieces)
    made = service(openai=broken)
    with pytest.raises(ProviderUnavailable):
        await whole(made, OPENAI)
    row = await made.row()
    assert (row.source, row.input_tokens, row.output_tokens) == ("estimated", 10, 0)
    assert row.usd == Decimal("0.00001")
    assert broken.is_closed


async def test_an_answer_that_never_ends_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policy_service.services.reach.MAX_ANSWER_BYTES", 1000)
    endless = FakeAnswer([b"x" * 600] * 3)
    made = service(openai=endless)
    with pytest.raises(ProviderUnavailable, match="too long"):
        await whole(made, OPENAI)
    assert endless.is_closed


async def test_a_provider_that_took_the_call_and_was_not_heard_of_again_has_its_prompt() -> None:
    made = service(openai=ProviderTimeout("late"))
    with pytest.raises(ProviderTimeout):
        await whole(made, OPENAI)
    row = await made.row()
    assert (row.error_class, row.http_status, row.usd) == ("timeout", 504, Decimal("0.00001"))


async def test_a_call_that_is_cancelled_while_a_provider_works_has_its_prompt_booked() -> None:
    waiting = asyncio.Event()
    made = service(openai=waiting)
    task = asyncio.create_task(whole(made, OPENAI))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = await made.row()
    assert (row.error_class, row.usd) == ("client_gone", Decimal("0.00001"))


async def test_a_fault_of_our_own_is_booked_as_one() -> None:
    made = service(openai=RuntimeError("a bug"))
    with pytest.raises(RuntimeError):
        await whole(made, OPENAI)
    row = await made.row()
    assert (row.error_class, row.http_status) == ("gateway", 500)


async def test_limits_that_cannot_be_read_cost_the_answer_its_headers_and_nothing_else() -> None:
    made = service(openai=FakeAnswer([openai_answer()]))
    made.limits.is_away = True
    answer = await whole(made, OPENAI)
    assert answer.headers["x-gatehouse-decision-id"] == "dec_1"
    assert not any(name.startswith("x-ratelimit") for name in answer.headers)
    assert (await made.row()).source == "provider"


# --- streams


async def test_a_stream_is_passed_on_and_booked_at_its_end() -> None:
    answer = FakeAnswer(openai_events("hel", "lo"))
    made = service(openai=answer)
    stream = await streamed(made, OPENAI)
    assert stream.headers["content-type"].startswith("text/event-stream")
    chunks = await collected(stream.events)
    assert text_of(chunks) == "hello"
    assert chunks[-1] == "DONE"
    row = await made.row()
    assert (row.source, row.input_tokens, row.output_tokens) == ("provider", 12, 3)
    assert (row.error_class, row.is_streaming) == ("none", True)
    assert row.time_to_first_token_ms
    assert answer.is_closed


@pytest.mark.parametrize(
    ("options", "shown"),
    [(None, 0), ({"include_usage": False}, 0), ({"include_usage": True}, 1)],
)
async def test_usage_is_shown_to_who_asked_for_it_and_always_booked(
    options: dict[str, bool] | None, shown: int
) -> None:
    made = service(openai=FakeAnswer(openai_events("hi")))
    fields = {} if options is None else {"stream_options": options}
    chunks = await collected((await streamed(made, OPENAI, **fields)).events)
    with_usage = [chunk for chunk in chunks if chunk != "DONE" and chunk.get("usage")]
    assert len(with_usage) == shown
    assert (await made.row()).output_tokens == 3


async def test_a_stream_without_usage_is_counted() -> None:
    made = service(openai=FakeAnswer(openai_events("one ", "two ", "three", has_usage=False)))
    await collected((await streamed(made, OPENAI)).events)
    row = await made.row()
    assert (row.source, row.input_tokens, row.output_tokens) == ("counted", 10, 3)


@pytest.mark.parametrize(
    ("end", "error_class"),
    [
        ([], "cut_off"),
        ([ProviderUnavailable("broke")], "cut_off"),
        ([ProviderTimeout("silent")], "timeout"),
        ([b'data: {"error": {"message": "x", "type": "server_error"}}\n\n'], "provider"),
        ([b"data: nonsense\n\n"], "cut_off"),
        ([RuntimeError("a bug in a translator")], "gateway"),
    ],
    ids=["just ends", "breaks", "silent", "says so", "nonsense", "bug"],
)
async def test_a_stream_that_breaks_off_says_so_and_is_charged_for_what_came(
    end: list[Any], error_class: str
) -> None:
    """A client must be able to tell half an answer from a whole one."""
    answer = FakeAnswer([*openai_events("one ", "two ", "three", is_done=False), *end])
    made = service(azure=answer)
    chunks = await collected((await streamed(made, AZURE)).events)
    assert text_of(chunks) == "one two three"
    assert "DONE" not in chunks
    assert "bug" not in chunks[-1]["error"]["message"]
    row = await made.row()
    assert (row.error_class, row.source, row.output_tokens) == (error_class, "counted", 3)
    assert row.usd == Decimal("0.000016")
    assert answer.is_closed


async def test_a_stream_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come is remembered until it is booked, so it must not grow for ever."""
    monkeypatch.setattr("policy_service.services.streaming.MAX_ANSWER_BYTES", 2000)
    endless = FakeAnswer(openai_events(*["word "] * 100, is_done=False))
    made = service(openai=endless)
    chunks = await collected((await streamed(made, OPENAI)).events)
    assert "too long" in chunks[-1]["error"]["message"]
    row = await made.row()
    assert (row.error_class, row.source) == ("cut_off", "counted")
    assert 0 < row.output_tokens < 100
    assert endless.is_closed


async def test_a_client_that_leaves_is_charged_for_what_came_once() -> None:
    never = asyncio.Event()
    answer = FakeAnswer([*openai_events("one ", "two", is_done=False), never])
    made = service(openai=answer)
    events = (await streamed(made, OPENAI)).events
    assert b"one" in await anext(events)
    assert b"two" in await anext(events)
    await events.aclose()
    row = await made.row()
    assert (row.error_class, row.source, row.output_tokens) == ("client_gone", "counted", 2)
    assert row.http_status == 200
    assert answer.is_closed


async def test_a_client_that_leaves_before_the_first_event_is_booked_as_well() -> None:
    """An async generator that was never begun runs no `finally` when it is closed."""
    answer = FakeAnswer(openai_events("hi"))
    made = service(openai=answer)
    await (await streamed(made, OPENAI)).events.aclose()
    row = await made.row()
    assert (row.error_class, row.input_tokens) == ("client_gone", 10)
    assert answer.is_closed


async def test_a_client_that_leaves_while_the_provider_is_silent_is_booked() -> None:
    never = asyncio.Event()
    answer = FakeAnswer([*openai_events("one", is_done=False), never])
    made = service(openai=answer)
    events = (await streamed(made, OPENAI)).events
    task = asyncio.create_task(collected(events))
    await answer.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = await made.row()
    assert (row.error_class, row.output_tokens) == ("client_gone", 1)
    assert answer.is_closed


@pytest.mark.parametrize("is_away", [False, True], ids=["renewed", "store away"])
@pytest.mark.parametrize("is_streaming", [True, False], ids=["streamed", "whole"])
async def test_a_long_call_renews_its_lease_and_survives_when_it_cannot(
    is_away: bool, is_streaming: bool
) -> None:
    """While it waits for the first byte, and between two of them."""
    go_on = asyncio.Event()
    events = openai_events("one ", "two")
    pieces = [*events[:1], go_on, *events[1:]] if is_streaming else [go_on, openai_answer()]
    providers = FakeProviders({"openai.test": FakeAnswer(pieces)})
    made = Service(providers, lease_s=0.03)
    made.limits.is_away = is_away

    async def call() -> None:
        if is_streaming:
            await collected((await streamed(made, OPENAI)).events)
        else:
            await whole(made, OPENAI)

    calling = asyncio.ensure_future(call())
    for _ in range(3):
        made.limits.was_asked_to_renew.clear()
        async with asyncio.timeout(10):
            await made.limits.was_asked_to_renew.wait()
    go_on.set()
    await calling
    assert ("dec_1" in made.limits.renewed) is not is_away
    made.limits.is_away = False
    assert (await made.row()).error_class == "none"
    assert made.relay.bookings.held == 0


async def test_a_stream_fails_over_before_its_first_byte() -> None:
    made = service(azure=BUSY, openai=FakeAnswer(openai_events("hi")))
    stream = await streamed(made, AZURE, OPENAI, model="both")
    assert text_of(await collected(stream.events)) == "hi"
    assert stream.headers["x-gatehouse-fallbacks"] == "1"
    assert (await made.row()).fallbacks == 1


async def test_a_store_that_is_away_for_a_moment_is_waited_out() -> None:
    class Away(Limits):
        outages = 1

        async def settle(self, *arguments: Any) -> Any:  # type: ignore[override]
            if self.outages:
                self.outages -= 1
                raise PolicyUnavailable("away")
            return await super().settle(*arguments)

    made = Service(FakeProviders({"openai.test": FakeAnswer([openai_answer()])}), limits=Away())
    assert await whole(made, OPENAI)
    await made.relay.drain()
    assert (await made.row()).source == "provider"


async def test_a_booking_that_fails_is_logged_and_the_answer_stands(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Limits):
        async def settle(self, *_: Any) -> Any:  # type: ignore[override]
            raise ValueError("broken")

    made = Service(FakeProviders({"openai.test": FakeAnswer([openai_answer()])}), limits=Failing())
    assert await whole(made, OPENAI)
    await made.relay.drain()
    assert "could not be booked" in caplog.text
    # The lease is still open, so the estimate will be charged.
    assert await made.limits.overdue(NOON + timedelta(days=1), 1)
