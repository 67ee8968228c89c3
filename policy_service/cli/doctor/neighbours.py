"""Looks at what the service works with: database, Redis, OPA, and whether their clocks agree."""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from redis.exceptions import RedisError
from sqlalchemy import text

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.opa_policy import OpaPolicy
from policy_service.adapters.redis_address import address_of
from policy_service.adapters.redis_pool import redis_client
from policy_service.adapters.sql import schema
from policy_service.adapters.sql.engine import open_engine, reading
from policy_service.cli.database import shown_url
from policy_service.cli.doctor.findings import Finding, broken, good, unseen, warning
from policy_service.cli.doctor.reasons import place_of, reason_of
from policy_service.settings import Settings

MOST_SKEW_S = 5.0
"""Tickets live for half a minute and minutes are counted by the clock, so this much is harmless."""
_TIMEOUT_S = 3.0
_DOES_NOT_EVICT = "noeviction"


async def database_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the database answers, has this version's tables, and agrees on the time."""
    try:
        engine = open_engine(settings.database_url)
    except ValueError as fault:
        yield broken("database", f"{fault}.", "Mend POLICY_DATABASE_URL.")
        return
    is_sqlite = engine.dialect.name == "sqlite"
    try:
        is_current = await schema.is_current(engine)
        is_enough = await schema.is_enough(engine)
        async with reading(engine) as connection:
            told = None if is_sqlite else await connection.scalar(text("SELECT now()"))
    except PolicyUnavailable as fault:
        yield broken(
            "database",
            f"{shown_url(settings.database_url)} cannot be used: {reason_of(fault)}.",
            "Mend POLICY_DATABASE_URL; the folder must be there, and be ours to write."
            if is_sqlite
            else "Start it, or mend POLICY_DATABASE_URL: address, user, password, name.",
        )
        return
    finally:
        await engine.dispose()
    if is_enough and not is_current:
        yield warning(
            "database",
            "Its tables are a newer version's, with which this one can work.",
            "Go on to that version, or stay here while you go back (docs/upgrading.md).",
        )
    elif not is_current:
        yield broken(
            "database",
            "Its tables are not this version's.",
            "Run `gatehouse migrate` (`gatehouse serve` does so at its start).",
        )
    elif is_sqlite:
        yield warning(
            "database",
            "It answers. It is SQLite: good for one process on one machine.",
            "Use PostgreSQL for more (`POLICY_DATABASE_URL=postgresql://...`).",
        )
    else:
        yield good("database", "PostgreSQL answers, and its tables are this version's.")
    if told is not None:
        yield _skew("the database's", cast(datetime, told))


async def redis_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Whether Redis answers, keeps what it is given, and agrees on the time."""
    if settings.redis_url is None:
        yield unseen(
            "redis",
            "POLICY_REDIS_URL is not set: limits live in one process.",
            "Set it before the service runs in more than one.",
        )
        return
    try:
        client = redis_client(
            settings.redis_url,
            slot_of="{limits}",
            connect_timeout_s=_TIMEOUT_S,
            command_timeout_s=_TIMEOUT_S,
            max_connections=1,
        )
    except ValueError as fault:
        yield broken(
            "redis",
            f"{fault}.",
            "Write POLICY_REDIS_URL as redis://host:6379/0, redis+sentinel://host:26379/name/0 or "
            "redis+cluster://host:6379.",
        )
        return
    try:
        seconds, microseconds = await client.time()
        about = await client.info()
    except (RedisError, OSError) as fault:
        yield broken(
            "redis",
            f"{place_of(settings.redis_url)} cannot be used: {reason_of(fault)}.",
            "Start it, or mend POLICY_REDIS_URL: address, password, number.",
        )
        return
    finally:
        await client.aclose()
    yield good("redis", f"Redis {about.get('redis_version', '?')} answers.")
    for finding in _group_findings(settings.redis_url, about):
        yield finding
    if about.get("maxmemory_policy", _DOES_NOT_EVICT) != _DOES_NOT_EVICT:
        yield broken(
            "redis",
            f"It evicts keys (maxmemory-policy {about['maxmemory_policy']}), counters among them.",
            "Set `maxmemory-policy noeviction`; the response cache may have a Redis of its own "
            "(POLICY_CACHE_REDIS_URL).",
        )
    if not about.get("aof_enabled"):
        yield warning(
            "redis",
            "It writes no append-only file: after its restart counters come from the ledger, "
            "without what was not booked yet.",
            "Set `appendonly yes`.",
        )
    yield _skew("Redis'", datetime.fromtimestamp(seconds + microseconds / 1e6, UTC))


def _group_findings(url: str, about: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether what stands behind an address is what the address says, and can be replaced."""
    if address_of(url) is None:
        if about.get("cluster_enabled"):
            yield broken(
                "redis",
                "It is a node of a Redis Cluster, whose keys may be anywhere.",
                "Write POLICY_REDIS_URL as redis+cluster://host:6379,host:6379.",
            )
    elif not about.get("connected_slaves"):
        yield warning(
            "redis",
            "No replica follows the primary, so nobody can take its place.",
            "Give it a replica.",
        )


async def opa_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Whether OPA answers the question that the service asks; the empty one is always denied."""
    if settings.opa_url is None:
        yield unseen("opa", "POLICY_OPA_URL is not set: the embedded engine decides.")
        return
    try:
        opa = OpaPolicy(settings.opa_url, timeout_s=_TIMEOUT_S)
    except ValueError as fault:
        yield broken("opa", f"{fault}.", "Write POLICY_OPA_URL as http://host:8181.")
        return
    try:
        answer = await opa.evaluate({})
    except PolicyUnavailable as fault:
        remedy = "Start OPA, or mend POLICY_OPA_URL."
        if not settings.opa_push:
            remedy += " It must have loaded the policy's bundle, or POLICY_OPA_PUSH be on."
        why = str(fault).removesuffix(".")
        if fault.__cause__ is not None:
            why += f": {reason_of(fault)}"
        yield broken("opa", f"At {place_of(settings.opa_url)}: {why}.", remedy)
        return
    finally:
        await opa.close()
    yield good("opa", f"It answers, revision {answer.revision}.")


def _skew(whose: str, told: datetime) -> Finding:
    return clock_finding(whose, (told - datetime.now(UTC)).total_seconds())


def clock_finding(whose: str, ahead_s: float) -> Finding:
    """Whether another's clock is near enough to ours."""
    if abs(ahead_s) <= MOST_SKEW_S:
        return good("clock", f"Ours and {whose} agree.")
    way = "ahead of" if ahead_s > 0 else "behind"
    return broken(
        "clock",
        f"{whose[0].upper()}{whose[1:]} is {abs(ahead_s):.0f} s {way} ours, so tickets and limits "
        "of a minute go wrong.",
        "Let every machine follow the same time server (chrony, systemd-timesyncd).",
    )
