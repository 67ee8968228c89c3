"""Reports are sent once over all processes, to a real mail server and a real webhook."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm_core.chargeback.rules import Allocation, Currency, Rules, SharedCost
from llm_core.policy.roles import Actor
from policy_service.adapters.mail import SmtpMail
from policy_service.adapters.report_hooks import HttpReportHooks
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.chargeback import SqlChargebacks
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.report_schedules import SqlReportSchedules
from policy_service.ports.report_schedules import (
    Cadence,
    NewRun,
    ReportKind,
    ReportSchedule,
    RunState,
)
from policy_service.services.report_periods import latest_over
from policy_service.services.report_sender import ReportSender
from tests.fakes.clock import FakeClock
from tests.fixtures.mail_server import MailServer, start_mail_server
from tests.fixtures.relaying import serving
from tests.integration.sql.usage_rows import usage_row

ADA = Actor("user:ada", "oidc")
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
ZONE = "Asia/Kolkata"
WEEKLY = ReportSchedule(
    id="research-weekly",
    organisation="acme",
    node="department:research",
    kind=ReportKind.SUMMARY,
    cadence=Cadence.WEEKLY,
    hour=7,
    to=("boss@acme.example", "webhook:finance"),
    since=MONDAY,
    set_by="",
)


class Receiver:
    """A webhook."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.status = 204
        self.url = ""

    async def __call__(self, request: Request) -> Response:
        self.bodies.append(json.loads(await request.body()))
        return Response(status_code=self.status)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with start_mail_server() as server:
        yield server


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/s3cret", receiver.__call__, methods=["POST"])])
    async with serving(app) as base:
        receiver.url = f"{base}/s3cret"
        yield receiver


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(MONDAY - timedelta(days=3))


@pytest.fixture
async def filled(engine: AsyncEngine) -> AsyncEngine:
    organisation = Organisation(engine)
    await organisation.put_organisation("acme", time_zone=ZONE)
    for team, department in (("search", "research"), ("ads", "research"), ("emea", "sales")):
        await organisation.put_department(department, organisation="acme")
        await organisation.put_team(team, department=department)
    # Kolkata's Monday begins at 18:30 of Sunday, UTC.
    first = MONDAY - timedelta(days=7, hours=5, minutes=30)
    rows = [
        ("search", "research", first, "1.5"),
        ("search", "research", first - timedelta(seconds=1), "4"),
        ("ads", "research", first + timedelta(days=7, seconds=-1), "0.25"),
        ("ads", "research", first + timedelta(days=7), "8"),
        ("emea", "sales", first + timedelta(days=2), "64"),
    ]
    await SqlLedger(engine).record(
        [
            usage_row(
                f"dec_{number}",
                at=at,
                team=team,
                department=department,
                asked_model="<b>gpt</b>",
                usd=Decimal(usd),
            )
            for number, (team, department, at, usd) in enumerate(rows)
        ]
    )
    return engine


Process = Callable[[], ReportSender]


def text_of(message: EmailMessage) -> str:
    """Its subject and all that can be read in it."""
    parts = [message.get_body((kind,)) for kind in ("plain", "html")]
    return "\n".join([message["Subject"], *(part.get_content() for part in parts if part)])


@pytest.fixture
async def process(
    filled: AsyncEngine, clock: FakeClock, mail: MailServer, hook: Receiver
) -> AsyncIterator[Process]:
    """Makes what one process has."""
    opened: list[HttpReportHooks] = []

    def sender() -> ReportSender:
        opened.append(HttpReportHooks({"finance": hook.url}))
        return ReportSender(
            SqlReportSchedules(filled, clock),
            SqlChargebacks(filled, clock),
            clock,
            hooks=opened[-1],
            mail=SmtpMail(mail.url, "gatehouse@acme.example"),
        )

    yield sender
    for hooks in opened:
        await hooks.close()


async def test_a_due_report_is_sent_once_whoever_looks_and_how_often(
    process: Process, filled: AsyncEngine, clock: FakeClock, mail: MailServer, hook: Receiver
) -> None:
    many = [process() for _ in range(4)]
    await many[0].store.put(ADA, WEEKLY)
    await asyncio.gather(*(one.step() for one in many))
    assert not mail.messages
    clock.now = MONDAY + timedelta(hours=1, minutes=30)  # seven o'clock in Kolkata
    await asyncio.gather(*(one.step() for one in many))
    await asyncio.gather(*(one.step() for one in many))
    [message], [body] = mail.messages, hook.bodies
    assert "department:research used 1.75 USD in 2026-W47" in message["Subject"]
    assert (body["id"], body["total_usd"]) == (
        "research-weekly@2026-W47@webhook:finance",
        "1.750000000000",
    )
    runs = await many[0].store.runs(WEEKLY.id, most=10)
    assert {(run.destination, run.state, run.attempts) for run in runs} == {
        ("email", RunState.SENT, 1),
        ("webhook:finance", RunState.SENT, 1),
    }
    clock.advance(7 * 86400)
    await asyncio.gather(*(one.step() for one in many))
    assert [one["period"] for one in hook.bodies] == ["2026-W47", "2026-W48"]


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.sources: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [str(value) for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


async def test_a_report_holds_its_node_only_with_plots_and_escaped_names(
    process: Process, filled: AsyncEngine, clock: FakeClock, mail: MailServer, hook: Receiver
) -> None:
    clock.now = MONDAY + timedelta(hours=12)
    page = await process().page(replace(WEEKLY, time_zone=ZONE))
    seen = Page(page.html)
    assert seen.tags.count("svg") == 3
    assert "b" not in seen.tags
    assert "script" not in seen.tags
    assert "<b>gpt</b>" in seen.words
    assert "research / search" in seen.words
    assert "emea" not in page.html
    assert "1.75 USD, -56 % from 4.00" in seen.words
    assert "research / search: 1.50 USD" in page.text
    assert page.total_usd == Decimal("1.75")


async def test_a_mail_brings_its_plots_along_and_loads_nothing(
    process: Process, filled: AsyncEngine, clock: FakeClock, mail: MailServer, hook: Receiver
) -> None:
    sender = process()
    await sender.store.put(ADA, WEEKLY)
    clock.now = MONDAY + timedelta(hours=12)
    await sender.step()
    [message] = mail.messages
    html = message.get_body(("html",))
    assert isinstance(html, EmailMessage)
    shown = Page(html.get_content())
    assert (shown.tags.count("img"), shown.tags.count("svg")) == (3, 0)
    assert all(one.startswith("cid:") for one in shown.sources)
    pictures = {
        str(part["Content-ID"]).strip("<>"): part.get_payload(decode=True)
        for part in message.walk()
        if part.get_content_type() == "image/png"
    }
    assert {f"cid:{name}" for name in pictures} == set(shown.sources)
    assert all(isinstance(one, bytes) and one[1:4] == b"PNG" for one in pictures.values())
    text = message.get_body(("plain",))
    assert isinstance(text, EmailMessage)
    assert "research / search: 1.50 USD" in text.get_content()


async def test_each_day_is_the_organisations_own_and_together_they_are_the_sum(
    filled: AsyncEngine, clock: FakeClock
) -> None:
    over = latest_over(Cadence.WEEKLY, MONDAY + timedelta(hours=1), ZONE)
    figures = await SqlReportSchedules(filled, clock).figures(
        "department:research", "acme", over.days, over.before
    )
    assert [one.usd for one in figures.days] == [Decimal("1.5"), 0, 0, 0, 0, 0, Decimal("0.25")]
    assert (figures.usd, figures.before_usd, figures.requests) == (Decimal("1.75"), 4, 2)
    assert figures.untagged_usd == Decimal("1.75")


async def test_a_chargeback_report_is_the_closed_month_or_its_preview(
    process: Process, filled: AsyncEngine, clock: FakeClock, mail: MailServer, hook: Receiver
) -> None:
    clock.now = datetime(2026, 12, 1, 3, tzinfo=UTC)
    one = process()
    await one.chargebacks.put_rules(ADA, "acme", Rules(currency=Currency("EUR", Decimal("0.5"))))
    monthly = replace(WEEKLY, kind=ReportKind.CHARGEBACK, cadence=Cadence.MONTHLY, time_zone=ZONE)
    open_page = await one.page(monthly)
    assert "owes 13.75 USD for 2026-11 (preview, not closed yet)" in open_page.subject
    closed = await one.chargebacks.close(ADA, "acme", "2026-11")
    await SqlLedger(filled).record([usage_row("dec_late", usd=Decimal(1))])
    page = await one.page(monthly)
    assert "owes 13.75 USD for 2026-11 (closed)" in page.subject
    assert closed.statement.digest is not None
    assert closed.statement.digest in page.html
    assert "6.88, at 0.5 for a dollar" in page.html
    assert "emea" not in page.html
    whole = await one.page(replace(monthly, node="organisation:acme"))
    assert "owes 77.75 USD" in whole.subject


async def test_a_weeks_chargeback_is_a_preview_of_that_week(
    process: Process, filled: AsyncEngine, clock: FakeClock, mail: MailServer, hook: Receiver
) -> None:
    clock.now = MONDAY + timedelta(hours=2)
    one = process()
    page = await one.page(replace(WEEKLY, kind=ReportKind.CHARGEBACK, time_zone=ZONE))
    state = "preview, not closed: only months are"
    assert page.subject == f"Gatehouse: department:research owes 1.75 USD for 2026-W47 ({state})"
    assert {"Week", state} <= {*Page(page.html).words}
    assert "emea" not in page.html
    shared = SharedCost("emea", {"team": "emea"}, Allocation.USAGE)
    await one.chargebacks.put_rules(ADA, "acme", Rules((shared,)))
    divided = await one.page(replace(WEEKLY, kind=ReportKind.CHARGEBACK, time_zone=ZONE))
    assert divided.total_usd == Decimal("65.75")  # of the week's only, not of the month's


BY_DEPARTMENT = replace(
    WEEKLY,
    id="each",
    node="organisation:acme",
    to=("finance@acme.example", "webhook:finance"),
    per_department=True,
    department_to={"sales": ("sales@acme.example",)},
)


@pytest.mark.parametrize("kind", ReportKind)
async def test_each_department_gets_its_own_report_and_nothing_of_anothers(
    process: Process, clock: FakeClock, mail: MailServer, hook: Receiver, kind: ReportKind
) -> None:
    many = [process() for _ in range(3)]
    await many[0].store.put(ADA, replace(BY_DEPARTMENT, kind=kind))
    clock.now = MONDAY + timedelta(hours=2)
    await asyncio.gather(*(one.step() for one in many))
    await many[0].step()
    told = {str(message["To"]): text_of(message) for message in mail.messages}
    sales, research = told["sales@acme.example"], told["finance@acme.example"]
    assert len(mail.messages) == 2
    assert "department:sales" in sales
    assert "emea" in sales
    assert "department:research" in research
    for others, text in (("research search ads 1.75", sales), ("sales emea 64.00", research)):
        assert not [one for one in others.split() if one in text]
    [body] = hook.bodies
    assert (body["node"], body["total_usd"]) == ("department:research", "1.750000000000")
    assert body["id"] == "each@2026-W47@department:research@webhook:finance"
    assert "emea" not in str(body)


async def test_every_department_has_a_report_and_it_is_sent_again_when_asked_for(
    process: Process, filled: AsyncEngine, clock: FakeClock, mail: MailServer, hook: Receiver
) -> None:
    one = process()
    await Organisation(filled).put_department("idle", organisation="acme")
    made = await one.store.put(ADA, BY_DEPARTMENT)
    clock.now = MONDAY + timedelta(hours=2)
    await one.step()
    assert len({message["Message-ID"] for message in mail.messages}) == 3
    assert [body["total_usd"][:4] for body in hook.bodies] == ["0", "1.75"]
    runs = await one.store.runs("each", most=10)
    expected = {(f"department:{name}", RunState.SENT) for name in ("research", "sales", "idle")}
    assert {(run.node, run.state) for run in runs} == expected
    again = await one.send_now(made)
    assert {(run.node, run.state) for run in again} == expected
    assert (len(again), len(mail.messages)) == (5, 6)


async def test_who_spent_gets_a_report_though_removed_and_who_came_later_gets_none(
    process: Process, filled: AsyncEngine, clock: FakeClock, mail: MailServer, hook: Receiver
) -> None:
    one = process()
    await one.store.put(ADA, replace(BY_DEPARTMENT, to=("webhook:finance",)))
    organisation = Organisation(filled)
    for gone in ("team:emea", "department:sales"):
        await organisation.remove(gone, ADA)
    clock.now = MONDAY + timedelta(days=2)
    await organisation.put_department("later", organisation="acme")
    await one.step()
    assert [body["node"] for body in hook.bodies] == ["department:research"]
    [message] = mail.messages
    assert "department:sales used 64.00 USD" in message["Subject"]


async def test_what_was_not_taken_is_tried_again_and_then_given_up(
    process: Process, filled: AsyncEngine, clock: FakeClock, mail: MailServer, hook: Receiver
) -> None:
    one = process()
    # Of a team that used nothing there is little to draw.
    await Organisation(filled).put_team("idle", department="research")
    idle = await one.store.put(ADA, replace(WEEKLY, node="team:idle"))
    mail.answers, hook.status = "451 later", 503
    clock.now = MONDAY + timedelta(hours=2)
    await one.step()
    await one.step()
    assert len(hook.bodies) == 1
    hook.status = 200
    clock.advance(61)
    await one.step()
    for wait in (301, 1801, 7201, 7201, 7201):
        clock.advance(wait)
        await process().step()
    runs = {run.destination: run for run in await one.store.runs(WEEKLY.id, most=10)}
    assert (runs["webhook:finance"].state, runs["webhook:finance"].attempts) == (RunState.SENT, 2)
    assert (runs["email"].state, runs["email"].attempts) == (RunState.FAILED, 5)
    assert runs["email"].error == "the mail server answered 451"
    assert "s3cret" not in str(runs)
    mail.answers = None
    again = await one.send_now(idle)
    assert {run.state for run in again} == {RunState.SENT}
    assert len(mail.messages) == 1


async def test_a_process_that_dies_while_sending_is_followed_by_another(
    process: Process, filled: AsyncEngine, clock: FakeClock, mail: MailServer, hook: Receiver
) -> None:
    one = process()
    await one.store.put(ADA, replace(WEEKLY, to=("webhook:finance",)))
    clock.now = MONDAY + timedelta(hours=2)
    run_id = "research-weekly@2026-W47@webhook:finance"
    run = NewRun(WEEKLY.id, "2026-W47", "webhook:finance", WEEKLY.node)
    dead = await one.store.claim(run_id, run)
    assert dead is not None
    await one.step()
    assert not hook.bodies
    clock.advance(601)
    await one.step()
    assert len(hook.bodies) == 1
    await one.store.settle(dead, RunState.FAILED, clock(), "I was dead")
    [seen] = await one.store.runs(WEEKLY.id, most=10)
    assert (seen.state, seen.error) == (RunState.SENT, "")


async def test_schedules_are_kept_changed_removed_and_audited(
    filled: AsyncEngine, clock: FakeClock
) -> None:
    store = SqlReportSchedules(filled, clock)
    made = await store.put(ADA, WEEKLY)
    assert (made.time_zone, made.since, made.set_by) == (ZONE, clock(), "user:ada")
    clock.advance(60)
    changed = await store.put(ADA, replace(WEEKLY, hour=9))
    assert (changed.hour, changed.since) == (9, made.since)
    other = await store.put(ADA, replace(WEEKLY, cadence=Cadence.MONTHLY))
    assert other.since == clock()
    assert await store.all() == [other]
    assert await store.all(frozenset({"other"})) == []
    each = await store.put(ADA, replace(BY_DEPARTMENT, id=WEEKLY.id))
    assert (each.per_department, each.department_to) == (True, BY_DEPARTMENT.department_to)
    [newest, *_] = await AuditLog(filled).entries(subject="report:research-weekly")
    assert newest.after is not None
    assert newest.after["department_to"] == {"sales": ["sales@acme.example"]}
    other = await store.put(ADA, replace(WEEKLY, cadence=Cadence.MONTHLY))
    assert await store.remove(ADA, other)
    assert not await store.remove(ADA, other)
    assert await store.find(WEEKLY.id) is None
    entries = await AuditLog(filled).entries(subject="report:research-weekly")
    assert [one.action for one in entries] == ["report.remove", *["report.set"] * 5]
