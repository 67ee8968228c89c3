"""Two processes of the service, what they look at, and a month in which everything goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.alerts.routing import ChannelRule, QuietHours, Routes
from llm_core.alerts.rules import AlertRules
from llm_core.audit.event import NewEvent
from llm_core.errors import PolicyUnavailable
from llm_core.policy.journal_standing import JournalStanding, written
from llm_core.policy.limits import Amounts, Limit, LimitState, Measure
from llm_core.policy.route import RouteOptions, WhenLimitsDown
from llm_core.routing.facts import BreakerState, DeploymentFacts
from policy_service.adapters.channels import (
    EmailChannel,
    Poster,
    SlackChannel,
    WebhookChannel,
)
from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.smtp import MailServer
from policy_service.adapters.sql.audit_chain import SqlAuditChain
from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.adapters.sql.incidents import SqlIncidents
from policy_service.adapters.sql.journals import SqlJournals
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.outbox import SqlOutbox
from policy_service.adapters.sql.tables import AuditLink
from policy_service.adapters.sql.thresholds import SqlAlerts
from policy_service.adapters.sql.watched import SqlWatched
from policy_service.ports.audit import Noted
from policy_service.ports.decision_log import LoggedDecision
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import Backlog, Refused
from policy_service.services.alerting.audit_chain import AuditChainWatcher
from policy_service.services.alerting.backlog import BacklogWatcher
from policy_service.services.alerting.budgets import BudgetTeller, BudgetWatcher
from policy_service.services.alerting.degraded import DegradedSighting, DegradedWatcher
from policy_service.services.alerting.deliverer import Deliverer
from policy_service.services.alerting.error_rate import ErrorRateWatcher
from policy_service.services.alerting.journals import JournalSightings, JournalWatcher
from policy_service.services.alerting.provider_down import ProviderDownWatcher
from policy_service.services.alerting.spend_anomaly import SpendAnomalyWatcher
from policy_service.services.alerting.unpriced import UnpricedWatcher
from policy_service.services.alerting.watch import Watch
from policy_service.services.degraded import DegradableLimits
from policy_service.services.thresholds import Thresholds
from tests.fakes.clock import FakeClock
from tests.fakes.known_health import KnownHealth
from tests.fakes.samples import CATALOGUE
from tests.fixtures.alert_receivers import SECRET, Mailbox, Receiver
from tests.fixtures.reservations import reservation
from tests.integration.sql.usage_rows import usage_row

MONTH = Limit("team:search", Measure.USD_PER_MONTH, Decimal(3000))
ALONE = Limit("project:nightly", Measure.USD_PER_DAY, Decimal(10))
"""Of this three processes spend half each, while none of them can ask the others."""

DEGRADED = RouteOptions(when_limits_down=WhenLimitsDown.DEGRADED, degraded_share=0.5)
QUIET = QuietHours(time(20), time(7), ZoneInfo("Europe/Berlin"))
"""Of the channel `chat`; Berlin is an hour ahead."""

JOURNAL = "gw-1:/var/lib/gatehouse/usage-journal.jsonl"
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC)
ODD_HOUR = datetime(2026, 11, 18, 10, tzinfo=UTC)
RULES = AlertRules()


class Counters(MemoryLimitsStore):
    """The shared store: its counters are what the ledger has; it may be away, or behind."""

    def __init__(self, ledger: SqlLedger) -> None:
        super().__init__()
        self.ledger, self.is_away, self.rows = ledger, False, 0

    async def states(self, limits: Sequence[Limit], now: datetime) -> tuple[LimitState, ...]:
        found = []
        for limit in limits:
            used = sum((one.amount for one in await self.ledger.spent(limit, now)), Decimal(0))
            found.append(LimitState(limit, used, 0))
        return tuple(found)

    async def reserve(self, *_: object) -> object:  # type: ignore[override]
        assert self.is_away
        raise PolicyUnavailable("away")

    async def ready(self) -> bool:
        return not self.is_away

    async def backlog(self) -> Backlog:
        return Backlog(0, self.rows)


class World:
    """Two processes of the service, and what they look at."""

    def __init__(
        self, engine: AsyncEngine, mailbox: Mailbox, hook: Receiver, slack: Receiver
    ) -> None:
        self.engine, self.clock = engine, FakeClock(START)
        self.mailbox, self.hook, self.slack = mailbox, hook, slack
        self.ledger, self.alerts = SqlLedger(engine), SqlAlerts(engine)
        self.chain = SqlAuditChain(engine, self.clock)
        self.counters, self.health = Counters(self.ledger), KnownHealth()
        self.incidents = SqlIncidents(engine)
        self.routes = Routes(
            (ChannelRule("ops"), ChannelRule("chat", quiet=(QUIET,)), ChannelRule("finance"))
        )
        self.chat_at: list[datetime] = []
        slack.on_post = lambda: self.chat_at.append(self.clock())
        self.channels = {
            "ops": WebhookChannel("ops", Poster(hook.url, SECRET)),
            "chat": SlackChannel("chat", Poster(slack.url)),
            "finance": EmailChannel(
                "finance",
                MailServer("127.0.0.1", mailbox.port, "none"),
                "gatehouse@example.com",
                ["finance@example.com", "cfo@example.com"],
            ),
        }
        self.degradable = [
            DegradableLimits(self.counters, MemoryLimitsStore, self.ledger, self.clock)
            for _ in range(3)
        ]
        self.thresholds = Thresholds(
            self.counters,
            self.ledger,
            self.alerts,
            self.clock,
            (50,),
            BudgetTeller(self.incidents, self.routes),
        )
        self.sightings = [
            DegradedSighting(
                one,
                self.alerts,
                self.ledger,
                self.incidents,
                self.clock,
                self.routes,
                RULES,
            )
            for one in self.degradable
        ]
        self.journals = SqlJournals(engine)
        self.hearing = [JournalSightings(self.journals, self.clock) for _ in range(2)]
        self.watches: list[Watch] = []
        self.deliverers: list[Deliverer] = []
        self.start("first")

    def start(self, name: str) -> None:
        """Two new processes in place of those before, which are gone without a word."""
        watched = SqlWatched(self.engine)
        self.watches = [
            Watch(
                [
                    BudgetWatcher(self.alerts, self.ledger),
                    SpendAnomalyWatcher(watched, RULES.spend_anomaly),
                    ProviderDownWatcher(CATALOGUE, self.health, RULES.provider_down_after),
                    ErrorRateWatcher(watched, RULES.error_rate),
                    DegradedWatcher(self.alerts, self.ledger),
                    UnpricedWatcher(watched, RULES.unpriced_window),
                    AuditChainWatcher(self.chain, RULES.audit_chain),
                    BacklogWatcher(self.counters, RULES.backlog),
                    JournalWatcher(self.journals, RULES.journal_growing),
                ],
                self.incidents,
                self.chain,
                self.clock,
                self.routes,
                RULES,
                f"{name}-{n}",
            )
            for n in range(2)
        ]
        outbox = SqlOutbox(self.engine)
        self.deliverers = [
            Deliverer(outbox, self.channels, self.routes, self.clock, f"{name}-{n}")
            for n in range(2)
        ]

    async def step(self) -> None:
        """Everything that runs in the background, once in each process."""
        self.thresholds.moved([MONTH])
        await self.thresholds.step()
        for step in (*self.sightings, *self.hearing):
            await step.step()
        for watch in self.watches:
            await watch.step()
        while sum(await asyncio.gather(*(one.step() for one in self.deliverers))):
            pass

    async def set_down(self) -> None:
        """A provider is down, and so is a receiver: for three hours."""
        until = self.clock() + HOUR
        self.health.known["openai-mini"] = DeploymentFacts(BreakerState.OPEN, opens_until=until)
        self.hook.status, self.mailbox.refuses = 503, "451 come back later"

    async def set_up(self) -> None:
        self.health.known.clear()
        self.hook.status, self.mailbox.refuses = 204, ""

    async def fail_calls(self) -> None:
        at = self.clock() - 5 * MINUTE
        await self.ledger.record(
            [
                usage_row(
                    f"dec_e{n}",
                    at=at,
                    usd=Decimal(0),
                    error_class="timeout" if n % 3 == 0 else "none",
                )
                for n in range(30)
            ]
        )

    async def lose_limits(self) -> None:
        """Each process admits half of what is left, and not a cent more."""
        self.counters.is_away = True
        amounts = Amounts(requests=1, input_tokens=10, output_tokens=10, usd=Decimal(5))
        for number, alone in enumerate(self.degradable):
            for name, is_refused in ((f"dec_alone{number}", False), (f"dec_more{number}", True)):
                held = replace(reservation(name, [ALONE]), route=DEGRADED, usd=Decimal(5))
                outcome = await alone.reserve(held, amounts, self.clock())
                assert isinstance(outcome, Refused) is is_refused

    async def find_limits(self) -> None:
        """What was admitted is settled, elsewhere, and in the ledger."""
        await self.ledger.record(
            [
                usage_row(f"dec_alone{n}", at=self.clock(), usd=Decimal(5), project="nightly")
                for n in range(len(self.degradable))
            ]
        )
        self.counters.is_away = False
        for alone in self.degradable:
            alone._held.clear()
            running = asyncio.create_task(alone.run())
            async with asyncio.timeout(10):
                while alone.is_away:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.001)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def refuse_unpriced(self) -> None:
        refused = {"allow": False, "code": "unpriced_model", "status": 503, "codes": []}
        decision = LoggedDecision(
            decision_id="dec_u",
            at=self.clock() - MINUTE,
            organisation="acme",
            department="research",
            team="search",
            user=None,
            operation="chat.completions",
            asked_model="brand-new",
            allow=True,
            codes=(),
            revision="r1",
            engine="opa",
            duration_ms=1.0,
            input_digest="",
            input=None,
            result={"outcome": refused},
        )
        await SqlDecisionLog(self.engine).record([decision])

    async def write_audit(self) -> None:
        await self.chain.append(
            [
                Noted(
                    NewEvent(
                        f"evt_{n}", "org:acme", self.clock(), "key.revoke", "user:a", f"key:{n}", {}
                    )
                )
                for n in range(5)
            ]
        )

    async def forge_audit(self, actor: str = "user:b") -> None:
        async with self.engine.begin() as connection:
            await connection.execute(
                update(AuditLink).where(AuditLink.id == "evt_2").values(actor=actor)
            )

    async def mend_audit(self) -> None:
        await self.forge_audit("user:a")

    async def pile_up(self) -> None:
        self.counters.rows = 50_000

    async def catch_up(self) -> None:
        self.counters.rows = 10

    async def hold_reports(self) -> None:
        """A host's journal says that it waits; to one process now and to another one then."""
        self.hearing.reverse()
        self.hearing[0].note(written(JournalStanding(JOURNAL, 500, 60, is_full=False)))

    async def deliver_reports(self) -> None:
        self.hearing.reverse()
        self.hearing[0].note(written(JournalStanding(JOURNAL, 0, 0, is_full=False)))

    async def exchange(self) -> None:
        self.start("second")

    def happenings(self) -> dict[datetime, Callable[[], Awaitable[None]]]:
        """What happens when."""

        def at(day: int, hour: int, minute: int = 0) -> datetime:
            return datetime(2026, 11, day, hour, minute, tzinfo=UTC)

        return {
            at(3, 9): self.write_audit,
            at(5, 9): self.set_down,
            at(5, 12): self.set_up,
            at(9, 13): self.fail_calls,
            at(11, 13): self.lose_limits,
            at(11, 13, 10): self.find_limits,
            at(12, 13): self.refuse_unpriced,
            at(15, 1): self.exchange,
            at(16, 22): self.forge_audit,
            at(17, 1): self.mend_audit,
            at(24, 22): self.pile_up,
            at(25, 2): self.catch_up,
            **{at(26, 13, minute): self.hold_reports for minute in (0, 2, 4, 6)},
            at(26, 15): self.deliver_reports,
            at(27, 9): self.hold_reports,  # for a moment, which is nothing to tell
            at(27, 9, 1): self.deliver_reports,
        }


def spending() -> list[UsageRow]:
    """Ten weeks of habit, a burst at each month's end, and one hour that is out of the ordinary."""
    rows: list[UsageRow] = []
    first = datetime(2026, 8, 24, tzinfo=UTC)
    for day in (first + n * timedelta(days=1) for n in range((END - first).days)):
        is_end = (day + timedelta(days=1)).day == 1
        if day.weekday() < 5 or is_end:
            for hour in (10, 16):
                at = day + hour * HOUR
                usd = 900 if at == ODD_HOUR else 600 if is_end else 40
                rows.append(usage_row(f"dec_{at:%m%d%H}", at=at, usd=Decimal(usd)))
    return rows
