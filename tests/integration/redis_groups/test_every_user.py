"""Whatever uses Redis uses it behind Sentinels and in a cluster as well."""

import asyncio
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import redis.exceptions
from redis.crc import key_slot

from llm_core.errors import PolicyUnavailable
from llm_core.routing.facts import BreakerState
from policy_service.adapters.redis_cache import RedisCache
from policy_service.adapters.redis_changes import RedisWakes
from policy_service.adapters.redis_health import RedisHealth
from policy_service.adapters.redis_limits import RedisLimitsStore
from policy_service.adapters.redis_pool import redis_client
from policy_service.adapters.redis_spool import RedisSpool
from policy_service.cli.doctor.findings import State
from policy_service.cli.doctor.neighbours import redis_findings
from policy_service.ports.limits import Refused, Reserved, SettleOutcome
from tests.fakes.clock import FakeClock
from tests.fixtures.redis_group import QUOTED, RedisGroup, start_sentinels
from tests.fixtures.redis_server import patient_store
from tests.fixtures.reservations import NOW, amounts, prime, reservation, usd_limit
from tests.integration.audit.test_redis_spool import NOTED, unpacked
from tests.integration.doctor.test_neighbours import settings, told
from tests.integration.health.test_redis_health import FAILED, RULES
from tests.integration.limits.test_redis_faults import CALLS
from tests.unit.policy_service.adapters.test_http_pool import certificate

pytestmark = pytest.mark.integration

patient_client = partial(
    redis_client, slot_of="{limits}", connect_timeout_s=30, command_timeout_s=30, max_connections=4
)


async def test_limits_hold_over_two_processes(group_url: str) -> None:
    one, other = patient_store(group_url), patient_store(group_url)
    limit = usd_limit("10")
    await prime(one, limit, Decimal(4), NOW)
    asked = [
        store.reserve(reservation(f"d{number}", [limit]), amounts(0, "1"), NOW)
        for number, store in enumerate([one, other] * 5)
    ]
    outcomes = await asyncio.gather(*asked)
    assert sum(isinstance(outcome, Reserved) for outcome in outcomes) == 6
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 4
    let_in = [f"d{n}" for n, outcome in enumerate(outcomes) if isinstance(outcome, Reserved)]
    for name in let_in:
        outcome = await other.settle(name, amounts(0, "0.5"), name.encode(), NOW)
        assert outcome is SettleOutcome.SETTLED
    [state] = await one.states([limit], NOW)
    assert state.used == 7
    rows = await one.take_rows(100, 0)
    assert sorted(row.row for row in rows) == [name.encode() for name in let_in]
    assert await other.acknowledge(rows)
    assert await one.incarnation() == await other.incarnation() != ""
    await one.close()
    await other.close()


@pytest.mark.parametrize("call", CALLS)
async def test_every_step_of_the_limits_works(group_url: str, call: str) -> None:
    store: RedisLimitsStore = patient_store(group_url, prefix=call)
    await CALLS[call](store)
    assert await store.ready()
    await store.close()


async def test_breakers_are_shared(group_url: str) -> None:
    clock = FakeClock()
    one, other = (RedisHealth(group_url, RULES, clock, deployment_ids=["d", "e"]) for _ in range(2))
    for _ in range(RULES.failures_in_a_row):
        one.observe(FAILED)
    await one.refresh()
    await other.refresh()
    assert other.facts("d").breaker is BreakerState.OPEN
    clock.advance(RULES.open_s + 1)
    assert [await one.may_try("d"), await other.may_try("d")] == [True, False]
    await one.close()
    await other.close()


async def test_answers_are_kept_and_waited_for(group_url: str) -> None:
    one, other = (RedisCache(group_url, command_timeout_s=30) for _ in range(2))
    for number in range(20):
        assert await one.claim(f"k{number}", "one", 60)
        await one.put(f"k{number}", b"answer %d" % number, 60)
        await one.release(f"k{number}", "one")
        assert await other.wait(f"k{number}", 30) == b"answer %d" % number
    await one.close()
    await other.close()


async def test_events_wait_until_they_are_written(group_url: str) -> None:
    spool = RedisSpool(group_url)
    await spool.put(NOTED)
    taken = await spool.take(10, 1)
    assert unpacked(taken) == NOTED
    await spool.done(taken)
    spool.start_over()
    assert await spool.take(10, 0) == []
    await spool.close()


async def test_processes_wake_each_other(group_url: str) -> None:
    here, there = RedisWakes(group_url), RedisWakes(group_url)
    heard = here.received()
    async with asyncio.timeout(20):
        await anext(heard)  # that it listens
        await there.send()
        await anext(heard)
    await heard.aclose()  # type: ignore[attr-defined] - it is a generator
    await here.close()
    await there.close()


async def test_the_doctor_finds_nothing_to_mend(group_url: str, tmp_path: Path) -> None:
    findings = redis_findings(settings(tmp_path, redis_url=group_url))
    assert await told(findings, State.BROKEN) == []
    findings = redis_findings(settings(tmp_path, redis_url=group_url))
    assert await told(findings, State.WARNING) == [
        "It writes no append-only file: after its restart counters come from the ledger, without "
        "what was not booked yet."
    ]


async def test_a_cluster_takes_its_own_address_alone(
    cluster: RedisGroup, sentinels: RedisGroup, tmp_path: Path
) -> None:
    plain = f"redis://:{QUOTED}@127.0.0.1:{cluster.primary.port}/0"
    findings = redis_findings(settings(tmp_path, redis_url=plain))
    assert await told(findings, State.BROKEN) == [
        "It is a node of a Redis Cluster, whose keys may be anywhere."
    ]
    no_cluster = f"redis+cluster://:{QUOTED}@127.0.0.1:{sentinels.primary.port}"
    findings = redis_findings(settings(tmp_path, redis_url=no_cluster))
    [why] = await told(findings, State.BROKEN)
    assert "it is no node of a Redis Cluster" in why
    nobody = sentinels.url.replace("/gatehouse/0", "/another/0")
    findings = redis_findings(settings(tmp_path, redis_url=nobody))
    [why] = await told(findings, State.BROKEN)
    assert "Sentinels know no primary of that name" in why


async def test_a_wrong_password_is_told_without_it(sentinels: RedisGroup, tmp_path: Path) -> None:
    wrong = sentinels.url.replace(QUOTED, "p4ss")
    [why] = await told(redis_findings(settings(tmp_path, redis_url=wrong)), State.BROKEN)
    assert "the password is refused" in why
    assert "p4ss" not in why


async def test_a_replica_is_no_primary_though_a_sentinel_may_still_say_so(
    sentinels: RedisGroup,
) -> None:
    client = patient_client(sentinels.url)
    pool = client.connection_pool
    assert await client.ping()
    pool.moved(("127.0.0.1", sentinels.replica.port))  # type: ignore[attr-defined]
    with pytest.raises(redis.exceptions.ConnectionError):
        await client.set("{limits}k", "v")
    assert await client.set("{limits}k", "v")
    await client.aclose()


async def test_a_slot_that_moved_is_followed(cluster: RedisGroup) -> None:
    client = patient_client(cluster.url)
    assert await client.set("{limits}k", "v")
    pool = client.connection_pool
    pool.moved(("127.0.0.1", cluster.replica.port))  # type: ignore[attr-defined]
    with pytest.raises(redis.exceptions.ConnectionError):
        await client.get("{limits}k")
    assert await client.get("{limits}k") == b"v"
    await client.aclose()


async def test_everything_may_be_spoken_over_tls(tmp_path: Path) -> None:
    with start_sentinels(certificate(tmp_path)) as group:
        store = patient_store(group.url)
        assert await store.ready()
        await store.close()
        untrusted = patient_store(group.url.partition("&ssl_ca_certs")[0])
        with pytest.raises(PolicyUnavailable):
            await untrusted.backlog()
        await untrusted.close()


def test_all_keys_of_one_client_lie_in_one_slot() -> None:
    assert key_slot(b"gatehouse:2:{limits}:leases") == key_slot(b"{limits}")
