"""Which deployment is asked, how often, and what everybody is told of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from llm_core.apis.ask import Ask
from llm_core.apis.registry import read_ask
from llm_core.catalogue import Deployment
from llm_core.errors import (
    GatewayError,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    UnsupportedParameter,
)
from llm_core.policy.decision import Obligations, PricedDeployment, Reservation
from llm_core.policy.route import RouteOptions
from policy_service.services.progress import Progress
from policy_service.services.reach import Attempt, Reach, read_whole
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.credentials import FakeCredentials
from tests.fakes.health import FakeHealth
from tests.fakes.providers import FakeAnswer, FakeProviders
from tests.fakes.samples import (
    AZURE,
    CALLER,
    CLAUDE,
    OPENAI,
    PRICE,
    SECRETS,
    chat_body,
    chat_call,
    openai_answer,
)

GOOD = openai_answer()


def busy(status: int, wait_s: str | None = None) -> FakeAnswer:
    return FakeAnswer([b"{}"], status, {} if wait_s is None else {"retry-after": wait_s})


class Search:
    """A reach, and one call that is put through it."""

    def __init__(self, resting_s: dict[str, float] | None = None, **answers: Any) -> None:
        self.providers = FakeProviders({f"{name}.test": one for name, one in answers.items()})
        self.health = FakeHealth(resting_s)
        self.progress = Progress()
        self.reach = Reach(
            self.providers, FakeCredentials(SECRETS), self.health, FakeClock(), 60.0, 600.0
        )

    async def run(
        self, *deployments: Deployment, route: RouteOptions | None = None, **fields: Any
    ) -> bytes:
        reservation, ask = call(deployments, route or RouteOptions(), fields)
        self.progress.starts(self.reach.total_s(reservation))

        async def take(attempt: Attempt) -> bytes:
            return await read_whole(attempt.answer, self.progress)

        return await self.reach.first_that_answers(reservation, ask, self.progress, take)

    async def failure(self, *deployments: Deployment, **fields: Any) -> GatewayError:
        with pytest.raises(GatewayError) as raised:
            await self.run(*deployments, **fields)
        return raised.value


def call(
    deployments: Sequence[Deployment], route: RouteOptions, fields: dict[str, Any]
) -> tuple[Reservation, Ask]:
    body = chat_body(**fields)
    facts = chat_call(body)
    reservation = Reservation(
        decision_id="dec_1",
        caller=CALLER,
        call=facts,
        operation=facts.operation,
        deployments=tuple(PricedDeployment(one, PRICE) for one in deployments),
        obligations=Obligations(),
        prompt_tokens=10,
        max_output_tokens=100,
        usd=PRICE.rates.input,
        decided_at=NOON,
        expires_at=NOON + timedelta(seconds=300),
        policy_revision="rev-7",
        route=route,
    )
    return reservation, read_ask(facts.operation, body)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529, 599])
async def test_a_failure_of_the_deployments_own_sends_the_call_on(status: int) -> None:
    search = Search(azure=busy(status), openai=FakeAnswer([GOOD]))
    assert await search.run(AZURE, OPENAI) == GOOD
    assert search.providers.hosts == ["azure.test", "openai.test"]
    assert (search.progress.fallbacks, search.progress.deployment_id) == (1, "openai-mini")


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_the_caller_must_mend_ends_the_search_and_says_nothing_against_the_deployment(
    status: int,
) -> None:
    search = Search(azure=busy(status), openai=FakeAnswer([GOOD]))
    assert (await search.failure(AZURE, OPENAI)).http_status == status
    assert search.providers.hosts == ["azure.test"]
    [observed] = search.health.observed
    assert not observed.is_failure


async def test_a_provider_that_lacks_what_is_asked_for_is_passed_over() -> None:
    """Anthropic answers once at a time."""
    search = Search(anthropic=FakeAnswer([GOOD]), openai=FakeAnswer([GOOD]))
    assert await search.run(CLAUDE, OPENAI, n=2) == GOOD
    assert search.providers.hosts == ["openai.test"]
    assert search.progress.fallbacks == 0


async def test_when_no_provider_can_do_it_the_caller_is_told_what_it_is() -> None:
    search = Search()
    error = await search.failure(CLAUDE, n=2)
    assert isinstance(error, UnsupportedParameter)
    assert error.param == "n"


async def test_when_one_can_do_it_and_fails_its_failure_is_told() -> None:
    search = Search(openai=busy(503))
    assert (await search.failure(CLAUDE, OPENAI, n=2)).http_status == 503


async def test_no_more_deployments_are_tried_than_the_route_allows() -> None:
    search = Search(azure=busy(500), openai=busy(500), anthropic=FakeAnswer([GOOD]))
    await search.failure(AZURE, OPENAI, CLAUDE, route=RouteOptions(most_tries=2))
    assert search.providers.hosts == ["azure.test", "openai.test"]


async def test_a_call_ends_when_its_total_time_is_over_and_nobody_else_is_tried() -> None:
    search = Search(azure=asyncio.Event(), openai=FakeAnswer([GOOD]))
    error = await search.failure(AZURE, OPENAI, route=RouteOptions(total_timeout_s=0.05))
    assert isinstance(error, ProviderTimeout)
    assert search.providers.hosts == ["azure.test"]
    assert search.progress.owing_id == "azure-mini"


def test_a_route_may_shorten_the_total_time_and_not_lengthen_it() -> None:
    reach = Search().reach
    usual, _ = call([OPENAI], RouteOptions(), {})
    assert reach.total_s(usual) == 600
    assert reach.total_s(replace(usual, route=RouteOptions(total_timeout_s=5))) == 5
    assert reach.total_s(replace(usual, route=RouteOptions(total_timeout_s=5000))) == 600


# --- being left alone


async def test_a_deployment_that_rests_is_not_asked() -> None:
    search = Search({"azure-mini": 9}, azure=FakeAnswer([GOOD]), openai=FakeAnswer([GOOD]))
    await search.run(AZURE, OPENAI)
    assert search.providers.hosts == ["openai.test"]


async def test_when_all_rest_the_client_is_told_when_the_first_will_be_asked_again() -> None:
    search = Search({"azure-mini": 9, "openai-mini": 4.2})
    error = await search.failure(AZURE, OPENAI)
    assert isinstance(error, ProviderUnavailable)
    assert error.headers == {"retry-after": "5"}
    assert search.providers.sent == []
    assert search.health.observed == []


@pytest.mark.parametrize("status", [429, 503])
async def test_a_short_wait_is_waited_out_once_when_there_is_no_other(status: int) -> None:
    search = Search(azure=busy(status, "0"))
    await search.failure(AZURE)
    assert search.providers.hosts == ["azure.test"] * 2


async def test_a_long_wait_is_the_clients() -> None:
    search = Search(azure=busy(429, "60"))
    error = await search.failure(AZURE)
    assert search.providers.hosts == ["azure.test"]
    assert error.headers == {"retry-after": "60"}


async def test_the_next_deployment_comes_before_any_wait() -> None:
    search = Search(azure=busy(429, "0"), openai=FakeAnswer([GOOD]))
    await search.run(AZURE, OPENAI)
    assert search.providers.hosts == ["azure.test", "openai.test"]


async def test_no_try_is_left_for_a_wait_when_the_route_allows_one() -> None:
    search = Search(azure=busy(429, "0"))
    await search.failure(AZURE, route=RouteOptions(most_tries=1))
    assert search.providers.hosts == ["azure.test"]


# --- what is told of it


@pytest.mark.parametrize(
    ("answer", "is_failure", "wait_s"),
    [
        (ProviderUnavailable("no"), True, None),
        (ProviderTimeout("late"), True, None),
        (busy(500), True, None),
        (busy(503, "60"), True, 60.0),
        (busy(429, "60"), False, 60.0),
        (busy(429), True, None),
        (busy(409), False, None),
        (busy(401), True, None),
        # What one caller can bring about must not keep everybody else out.
        (busy(400, "60"), False, None),
        (busy(413, "60"), False, None),
        (busy(403), False, None),
        (busy(404), False, None),
    ],
)
async def test_health_is_told_how_a_try_failed(
    answer: Any, is_failure: bool, wait_s: float | None
) -> None:
    search = Search(azure=answer)
    await search.failure(AZURE)
    [observed] = search.health.observed
    assert observed.deployment_id == "azure-mini"
    assert (observed.is_failure, observed.retry_after_s) == (is_failure, wait_s)


@pytest.mark.parametrize(("waited_before_s", "is_blamed"), [(0.0, True), (0.15, False)])
async def test_who_was_asked_when_the_time_was_nearly_over_is_not_to_blame(
    waited_before_s: float, is_blamed: bool
) -> None:
    """Else a call that waited for another's answer opens the breaker of whoever comes last."""
    search = Search(azure=asyncio.Event())
    reservation, ask = call((AZURE,), RouteOptions(), {})
    search.progress.starts(0.2)
    await asyncio.sleep(waited_before_s)

    async def take(attempt: Attempt) -> bytes:
        return await read_whole(attempt.answer, search.progress)

    with pytest.raises(ProviderTimeout):
        await search.reach.first_that_answers(reservation, ask, search.progress, take)
    assert [seen.is_failure for seen in search.health.observed] == [True] * is_blamed


@pytest.mark.parametrize(
    ("answer", "owing"),
    [
        (ProviderTimeout("late"), "azure-mini"),
        (ProviderUnavailable("no"), None),
        (busy(500), None),
        (FakeAnswer([b"half", ProviderUnavailable("broke")]), "azure-mini"),
    ],
)
async def test_who_may_have_worked_for_nothing_has_its_prompt(answer: Any, owing: str) -> None:
    """Also when the last try owes nothing."""
    search = Search(azure=answer, openai=busy(500))
    assert isinstance(await search.failure(AZURE, OPENAI), ProviderError)
    assert search.progress.owing_id == owing
