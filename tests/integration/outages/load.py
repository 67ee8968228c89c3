"""Load as the plugins make it: decide, answer, report; a report waits until it is taken."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import msgspec

from kong_plugins.llm_token_meter.report import reservation_of, unsent
from llm_core.ids import RANDOM_BITS, sortable_id
from llm_core.operation import Operation
from llm_core.policy.allowance import worst_case
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller
from llm_core.policy.decision import (
    Decision,
    DecisionRequest,
    Obligations,
    Transport,
    UsageReport,
)
from llm_core.policy.limits import Amounts
from llm_core.policy.route import AS_USUAL, RouteOptions
from llm_core.tokens.usage import TokenUsage
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.services.reconcile import Reconciling
from tests.fixtures.postgres_server import PostgresServer
from tests.fixtures.redis_server import patient_store
from tests.fixtures.service_group import INTERNAL, ServiceGroup

MODELS: Mapping[str, Any] = {
    "models": [
        {
            "alias": "exact",
            "deployments": [
                {
                    "id": "exact",
                    "provider": "openai",
                    "model": "exact",
                    "base_url": "http://127.0.0.1:9/v1",
                    "credential": "openai",
                    "region": "eu",
                    "max_output_tokens": 50,
                }
            ],
        }
    ]
}
PRICES = """
currency: USD
per_tokens: 1000000
models:
  - provider: openai
    model: exact
    prices: [{from: 2020-01-01, rates: {input: 1, output: 2}}]
"""
CALL = Call(
    operation=Operation.CHAT_COMPLETIONS,
    asked_model="exact",
    prompt_tokens=100,
    max_output_tokens=50,
)
LEASE_S = 30
_RETRY_S = 0.2


def amounts_of(decision: Decision) -> Amounts:
    """What a call takes at worst, which is what the load says that it used."""
    return worst_case(CALL, decision.deployments, Obligations())


@dataclass
class Load:
    """What a number of clients did.

    Args:
        allowed: Calls that were let in, as they were decided.
        reported: Outcomes by decision, of reports that were taken.
        refused: Status codes of decisions that were not had, with their counts.
        under_way: Calls between their decision and the end of their report.
        timeout_s: How long an answer is waited for; more where none may be missed.
    """

    services: ServiceGroup
    caller: Caller
    route: RouteOptions = AS_USUAL
    hold_s: float = 0.05
    timeout_s: float = 5.0
    allowed: dict[str, Decision] = field(default_factory=dict)
    reported: dict[str, str] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    under_way: set[str] = field(default_factory=set)
    _turn: int = 0
    _asked: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def running(self, clients: int = 8) -> AsyncIterator[None]:
        """Go on until the block ends, then wait until every report is taken."""
        stop = asyncio.Event()
        tasks = [asyncio.create_task(self._go_on(stop)) for _ in range(clients)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def more(self, count: int) -> None:
        """So many calls more were let in."""
        until = len(self.allowed) + count
        async with asyncio.timeout(60):
            while len(self.allowed) < until:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)

    async def until_refused(self) -> None:
        """A limit was full."""
        async with asyncio.timeout(60):
            while 429 not in self.refused:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)

    async def left(self, url: str) -> None:
        """Nobody waits for an answer of a process any more."""
        async with asyncio.timeout(60):
            while self._asked[url]:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)

    async def once(self, client: httpx.AsyncClient) -> None:
        """One call, from its decision to its report."""
        decision_id = new_id()
        decision = await self._decided(client, decision_id)
        if decision is None:
            await self._taken_back(client, decision_id)
            return
        if decision.denial is not None:
            self._count(decision.denial.status)
            await asyncio.sleep(_RETRY_S)
            return
        self.allowed[decision_id] = decision
        self.under_way.add(decision_id)
        await asyncio.sleep(self.hold_s)
        await self.report(client, decision)
        self.under_way.discard(decision_id)

    async def unheard(self, client: httpx.AsyncClient) -> None:
        """One call that is let in, whose answer nobody hears: its lease charges the estimate."""
        decision = await self._decided(client, new_id())
        assert decision is not None
        assert decision.denial is None

    async def report(self, client: httpx.AsyncClient, decision: Decision) -> None:
        """Report until it is taken, as the meter and its journal do."""
        used = amounts_of(decision)
        report = UsageReport(
            decision.deployments[0].deployment.id,
            Transport.DIRECT,
            200,
            usage=TokenUsage(used.input_tokens, output_tokens=used.output_tokens),
        )
        whole = replace(report, reservation=reservation_of(decision, CALL, self.caller))
        while True:
            outcome = await self._send(client, decision.decision_id, report)
            if outcome is not None and outcome != "unknown":
                self.reported[decision.decision_id] = outcome
                return
            report = whole
            if outcome is None:
                await asyncio.sleep(_RETRY_S)

    async def _go_on(self, stop: asyncio.Event) -> None:
        async with httpx.AsyncClient(headers=INTERNAL, timeout=self.timeout_s) as client:
            while not stop.is_set():
                await self.once(client)

    async def _decided(self, client: httpx.AsyncClient, decision_id: str) -> Decision | None:
        request = DecisionRequest(self.caller, CALL, decision_id, self.route)
        try:
            with self._asking() as url:
                answer = await client.post(
                    f"{url}/v1/decisions", content=msgspec.json.encode(request)
                )
        except httpx.TransportError:
            self._count(0)
            return None
        if answer.is_success:
            return msgspec.json.decode(answer.content, type=Decision)
        self._count(answer.status_code)
        return None

    async def _taken_back(self, client: httpx.AsyncClient, decision_id: str) -> None:
        """What may have been reserved is given back, as far as the service can be had."""
        for _ in range(3):
            await asyncio.sleep(_RETRY_S)
            if await self._send(client, decision_id, unsent()) not in (None, "unknown"):
                return

    async def _send(
        self, client: httpx.AsyncClient, decision_id: str, report: UsageReport
    ) -> str | None:
        try:
            with self._asking() as url:
                answer = await client.post(
                    f"{url}/v1/decisions/{decision_id}/usage", content=msgspec.json.encode(report)
                )
        except httpx.TransportError:
            return None
        outcome: str | None = answer.json()["outcome"] if answer.is_success else None
        return outcome

    @contextmanager
    def _asking(self) -> Iterator[str]:
        """The next process in turn, which is waited for meanwhile."""
        self._turn += 1
        urls = self.services.urls
        url = urls[self._turn % len(urls)]
        self._asked[url] += 1
        try:
            yield url
        finally:
            self._asked[url] -= 1

    def _count(self, status: int) -> None:
        self.refused[status] = self.refused.get(status, 0) + 1


def new_id() -> str:
    """A decision's id, as the meter makes it."""
    return sortable_id("dec", 1, secrets.randbits(RANDOM_BITS))


@dataclass
class Books:
    """The ledger and the counters, read past the service."""

    services: ServiceGroup
    redis_url: str
    postgres: PostgresServer

    def rows(self, team: str) -> dict[str, tuple[Decimal, str]]:
        """USD and source of every row of a team, by decision."""
        text = self.postgres.psql(
            f"SELECT decision_id, usd, source FROM usage WHERE team = '{team}'",  # noqa: S608
            database=self._database,
        )
        lines = [line.split("|") for line in text.splitlines()]
        assert len({line[0] for line in lines}) == len(lines)
        return {line[0]: (Decimal(line[1]), line[2]) for line in lines}

    def rolled_up(self, team: str) -> tuple[int, Decimal]:
        """Requests and USD of a team by the roll-ups."""
        text = self.postgres.psql(
            "SELECT coalesce(sum(requests), 0), coalesce(sum(usd), 0) FROM usage_hourly "  # noqa: S608
            f"WHERE team = '{team}'",
            database=self._database,
        )
        requests, usd = text.split("|")
        return int(requests), Decimal(usd)

    async def settled(self, load: Load, team: str, timeout_s: float = 90) -> dict[str, Any]:
        """Wait until every call has its row, and no lease is open; then the rows."""
        self.services.move_clock(timedelta(seconds=LEASE_S + 1))
        async with asyncio.timeout(timeout_s):
            while True:
                rows = await asyncio.to_thread(self.rows, team)
                if load.allowed.keys() <= rows.keys() and await self.nothing_waits():
                    # Again: the last lease can have ended since they were read.
                    return await asyncio.to_thread(self.rows, team)
                await asyncio.sleep(0.5)

    async def check(self, load: Load, team: str) -> dict[str, tuple[Decimal, str]]:
        """No row lost, none doubled, each as it was reported, and the counters say the same."""
        rows = await self.settled(load, team)
        for decision_id, decision in load.allowed.items():
            assert rows[decision_id] == (amounts_of(decision).usd, "provider"), decision_id
        others = rows.keys() - load.allowed.keys()
        # Nobody heard that these were let in: free, or the estimate of a lease that ended.
        assert all(rows[one][0] == 0 or rows[one][1] == "estimated" for one in others)
        requests, usd = self.rolled_up(team)
        assert (requests, usd) == (len(rows), sum(usd for usd, _ in rows.values()))
        await self._no_drift(load)
        return rows

    async def _no_drift(self, load: Load) -> None:
        store, engine = patient_store(self.redis_url), open_engine(self._url)
        try:
            reconciling = Reconciling(store, SqlLedger(engine), lambda: self.services.now)
            compared = [one async for one in reconciling.check(load.caller.limits)]
        finally:
            await engine.dispose()
            await store.close()
        assert len(compared) > 0
        assert {one.limit.key: one.drift for one in compared if one.drift} == {}

    async def nothing_waits(self) -> bool:
        """No lease is open, no row queued; an estimate in the ledger may still be corrected."""
        store = patient_store(self.redis_url)
        try:
            unwritten = (await store.unwritten()).decision_ids
        finally:
            await store.close()
        return unwritten <= await asyncio.to_thread(self._estimates)

    def _estimates(self) -> frozenset[str]:
        """Decisions whose row stands at its estimate, whoever made them."""
        text = self.postgres.psql(
            "SELECT decision_id FROM usage WHERE source = 'estimated'", database=self._database
        )
        return frozenset(text.split())

    @property
    def _url(self) -> str:
        return self.services.settings["POLICY_DATABASE_URL"]

    @property
    def _database(self) -> str:
        return self._url.rpartition("/")[2]


async def caller_of(services: ServiceGroup, key: str) -> Caller:
    """Who is behind a key."""
    return msgspec.convert(await services.caller(key), Caller)
