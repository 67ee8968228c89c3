"""What the ledger, the counters, the queue and the audit chain say when all has come to rest."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from redis.asyncio import Redis

from llm_core.policy.limits import Measure
from policy_service.adapters.redis_limits.keys import Keys
from policy_service.adapters.redis_spool import STREAM
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.organisation import Organisation
from tests.fixtures.redis_server import patient_store
from tests.soak.stack import LEASE_S, Stack

_AT_REST_WITHIN_S = LEASE_S + 100.0
_PREFIX = "gatehouse"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the ledger, as far as it is looked at."""

    decision_id: str
    digest: str
    team: str
    source: str
    error_class: str
    deployment: str
    tokens: tuple[int, int]
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Told:
    """What a command of ours said."""

    is_good: bool
    text: str


@dataclass
class Books:
    """Read past the service and past the wires."""

    stack: Stack

    async def at_rest(self) -> str | None:
        """Wait until nothing is under way; what still is after a long wait."""
        until_s = time.monotonic() + _AT_REST_WITHIN_S
        while True:
            waits = await self._waits()
            if waits is None or time.monotonic() > until_s:
                return waits
            await asyncio.sleep(0.5)

    async def rows(self) -> list[Row]:
        """The whole ledger."""
        found = await self._selected(
            "SELECT json_build_array(decision_id, coalesce(request_digest, ''), team, source, "
            "error_class, coalesce(deployment_id, ''), coalesce(input_tokens, 0), "
            "coalesce(output_tokens, 0), usd::text) FROM usage"
        )
        return [
            Row(*told, tokens=(taken, given), usd=Decimal(usd))
            for *told, taken, given, usd in found
        ]

    async def summed(self) -> tuple[int, Decimal]:
        """Requests and USD by the hourly sums."""
        [[requests, usd]] = await self._selected(
            "SELECT json_build_array(coalesce(sum(requests), 0), coalesce(sum(usd), 0)::text) "
            "FROM usage_hourly"
        )
        return requests, Decimal(usd)

    async def chained(self) -> set[str]:
        """Decisions that have an event in the audit chain."""
        found = await self._selected(
            "SELECT json_build_array(subject) FROM audit_chain WHERE kind = 'decision'"
        )
        return {str(subject).removeprefix("decision:") for [subject] in found}

    async def logged(self) -> set[str]:
        """Decisions in the decision log."""
        found = await self._selected("SELECT json_build_array(decision_id) FROM decisions")
        return {decision_id for [decision_id] in found}

    async def ledger_check(self) -> Told:
        """`gatehouse ledger check`."""
        redis = self.stack.redis.url
        return await self._command("ledger", "check", "--redis-url", redis)

    async def audit_verify(self) -> Told:
        """`gatehouse audit verify` with the public key."""
        return await self._command("audit", "verify", "-k", str(self.stack.public_key))

    async def under_way(self) -> dict[str, Decimal]:
        """What limits of calls under way still count."""
        engine = open_engine(self.stack.database_url)
        store = patient_store(self.stack.redis.url)
        try:
            limits = [
                limit
                for limit in await Organisation(engine).limits()
                if limit.measure is Measure.CONCURRENT_REQUESTS
            ]
            states = await store.states(limits, datetime.now(UTC))
        finally:
            await store.close()
            await engine.dispose()
        return {state.limit.key: state.used for state in states}

    async def _waits(self) -> str | None:
        redis = Redis.from_url(self.stack.redis.url)
        try:
            leases = await redis.zcard(Keys(_PREFIX).leases)
            events = await redis.xlen(STREAM)
        finally:
            await redis.aclose()
        if leases:
            return f"{leases} reservations are open"
        if events:
            return f"{events} hand-overs of events wait for their place in the audit chain"
        store = patient_store(self.stack.redis.url)
        try:
            unwritten = (await store.unwritten()).decision_ids
        finally:
            await store.close()
        estimated = {row.decision_id for row in await self.rows() if row.source == "estimated"}
        if left := unwritten - estimated:
            return f"{len(left)} rows are not written"
        journal = self.stack.prefix / "usage-journal.jsonl"
        if journal.exists() and journal.read_bytes():
            return f"{len(journal.read_bytes().splitlines())} reports wait in the journal"
        return None

    async def _selected(self, query: str) -> list[Any]:
        database = self.stack.database_url.rpartition("/")[2]
        text = await asyncio.to_thread(self.stack.postgres.psql, query, database=database)
        return [json.loads(line) for line in text.splitlines()]

    async def _command(self, *arguments: str) -> Told:
        def run() -> Told:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "policy_service", *arguments),
                    *("--database-url", self.stack.database_url),
                ],
                capture_output=True,
                text=True,
                check=False,
                env=_wide(os.environ),  # noqa: TID251 - another process's environment
            )
            return Told(done.returncode == 0, (done.stdout + done.stderr).strip())

        return await asyncio.to_thread(run)


def _wide(environment: Mapping[str, str]) -> dict[str, str]:
    """Tables are not folded."""
    return {**environment, "COLUMNS": "200"}
