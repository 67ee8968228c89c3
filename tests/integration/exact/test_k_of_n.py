"""However many ask at once, on however many processes: exactly as many are let in as fit.

Three processes of the service on a real PostgreSQL and a real Redis; the limits of every kind, on
one node and on trees of five levels, are made so that exactly `K` calls fit.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import msgspec
import pytest

from llm_core.catalogue import Deployment, ProviderKind
from llm_core.operation import Operation
from llm_core.policy.allowance import worst_case
from llm_core.policy.call import Call
from llm_core.policy.decision import Obligations, PricedDeployment
from llm_core.policy.limits import Amounts, Measure
from llm_core.pricing.charge import ModelPrice, Rates
from tests.fixtures.gateway import eventually
from tests.fixtures.postgres_server import PostgresServer, start_postgres
from tests.fixtures.redis_server import start_redis
from tests.fixtures.service_group import ServiceGroup, all_at_once, start_services

K = 37
LEASE_S = 120
LEVELS = ("organisation", "department", "team", "project", "user")
LOOSER = 5
"""By so many calls the caps of a tree differ from level to level."""

# Cheap enough for what policy permits when a budget is nearly used up.
RATES = Rates(input=Decimal("0.5"), output=Decimal(1))
PRICES = """
currency: USD
per_tokens: 1000000
models:
  - provider: openai
    model: exact
    prices: [{from: 2020-01-01, rates: {input: 0.5, output: 1}}]
"""
DEPLOYMENT = Deployment(
    id="exact",
    provider=ProviderKind.OPENAI,
    model="exact",
    base_url="http://127.0.0.1:9/v1",
    credential="openai",
    region="eu",
    max_output_tokens=50_000_000,
)
CALL = Call(
    operation=Operation.CHAT_COMPLETIONS,
    asked_model="exact",
    prompt_tokens=100,
    max_output_tokens=50,
)
USED = {"input_tokens": 60, "output_tokens": 20}


def takes(call: Call = CALL) -> Amounts:
    """What one call takes at worst."""
    price = ModelPrice(version="as in PRICES", rates=RATES)
    return worst_case(call, [PricedDeployment(DEPLOYMENT, price)], Obligations())


def cap(measure: Measure, calls: int) -> str:
    """A limit that so many calls fit under, and not one more."""
    one = takes().of(measure.quantity)
    almost_one_more = (one * calls + one * Decimal("0.9")).quantize(Decimal("0.000001"))
    if not measure.is_money:
        almost_one_more = almost_one_more.to_integral_value(ROUND_FLOOR)
    return str(almost_one_more)


def flat(measure: Measure, calls: int = K) -> dict[str, Any]:
    """A company with one limit, at its one team."""
    name = f"flat-{measure}-{calls}"
    return {
        "id": name,
        "allowed_models": ["*"],
        "departments": [
            {
                "id": f"{name}-department",
                "teams": [
                    {
                        "id": f"{name}-team",
                        "limits": {measure.value: cap(measure, calls)},
                        "keys": [{"name": name}],
                    }
                ],
            }
        ],
    }


def tree(measure: Measure) -> dict[str, Any]:
    """A company with a limit at each of five levels; the tightest is at another one each time."""
    tightest = list(Measure).index(measure) % len(LEVELS)
    name = f"tree-{measure}"
    limits = {
        level: {measure.value: cap(measure, K + LOOSER * abs(number - tightest))}
        for number, level in enumerate(LEVELS)
    }
    return {
        "id": name,
        "allowed_models": ["*"],
        "limits": limits["organisation"],
        "users": [{"id": f"{name}-user", "limits": limits["user"]}],
        "departments": [
            {
                "id": f"{name}-department",
                "limits": limits["department"],
                "teams": [
                    {
                        "id": f"{name}-team",
                        "limits": limits["team"],
                        "projects": [
                            {
                                "id": f"{name}-project",
                                "limits": limits["project"],
                                "keys": [{"name": name, "user": f"{name}-user"}],
                            }
                        ],
                    }
                ],
            }
        ],
    }


KILLED = (flat(Measure.USD_PER_MONTH, 101), flat(Measure.TOKENS_PER_DAY, 102))
MANY = (flat(Measure.USD_PER_DAY, 555), flat(Measure.TOKENS_PER_MINUTE, 556))
REBUILT = tuple(
    flat(measure, 90 + number)
    for number, measure in enumerate(one for one in Measure if one.period.is_from_ledger)
)
COMPANIES = [*map(flat, Measure), *map(tree, Measure), *KILLED, *MANY, *REBUILT]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with start_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def services(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> Iterator[ServiceGroup]:
    folder = tmp_path_factory.mktemp("exact")
    prices = folder / "prices"
    prices.mkdir()
    (prices / "prices.yaml").write_text(PRICES)
    model = {"alias": "exact", "deployments": [_entry(DEPLOYMENT)]}
    with (
        start_redis() as redis,
        start_services(
            folder,
            count=3,
            postgres=postgres,
            redis=redis,
            companies=COMPANIES,
            models={"models": [model]},
            settings={
                "POLICY_PRICES_DIR": str(prices),
                "POLICY_LEASE_S": str(LEASE_S),
                "POLICY_SWEEP_INTERVAL_S": "0.2",
            },
        ) as running,
    ):
        yield running


def _entry(deployment: Deployment) -> dict[str, Any]:
    names = ("id", "model", "base_url", "credential", "region", "max_output_tokens")
    return {"provider": "openai", **{name: getattr(deployment, name) for name in names}}


def question(caller: Mapping[str, Any], call: Call = CALL) -> tuple[str, dict[str, Any]]:
    """A decision request: path and body."""
    return "/v1/decisions", {"caller": caller, "call": msgspec.to_builtins(call)}


def admitted(decisions: Sequence[Mapping[str, Any] | None]) -> list[str]:
    """The decisions that let a call in; every other answer is a proper refusal."""
    answered = [decision for decision in decisions if decision is not None]
    for decision in answered:
        denial = decision["denial"]
        assert denial is None or denial["status"] == 429, denial
    return [one["decision_id"] for one in answered if one["denial"] is None]


async def settle(services: ServiceGroup, decision_ids: Sequence[str]) -> None:
    """Report the same true usage of every call."""
    report = {
        "deployment_id": "exact",
        "transport": "direct",
        "http_status": 200,
        "usage": USED,
        "source": "provider",
    }
    asked = [(f"/v1/decisions/{decision_id}/usage", report) for decision_id in decision_ids]
    for answer in await all_at_once(services.urls, asked):
        assert answer == {"outcome": "settled"}


async def refill(services: ServiceGroup, key: str, measure: Measure) -> None:
    """A call as large as the whole cap is let in, as soon as the next period has begun."""
    caller = await services.caller(key)
    limit = min(
        (one for one in caller["limits"] if one["measure"] == measure),
        key=lambda one: Decimal(one["amount"]),
    )
    whole = largest(measure, Decimal(limit["amount"]))
    (answer,) = await all_at_once(services.urls, [question(caller, whole)])
    (decision_id,) = admitted([answer])
    await settle(services, [decision_id])


def largest(measure: Measure, amount: Decimal) -> Call:
    """A call that fills a limit as far as a call can."""
    call = CALL
    for more in range(24, -1, -1):
        longer = replace(call, max_output_tokens=(call.max_output_tokens or 0) + 2**more)
        if takes(longer).of(measure.quantity) <= amount:
            call = longer
    assert measure.quantity in ("requests", "input_tokens") or (
        takes(call).of(measure.quantity) > amount * Decimal("0.99")
    )
    return call


def written(postgres: PostgresServer, services: ServiceGroup, organisation: str) -> list[list[str]]:
    """The ledger's rows of a company: source and USD."""
    database = services.settings["POLICY_DATABASE_URL"].rsplit("/", 1)[1]
    text = postgres.psql(
        f"SELECT source, usd FROM usage WHERE organisation = '{organisation}'",  # noqa: S608
        database=database,
    )
    return [line.split("|") for line in text.splitlines()]


async def until_nothing_drifts(services: ServiceGroup) -> None:
    """Every counter equals the ledger, as soon as what is under way has ended."""
    until_s = time.monotonic() + 30
    while drifts := await services.drifts():
        assert time.monotonic() < until_s, drifts
        await asyncio.sleep(0.1)


@pytest.mark.integration
@pytest.mark.parametrize("shape", ["flat", "tree"])
@pytest.mark.parametrize("measure", list(Measure))
async def test_exactly_k_of_200_are_let_in_and_the_next_period_is_whole_again(
    services: ServiceGroup, postgres: PostgresServer, measure: Measure, shape: str
) -> None:
    name = f"{shape}-{measure}-{K}" if shape == "flat" else f"tree-{measure}"
    caller = await services.caller(name)
    questions = [question(caller)] * 200

    let_in = admitted(await all_at_once(services.urls, questions))

    assert len(let_in) == K
    await settle(services, let_in)
    rows = eventually(lambda: _complete(written(postgres, services, name), K))
    assert {source for source, _ in rows} == {"provider"}
    assert sum(Decimal(usd) for _, usd in rows) == K * Decimal("0.00005")
    services.move_clock(timedelta(days=32))
    await refill(services, name, measure)


def _complete(rows: list[list[str]], count: int) -> list[list[str]] | None:
    assert len(rows) <= count
    return rows if len(rows) == count else None


@pytest.mark.integration
@pytest.mark.parametrize(
    ("company", "fits"), [(MANY[0], 555), (MANY[1], 556)], ids=["usd_per_day", "tokens_per_minute"]
)
async def test_exactly_as_many_of_2000_are_let_in(
    services: ServiceGroup, company: Mapping[str, Any], fits: int
) -> None:
    caller = await services.caller(company["id"])

    answers = await all_at_once(services.urls, [question(caller)] * 2000)

    let_in = admitted(answers)
    assert len(answers) == 2000
    assert len(let_in) == fits
    await settle(services, let_in)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("company", "fits"),
    [(company, 90 + number) for number, company in enumerate(REBUILT)],
    ids=[company["id"] for company in REBUILT],
)
async def test_exactly_k_are_let_in_while_the_counters_are_rebuilt_again_and_again(
    services: ServiceGroup, postgres: PostgresServer, company: Mapping[str, Any], fits: int
) -> None:
    caller = await services.caller(company["id"])
    rebuilding = asyncio.create_task(services.rebuild_every(0.05))

    let_in = admitted(await all_at_once(services.urls, [question(caller)] * 200, most_open=100))
    await settle(services, let_in)
    more = admitted(await all_at_once(services.urls, [question(caller)] * 20))

    rebuilding.cancel()
    assert len(let_in) == fits
    await settle(services, more)
    eventually(lambda: _complete(written(postgres, services, company["id"]), fits + len(more)))
    await until_nothing_drifts(services)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("company", "measure", "fits"),
    [(KILLED[0], Measure.USD_PER_MONTH, 101), (KILLED[1], Measure.TOKENS_PER_DAY, 102)],
    ids=["usd_per_month", "tokens_per_day"],
)
async def test_a_process_that_is_killed_meanwhile_leaves_leases_that_settle_as_estimates(
    services: ServiceGroup,
    postgres: PostgresServer,
    company: Mapping[str, Any],
    measure: Measure,
    fits: int,
) -> None:
    name = company["id"]
    caller = await services.caller(name)
    victim = services.ports[-1]
    asking = asyncio.create_task(
        all_at_once(services.urls, [question(caller)] * 600, most_open=120)
    )
    await asyncio.sleep(0.15)  # in the middle of it; whenever it is, the sum must be right
    services.kill(victim)

    answers = await asking
    let_in = admitted(answers)

    # What the dead one had reserved is still reserved: nobody else gets it.
    assert None in answers
    assert len(let_in) <= fits
    assert not admitted(await all_at_once(services.urls, [question(caller)] * 20))
    await settle(services, let_in)
    services.start(victim)
    services.move_clock(timedelta(seconds=LEASE_S + 1))
    rows = eventually(lambda: _complete(written(postgres, services, name), fits))
    sources = [source for source, _ in rows]
    assert sources.count("provider") == len(let_in)
    assert sources.count("estimated") == fits - len(let_in)
    await until_nothing_drifts(services)
    services.move_clock(timedelta(days=32))
    await refill(services, name, measure)


@pytest.mark.integration
async def test_at_the_end_every_counter_equals_the_ledger_to_the_last_digit(
    services: ServiceGroup,
) -> None:
    await until_nothing_drifts(services)
