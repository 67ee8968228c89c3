"""However many ask at once on an approval's amount: exactly as many are let in as it covers."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from llm_core.policy.approvals import ApprovalState, Step
from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.adapters.sql.approvals import SqlApprovals
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.ports.limits import Comparison
from policy_service.services.reconcile import Reconciling
from tests.fixtures.gateway import SECRETS
from tests.fixtures.policy_folder import requiring_approval
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import patient_store, start_redis
from tests.fixtures.service_group import INTERNAL, ServiceGroup, all_at_once, start_services
from tests.integration.exact.test_k_of_n import CALL, DEPLOYMENT, PRICES, takes

pytestmark = pytest.mark.integration

K = 13
REVOKER = Actor("command_line:ann", "command_line", (Grant(Role.PLATFORM_ADMIN, PLATFORM),))
ADMIN = {"authorization": f"Bearer {SECRETS['POLICY_ADMIN_TOKEN']}"}
WITHIN_S = 1.0
GIVE_UP_S = 20.0
USED = {"input_tokens": 60, "output_tokens": 20}
NAMES = ("capped", "settled", "two", "lost", "quick", "quiet")
COMPANY = {
    "id": "acme",
    "allowed_models": ["*"],
    "departments": [
        {"id": "engineering", "teams": [{"id": name, "keys": [{"name": name}]} for name in NAMES]}
    ],
}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceGroup]:
    folder = tmp_path_factory.mktemp("caps")
    (folder / "prices").mkdir()
    (folder / "prices" / "prices.yaml").write_text(PRICES)
    names = ("id", "model", "base_url", "credential", "region", "max_output_tokens")
    entry = {"provider": "openai", **{name: getattr(DEPLOYMENT, name) for name in names}}
    settings = {
        "POLICY_PRICES_DIR": str(folder / "prices"),
        "POLICY_REGO_DIR": str(requiring_approval(folder, ["exact"])),
    }
    with (
        start_postgres() as postgres,
        start_redis() as redis,
        start_services(
            folder,
            count=2,
            postgres=postgres,
            redis=redis,
            companies=[COMPANY],
            models={"models": [{"alias": "exact", "deployments": [entry]}]},
            settings=settings,
        ) as running,
    ):
        yield running


def covers(calls: int) -> str:
    """An amount that so many calls fit into, and not one more."""
    one = takes().usd
    return str((one * calls + one * Decimal("0.9")).quantize(Decimal("0.000001")))


async def granted(services: ServiceGroup, name: str, amount: str | None, **more: str) -> str:
    """An approval for the key's team: asked for by the key, granted by the root token."""
    caller = await services.caller(name)
    call = {"operation": "approvals.request", "asked_model": ""}
    wanted = {"model": "exact", "reason": "a test", "amount_usd": amount, **more}
    body = {"caller": caller, "call": call, "body": msgspec.json.encode(wanted)}
    async with httpx.AsyncClient(timeout=30) as client:
        asked = await client.post(
            f"{services.urls[0]}/v1/decisions",
            content=msgspec.json.encode(body),
            headers=INTERNAL,
        )
        approval_id: str = asked.json()["answer"]["id"]
        done = await client.post(
            f"{services.urls[0]}/admin/v1/approvals/{approval_id}/grant", headers=ADMIN
        )
    assert done.status_code == 200, done.text
    return approval_id


async def known_everywhere(services: ServiceGroup, name: str) -> float:
    """Every process has heard of the grant; the seconds that it took."""
    caller = await services.caller(name)
    began_s = time.monotonic()
    free = {**msgspec.to_builtins(CALL), "prompt_tokens": 0, "max_output_tokens": 10**9}
    async with httpx.AsyncClient(headers=INTERNAL, timeout=30) as client:
        for url in services.urls:
            while True:
                told = await client.post(
                    f"{url}/v1/decisions", json={"caller": caller, "call": free}
                )
                # Far too large: more than the amount covers, as soon as the approval is known.
                reasons = told.json()["denial"]["body"]["error"].get("reasons", ())
                if [one["code"] for one in reasons] == ["approval_too_small"]:
                    break
                assert time.monotonic() < began_s + GIVE_UP_S
                await asyncio.sleep(0.01)
    return time.monotonic() - began_s


def question(caller: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "/v1/decisions", {"caller": caller, "call": msgspec.to_builtins(CALL)}


async def admitted(services: ServiceGroup, name: str, calls: int) -> list[dict[str, Any]]:
    """The decisions that let a call in; the others are refused for lack of money."""
    caller = await services.caller(name)
    answers = await all_at_once(services.urls, [question(caller)] * calls)
    found = [answer for answer in answers if answer is not None]
    for one in found:
        assert one["denial"] is None or one["denial"]["status"] == 429, one["denial"]
    return [one for one in found if one["denial"] is None]


async def settle(services: ServiceGroup, decisions: list[dict[str, Any]]) -> None:
    report = {
        "deployment_id": "exact",
        "transport": "direct",
        "http_status": 200,
        "usage": USED,
        "source": "provider",
    }
    asked = [(f"/v1/decisions/{one['decision_id']}/usage", report) for one in decisions]
    for answer in await all_at_once(services.urls, asked):
        assert answer == {"outcome": "settled"}


def gatehouse(services: ServiceGroup, *words: str) -> str:
    """What a command says at the services' database and Redis."""
    done = subprocess.run(
        [sys.executable, "-m", "policy_service", *words],
        env={**os.environ, **services.settings},  # noqa: TID251 - another process's environment
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def compared(services: ServiceGroup) -> list[Comparison]:
    """The counters of approvals, and what the ledger says."""
    engine = open_engine(services.settings["POLICY_DATABASE_URL"])
    store = patient_store(services.settings["POLICY_REDIS_URL"])
    try:
        caps = await SqlApprovals(engine).caps()
        checked = Reconciling(store, SqlLedger(engine), lambda: services.now).check(caps)
        return [one async for one in checked]
    finally:
        await store.close()
        await engine.dispose()


async def test_of_50_at_once_exactly_those_are_let_in_that_the_amount_covers(
    services: ServiceGroup,
) -> None:
    approval_id = await granted(services, "capped", covers(K))
    await known_everywhere(services, "capped")
    let_in = await admitted(services, "capped", 50)
    assert len(let_in) == K
    assert {one["approval"] for one in let_in} == {approval_id}
    assert len(await admitted(services, "capped", 50)) == 0


async def test_what_settling_frees_can_be_used_and_nothing_drifts(services: ServiceGroup) -> None:
    approval_id = await granted(services, "settled", covers(K))
    await known_everywhere(services, "settled")
    spent, amount = Decimal(0), Decimal(covers(K))
    while let_in := await admitted(services, "settled", 50):
        await settle(services, let_in)
        spent += len(let_in) * (Decimal(60) * Decimal("0.5") + 20) / 1_000_000
    assert amount - takes().usd < spent <= amount
    until_s = time.monotonic() + 20
    while any(one.drift for one in await compared(services)):
        assert time.monotonic() < until_s, await compared(services)
        await asyncio.sleep(0.1)
    [own] = [one for one in await compared(services) if approval_id in one.limit.key]
    assert own.counted == own.expected == spent
    found = await asyncio.to_thread(gatehouse, services, "approvals", "show", approval_id)
    assert f"{spent.normalize():f}" in found
    checked = await asyncio.to_thread(gatehouse, services, "ledger", "check", "--verbose")
    assert "approval:" in checked
    assert "All agree." in checked


async def test_of_two_grants_the_one_with_room_is_relied_on(services: ServiceGroup) -> None:
    first = await granted(
        services, "two", covers(2), until=(datetime.now(UTC) + timedelta(days=1)).isoformat()
    )
    second = await granted(
        services, "two", covers(3), until=(datetime.now(UTC) + timedelta(days=2)).isoformat()
    )
    await known_everywhere(services, "two")
    await asyncio.sleep(WITHIN_S)
    let_in = await admitted(services, "two", 50)
    relied = [one["approval"] for one in let_in]
    assert (relied.count(first), relied.count(second)) == (2, 3)


async def test_counters_that_are_lost_are_made_anew_from_the_ledger(
    services: ServiceGroup,
) -> None:
    await granted(services, "lost", covers(K))
    await known_everywhere(services, "lost")
    await settle(services, (await admitted(services, "lost", 50))[:5])
    store = patient_store(services.settings["POLICY_REDIS_URL"])
    await store.rebuild()
    await store.close()
    # Five of 13 have given back what they did not use; no more fits than that.
    one = takes().usd
    freed = 5 * (one - (Decimal(60) * Decimal("0.5") + 20) / 1_000_000) + one * Decimal("0.9")
    assert len(await admitted(services, "lost", 50)) == freed // one


async def test_plugins_forget_nobody_over_an_approval(services: ServiceGroup) -> None:
    async with (
        httpx.AsyncClient(headers=INTERNAL, timeout=30) as client,
        client.stream("GET", f"{services.urls[1]}/v1/callers/changes") as answer,
    ):
        lines = answer.aiter_lines()
        told = [msgspec.json.decode(await anext(lines))["event"]]
        await granted(services, "quiet", covers(1))
        told += [msgspec.json.decode(await anext(lines))["event"] for _ in range(2)]
    assert told == ["hello", "heartbeat", "heartbeat"]


async def test_a_grant_is_heard_of_everywhere_within_a_second_and_so_is_its_end(
    services: ServiceGroup,
) -> None:
    took_s = []
    for _ in range(3):
        approval_id = await granted(services, "quick", covers(1))
        took_s.append(await known_everywhere(services, "quick"))
        engine = open_engine(services.settings["POLICY_DATABASE_URL"])
        approvals = SqlApprovals(engine)
        caller = await services.caller("quick")
        try:
            ended = await approvals.end(approval_id, Step.REVOKE, REVOKER, "over")
        finally:
            await engine.dispose()
        assert ended is not None
        assert ended.state is ApprovalState.REVOKED
        began_s = time.monotonic()
        while True:
            answers = await all_at_once(services.urls, [question(caller)] * 2)
            statuses = {one["denial"]["status"] for one in answers if one and one["denial"]}
            if statuses == {403}:
                break
            assert time.monotonic() < began_s + GIVE_UP_S, answers
        took_s.append(time.monotonic() - began_s)
    assert min(took_s) < WITHIN_S, took_s  # the others wait for their turn on a busy machine
