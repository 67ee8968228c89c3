"""What is kept of the words of calls that the relay serves, by level and by how they end."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from llm_core.catalogue import Deployment
from llm_core.errors import ContentLogUnavailable, PolicyUnavailable, ProviderUnavailable
from llm_core.policy.allowance import worst_case
from llm_core.policy.decision import (
    LogLevel,
    Obligations,
    PricedDeployment,
    Reservation,
    Transport,
    UsageReport,
)
from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.adapters.content_keys import ContentKeys, new_content_key
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.digests import Digests
from policy_service.ports.content import ContentRow, Part
from policy_service.services.content_log import ContentLog, require_log
from policy_service.services.content_reader import ContentReader
from policy_service.services.reach import Reach
from policy_service.services.relay import Relay, StreamedAnswer, WholeAnswer
from policy_service.services.reserving import Reserving
from policy_service.services.settle import Settler
from policy_service.services.tickets import Tickets
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.content import FakeContentStore, FakeRedactor
from tests.fakes.credentials import FakeCredentials
from tests.fakes.health import FakeHealth
from tests.fakes.ledger import FakeLedger
from tests.fakes.providers import FakeAnswer, FakeProviders
from tests.fakes.samples import (
    CALLER,
    OPENAI,
    PRICE,
    SECRETS,
    chat_body,
    chat_call,
    openai_answer,
    openai_events,
)

TICKETS = Tickets("ticket-secret-0123456789")
SAMPLE = chat_body(messages=[{"role": "user", "content": "Ada wants to know"}])
AUDITOR = Actor("user:olga", "oidc", (Grant(Role.AUDITOR, PLATFORM),))
FULL = Obligations(log_level=LogLevel.FULL, log_days=7)
REDACTED = Obligations(log_level=LogLevel.REDACTED, log_days=7)


class Served:
    """A relay that keeps words, and what it kept."""

    def __init__(self, answer: FakeAnswer | Exception, **options: Any) -> None:
        self.store = FakeContentStore()
        self.keys = ContentKeys({"default": new_content_key()})
        made: dict[str, Any] = {
            "sealer": self.keys,
            "redactor": FakeRedactor("Ada"),
            "most_part_bytes": 10_000,
            "most_waiting_bytes": 1_000_000,
        }
        digests = Digests.from_secret("digest-secret-0123456789")
        self.log = ContentLog(self.store, digests=digests, **{**made, **options})
        self.limits, clock = MemoryLimitsStore(), FakeClock()
        providers = FakeProviders({"openai.test": answer})
        self.relay = Relay(
            limits=self.limits,
            reach=Reach(providers, FakeCredentials(SECRETS), FakeHealth(), clock, 60.0),
            settler=Settler(
                self.limits, Reserving(self.limits, FakeLedger()), clock, digests=digests
            ),
            tickets=TICKETS,
            clock=clock,
            count=lambda text: len(text.split()),
            lease_s=300,
            content=self.log,
        )

    async def ticket(self, body: bytes, obligations: Obligations, *at: Deployment) -> str:
        call = chat_call(body)
        priced = tuple(PricedDeployment(one, PRICE) for one in at or (OPENAI,))
        amounts = worst_case(call, priced, obligations)
        reservation = Reservation(
            decision_id="dec_1",
            caller=replace(CALLER, user="ada"),
            call=call,
            operation=call.operation,
            deployments=priced,
            obligations=obligations,
            prompt_tokens=call.prompt_tokens,
            max_output_tokens=100,
            usd=amounts.usd,
            decided_at=NOON,
            expires_at=NOON + timedelta(seconds=300),
            policy_revision="rev-7",
        )
        await self.limits.reserve(reservation, amounts, NOON)
        return TICKETS.issue("dec_1", NOON + timedelta(seconds=30))

    async def ask(self, obligations: Obligations, body: bytes = SAMPLE) -> list[bytes]:
        """Serve one call to its end, and write what is kept of it."""
        answer = await self.relay.serve(await self.ticket(body, obligations), body)
        if isinstance(answer, WholeAnswer):
            pieces = [answer.body]
        else:
            assert isinstance(answer, StreamedAnswer)
            pieces = [piece async for piece in answer.events]
        await self.written()
        return pieces

    async def written(self) -> None:
        await self.relay.drain()
        await self.log.finish()

    @property
    def row(self) -> ContentRow:
        [row] = self.store.rows.values()
        return row

    def opened(self, part: Part) -> Any:
        row = self.row
        sealed = row.sealed_question if part is Part.QUESTION else row.sealed_answer
        assert sealed is not None
        return json.loads(self.keys.opened(row.key_id, "acme", "dec_1", part, sealed))


def streamed(*words: str, **ends: bool) -> FakeAnswer:
    return FakeAnswer(openai_events(*words, **ends))


async def test_at_full_question_and_answer_are_kept_sealed() -> None:
    served = Served(FakeAnswer([openai_answer("Ada is well")]))
    [body] = await served.ask(FULL)
    row = served.row
    assert (row.level, row.gap, row.is_cut, row.error_class) == ("full", "", False, "none")
    assert (row.organisation, row.team, row.user) == ("acme", "search", "ada")
    assert row.kept_until == NOON + timedelta(days=7)
    assert served.opened(Part.QUESTION) == json.loads(SAMPLE)
    assert served.opened(Part.ANSWER) == json.loads(body)
    assert (row.question, row.answer) == (None, None)
    assert (row.request_bytes, row.response_bytes) == (len(SAMPLE), len(body))


async def test_at_redacted_the_words_are_kept_without_what_is_personal() -> None:
    served = Served(FakeAnswer([openai_answer("Ada is well")]))
    await served.ask(REDACTED)
    row = served.row
    assert "<PERSON_1> wants to know" in (row.question or "")
    assert "<PERSON_1> is well" in (row.answer or "")
    assert "Ada" not in repr(row)
    assert (row.sealed_question, row.sealed_answer, row.key_id) == (None, None, None)


@pytest.mark.parametrize("level", [LogLevel.NONE, LogLevel.DIGEST])
async def test_below_redacted_there_is_no_line(level: LogLevel) -> None:
    served = Served(FakeAnswer([openai_answer("Ada is well")]))
    await served.ask(Obligations(log_level=level))
    assert served.store.rows == {}


async def test_the_ledger_and_the_content_log_have_the_same_digests() -> None:
    served = Served(FakeAnswer([openai_answer("hi")]))
    await served.ask(FULL)
    [queued] = await served.limits.take_rows(10, 0)
    booked = json.loads(queued.row)
    row = served.row
    assert booked["request_digest"] == row.request_digest
    assert booked["response_digest"] == row.response_digest
    assert row.request_digest != chat_call(SAMPLE).body_digest


async def test_a_stream_is_kept_as_the_whole_answer_it_is() -> None:
    served = Served(streamed("Ada ", "is ", "well"))
    pieces = await served.ask(FULL, chat_body(stream=True))
    answer = served.opened(Part.ANSWER)
    assert answer["choices"][0]["message"]["content"] == "Ada is well"
    assert served.row.response_bytes == len(b"".join(pieces))
    assert served.row.response_digest


async def test_a_name_that_a_stream_cut_in_two_is_redacted_all_the_same() -> None:
    served = Served(streamed("A", "da is", " well"))
    await served.ask(REDACTED, chat_body(stream=True))
    assert "<PERSON_1> is well" in (served.row.answer or "")


async def test_a_stream_that_broke_off_is_kept_as_far_as_it_came() -> None:
    served = Served(streamed("Ada ", "is", is_done=False))
    await served.ask(FULL, chat_body(stream=True))
    assert served.row.error_class == "cut_off"
    told = served.opened(Part.ANSWER)
    assert told["incomplete"] is True
    assert "".join(told["texts"]) == "Ada is"


async def test_a_stream_whose_client_left_is_kept_as_far_as_it_came() -> None:
    served = Served(streamed("Ada ", "is ", "well"))
    body = chat_body(stream=True)
    answer = await served.relay.serve(await served.ticket(body, FULL), body)
    assert isinstance(answer, StreamedAnswer)
    await anext(answer.events)
    await answer.events.aclose()
    await served.written()
    assert served.row.error_class == "client_gone"
    assert "Ada" in served.opened(Part.ANSWER)["texts"][0]


async def test_of_a_call_that_failed_the_question_is_kept() -> None:
    served = Served(ProviderUnavailable("gone"))
    with pytest.raises(ProviderUnavailable):
        await served.ask(FULL)
    await served.written()
    assert served.row.error_class == "unreachable"
    assert served.opened(Part.QUESTION) == json.loads(SAMPLE)
    assert served.row.sealed_answer is None


async def test_a_redactor_that_fails_leaves_a_line_without_words() -> None:
    served = Served(FakeAnswer([openai_answer("Ada")]), redactor=FakeRedactor("Ada", fails=True))
    await served.ask(REDACTED)
    row = served.row
    assert row.gap == "redaction_failed"
    assert (row.question, row.answer) == (None, None)
    assert row.request_digest
    assert "Ada" not in repr(row)


async def test_without_a_redactor_nothing_is_kept_unredacted() -> None:
    served = Served(FakeAnswer([openai_answer("Ada")]), redactor=None)
    await served.ask(REDACTED)
    assert (served.row.gap, served.row.question) == ("redaction_failed", None)


async def test_long_words_are_cut_and_say_so() -> None:
    served = Served(FakeAnswer([openai_answer("well " * 100)]), most_part_bytes=200)
    await served.ask(FULL)
    row = served.row
    assert row.is_cut
    reader = ContentReader(served.store, served.keys, FakeClock())
    told = await reader.read("dec_1", AUDITOR, "ticket 4711, please", lambda _: None)
    assert isinstance(told.answer, str)
    assert len(told.answer) == 200


async def test_a_redacted_text_that_is_too_long_is_left_out_whole() -> None:
    served = Served(FakeAnswer([openai_answer("x " * 100 + "Ada")]), most_part_bytes=300)
    await served.ask(REDACTED)
    assert served.row.is_cut
    assert "left out" in (served.row.answer or "")
    assert "left out" not in (served.row.question or "")


async def test_what_does_not_fit_into_the_memory_is_lost_and_said_to_be() -> None:
    served = Served(FakeAnswer([openai_answer("Ada")]), most_waiting_bytes=10)
    await served.ask(FULL)
    assert (served.row.gap, served.row.sealed_question) == ("overloaded", None)


async def test_an_outage_of_the_database_is_waited_out() -> None:
    served = Served(FakeAnswer([openai_answer("Ada")]))
    served.store.is_down = True
    answer = await served.relay.serve(await served.ticket(SAMPLE, FULL), SAMPLE)
    assert isinstance(answer, WholeAnswer)
    await served.relay.drain()
    for _ in range(2):
        with pytest.raises(PolicyUnavailable):
            await served.log.write_once()
    served.store.is_down = False
    assert await served.log.write_once() == 1
    assert await served.log.write_once() == 0
    assert served.row.sealed_question


async def test_nobody_waits_for_the_content_log() -> None:
    served = Served(FakeAnswer([openai_answer("Ada")]))
    running = asyncio.create_task(served.log.run())
    answer = await served.relay.serve(await served.ticket(SAMPLE, FULL), SAMPLE)
    assert isinstance(answer, WholeAnswer)
    assert served.store.rows == {}
    await served.written()
    assert served.row.sealed_answer
    running.cancel()


async def test_no_line_is_kept_longer_than_the_settings_say() -> None:
    served = Served(FakeAnswer([openai_answer("Ada")]), most_days=2)
    await served.ask(FULL)
    assert served.row.kept_until == NOON + timedelta(days=2)


async def test_words_that_were_never_asked_are_nobodys() -> None:
    served = Served(FakeAnswer([]))
    ticket = await served.ticket(SAMPLE, FULL)
    reservation = await served.limits.redeem("dec_1", NOON)
    assert ticket
    assert reservation is not None
    served.log.answered(reservation, {"odd": True})
    served.log.ends(reservation, UsageReport(None, Transport.RELAY, 200))
    assert await served.log.write_once() == 0


@pytest.mark.parametrize("level", list(LogLevel))
def test_only_words_that_can_be_kept_safely_are_asked_for(level: LogLevel) -> None:
    served = Served(FakeAnswer([]), sealer=None)
    obligations = Obligations(log_level=level)
    if level is LogLevel.FULL:
        with pytest.raises(ContentLogUnavailable, match="key"):
            require_log(served.log, obligations, "acme")
    else:
        require_log(served.log, obligations, "acme")
    if obligations.keeps_words:
        with pytest.raises(ContentLogUnavailable):
            require_log(None, obligations, "acme")
    else:
        require_log(None, obligations, "acme")
