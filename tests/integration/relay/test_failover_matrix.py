"""Every fault of a provider, streamed and whole, on whichever provider comes first.

Over real HTTP: the client gets a good answer from the next deployment, or an error that says what
happened; one usage row says the same.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from llm_core.catalogue import Deployment
from policy_service.ports.ledger import UsageRow
from sandbox.wishes import FaultKind
from tests.fakes.samples import chat_body
from tests.fixtures.relaying import RelayService, anthropic_at, openai_at, relay_service

PACE = "--pace-100--words-12"
"""One token every ten milliseconds, so that a fault behind the first one arrives behind it."""

BEFORE_ANSWER = {
    "429-60": (429, "rate_limited"),
    "500": (500, "provider"),
    "503-60": (503, "provider"),
    "529-60": (503, "provider"),
    "hang": (504, "timeout"),
}
"""Nothing of an answer has come: what the client gets when there is no other deployment."""

HARMLESS = {"slow_first_byte-0.05": "provider", "no_usage": "counted"}
"""Answers all the same: whose figure the tokens are."""

BROKEN = {
    "cut_mid_stream": "cut_off",
    "error_mid_stream": "provider",
    "malformed_json": "cut_off",
}
"""Broken inside the answer: how a stream that has begun is booked."""

EARLY, LATE = "-1", "-10"
"""How many events come before it breaks."""


@dataclass
class Got:
    """What a client got, and what was booked."""

    answer: httpx.Response
    row: UsageRow

    @property
    def is_good(self) -> bool:
        """Whether the answer is a whole one."""
        if self.answer.status_code != httpx.codes.OK or "error" in self.last_event:
            return False
        return self.answer.text.rstrip().endswith("[DONE]") or bool(self.last_event.get("choices"))

    @property
    def last_event(self) -> dict[str, Any]:
        """The last thing that was said: the body, or the last event but the end mark."""
        if "event-stream" not in self.answer.headers["content-type"]:
            body: dict[str, Any] = self.answer.json()
            return body
        events = [
            part.removeprefix("data: ")
            for part in self.answer.text.split("\n\n")
            if part and not part.endswith("[DONE]")
        ]
        decoded: dict[str, Any] = json.loads(events[-1])
        return decoded


@pytest.fixture
async def service() -> AsyncIterator[RelayService]:
    async with relay_service(first_byte_timeout_s=1.0) as running:
        yield running


async def ask(service: RelayService, *deployments: Deployment, streams: bool) -> Got:
    body = chat_body(stream=streams)
    headers = await service.decide(body, *deployments)
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(service.url, content=body, headers=headers)
    [row] = await service.rows(1)
    return Got(answer, row)


def test_every_fault_of_the_sandbox_is_in_the_matrix() -> None:
    faults = {name.partition("-")[0] for name in (*BEFORE_ANSWER, *HARMLESS, *BROKEN)}
    assert faults == set(FaultKind)


@pytest.mark.parametrize("first", ["openai", "anthropic"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
class TestMatrix:
    """Every fault x {whole, streamed} x {OpenAI first, Anthropic first}."""

    def deployments(self, first: str, url: str, fault: str) -> tuple[Deployment, Deployment]:
        faulty, good = f"{PACE}--fault-{fault}", PACE
        if first == "openai":
            return openai_at(url, faulty), anthropic_at(url, good)
        return anthropic_at(url, faulty), openai_at(url, good)

    @pytest.mark.parametrize("fault", BEFORE_ANSWER)
    async def test_a_fault_before_the_answer_sends_the_call_on(
        self, service: RelayService, sandbox_url: str, fault: str, streams: bool, first: str
    ) -> None:
        faulty, good = self.deployments(first, sandbox_url, fault)
        got = await ask(service, faulty, good, streams=streams)
        assert got.is_good, got.answer.text
        assert got.answer.headers["x-gatehouse-fallbacks"] == "1"
        assert (got.row.deployment_id, got.row.fallbacks) == (good.id, 1)
        assert (got.row.error_class, got.row.source) == ("none", "provider")

    @pytest.mark.parametrize("fault", BEFORE_ANSWER)
    async def test_with_no_other_deployment_the_client_is_told_what_happened(
        self, service: RelayService, sandbox_url: str, fault: str, streams: bool, first: str
    ) -> None:
        faulty, _ = self.deployments(first, sandbox_url, fault)
        got = await ask(service, faulty, streams=streams)
        status, error_class = BEFORE_ANSWER[fault]
        assert got.answer.status_code == got.row.http_status == status
        assert got.answer.json()["error"]["message"]
        assert got.row.error_class == error_class
        # Nobody worked for it, as far as anybody can know, unless it was not heard of in time.
        assert bool(got.row.usd) is (fault == "hang")
        if fault.endswith("-60"):
            assert got.answer.headers["retry-after"] == "60"

    @pytest.mark.parametrize("fault", HARMLESS)
    async def test_what_is_no_failure_is_answered_by_the_first(
        self, service: RelayService, sandbox_url: str, fault: str, streams: bool, first: str
    ) -> None:
        faulty, good = self.deployments(first, sandbox_url, fault)
        got = await ask(service, faulty, good, streams=streams)
        assert got.is_good, got.answer.text
        assert (got.row.deployment_id, got.row.fallbacks) == (faulty.id, 0)
        assert (got.row.error_class, got.row.source) == ("none", HARMLESS[fault])
        assert got.row.usd > 0

    @pytest.mark.parametrize("fault", BROKEN)
    async def test_what_breaks_before_the_first_word_sends_the_call_on(
        self, service: RelayService, sandbox_url: str, fault: str, streams: bool, first: str
    ) -> None:
        faulty, good = self.deployments(first, sandbox_url, fault + EARLY)
        got = await ask(service, faulty, good, streams=streams)
        assert got.is_good, got.answer.text
        assert (got.row.deployment_id, got.row.fallbacks) == (good.id, 1)
        assert (got.row.error_class, got.row.source) == ("none", "provider")

    @pytest.mark.parametrize("fault", BROKEN)
    async def test_what_breaks_with_no_other_deployment_has_its_prompt_charged(
        self, service: RelayService, sandbox_url: str, fault: str, streams: bool, first: str
    ) -> None:
        faulty, _ = self.deployments(first, sandbox_url, fault + EARLY)
        got = await ask(service, faulty, streams=streams)
        assert got.answer.status_code == got.row.http_status >= httpx.codes.INTERNAL_SERVER_ERROR
        assert "error" in got.answer.json()
        if streams or fault != "error_mid_stream":  # whole, that is a plain 500
            assert (got.row.source, got.row.output_tokens) == ("estimated", 0)
            assert got.row.usd > 0

    @pytest.mark.parametrize("fault", BROKEN)
    async def test_a_stream_that_breaks_behind_its_first_word_ends_with_an_error_event(
        self, service: RelayService, sandbox_url: str, fault: str, streams: bool, first: str
    ) -> None:
        faulty, good = self.deployments(first, sandbox_url, fault + LATE)
        got = await ask(service, faulty, good, streams=streams)
        if not streams:
            assert got.is_good
            return
        assert got.answer.status_code == httpx.codes.OK
        assert not got.is_good
        assert got.last_event["error"]["message"]
        assert "[DONE]" not in got.answer.text
        assert (got.row.deployment_id, got.row.error_class) == (faulty.id, BROKEN[fault])
        assert got.row.source == "counted"
        assert got.row.output_tokens
