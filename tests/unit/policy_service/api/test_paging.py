"""Every list of the admin API has pages."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from llm_core.alerts.incident import IncidentKind, Severity, Trouble
from llm_core.policy.roles import Grant, Role
from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.policies import SqlPolicies
from policy_service.ports.alerts import Alert
from policy_service.ports.policies import BundleRecord
from policy_service.ports.report_schedules import Cadence, NewRun, ReportKind, ReportSchedule
from policy_service.services.administrators import ROOT
from tests.fakes.running_service import ADMIN, Api
from tests.integration.sql.test_decision_log import logged
from tests.integration.sql.usage_rows import usage_row

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTS = {
    "/admin/v1/keys": lambda one: one["id"],
    "/admin/v1/approvals": lambda one: one["id"],
    "/admin/v1/admin-tokens": lambda one: one["id"],
    "/admin/v1/limits": lambda one: (one["node"], one["scope"], one["measure"]),
    "/admin/v1/limits/raises": lambda one: one["id"],
    "/admin/v1/organisation": lambda one: one["subject"],
    "/admin/v1/audit": lambda one: one["seq"],
    "/admin/v1/audit/chain": lambda one: (one["chain"], one["seq"]),
    "/admin/v1/alerts": lambda one: (one["limit_key"], one["percent"]),
    "/admin/v1/chargebacks": lambda one: one["id"],
    "/admin/v1/incidents": lambda one: one["id"],
    "/admin/v1/policies": lambda one: one["digest"],
    "/admin/v1/refusals": lambda one: one["keys"]["code"],
    "/admin/v1/reports/schedules": lambda one: one["id"],
    "/admin/v1/reports/schedules/paged-0/runs": lambda one: one["id"],
    "/admin/v1/usage/recent": lambda one: one["decision_id"],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(api: Api) -> None:
    """At least three rows in every list."""
    until = api.opened.clock() + timedelta(days=1)
    for number in range(3):
        grants = (Grant(Role.AUDITOR, "team:search"),)
        await api.opened.admin_tokens.issue(ROOT, f"paged-{number}", grants, None)
        await api.post("/admin/v1/keys", {"name": f"paged-{number}", "team": "search"}, ADMIN)
        limit = {"node": f"user:u{number}", "measure": "usd_per_day", "amount": "1"}
        await api.client.put("/admin/v1/limits", json=limit, headers=ADMIN)
        more = {
            "node": "team:search",
            "measure": "usd_per_month",
            "amount": "1",
            "until": until.isoformat(),
            "reason": "launch",
        }
        await api.post("/admin/v1/limits/raises", more, ADMIN)
        part = f"/admin/v1/organisation/parts/project:p{number}"
        await api.client.put(part, json={"team": "search"}, headers=ADMIN)
        wanted = {"model": "mini", "reason": "why", "for": f"project:p{number}"}
        asked = await api.post("/admin/v1/approvals", wanted, ADMIN)
        assert asked.status_code == 201, asked.text
    await api.opened.auditing.chain.append([])
    await _fill_books(api)


async def _fill_books(api: Api) -> None:
    """What nobody types in: calls, refusals, incidents, closed months, reports, bundles."""
    opened, now = api.opened, api.opened.clock()
    engine = open_engine(str(opened.settings.database_url))
    # Of one moment, so that the order is not by time alone.
    await opened.ledger.record([usage_row(f"dec_{one}", at=now) for one in range(5)])
    codes = ("model_not_allowed", "key_scope", "insufficient_quota")
    refused = (replace(logged(one), at=now, refused_for=code) for one, code in enumerate(codes))
    await SqlDecisionLog(engine).record(list(refused))
    for percent in (50, 80, 100):
        for node in ("team:search", "organisation:acme"):
            passed = Alert(
                f"{node}:usd_per_day",
                "2026-11-15",
                percent,
                node,
                "usd_per_day",
                now,
                Decimal(percent),
                Decimal(100),
            )
            await opened.alerts.add(passed)
    troubles = [
        Trouble(IncidentKind.PROVIDER_DOWN, f"deployment:d{one}", Severity.CRITICAL, "down")
        for one in range(3)
    ]
    await opened.alerting.incidents.see(troubles, now, opened.alerting.routes)
    for organisation in ("acme", "aaa", "zeta"):
        await opened.administration.put(f"organisation:{organisation}", {}, ROOT)
        for period in ("2026-08", "2026-09"):
            await opened.chargebacks.store.close(ROOT, organisation, period)
    for number in range(3):
        schedule = ReportSchedule(
            id=f"paged-{number}",
            organisation="acme",
            node="team:search",
            kind=ReportKind.SUMMARY,
            cadence=Cadence.WEEKLY,
            hour=7,
            to=("finance@example.com",),
            since=now,
            set_by=ROOT.name,
        )
        await opened.reporting.store.put(ROOT, schedule)
        report = NewRun("paged-0", f"2026-W0{number + 1}", "email", schedule.node)
        await opened.reporting.store.claim(f"run_{number}", report)
        bundle = BundleRecord(str(number) * 64, f"r{number}", "k", "1 passed", "user:a", now)
        await SqlPolicies(engine).keep(ROOT, bundle, b"tarball")
    await engine.dispose()


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.usefixtures("filled")
async def test_every_list_is_read_page_by_page(api: Api, path: str) -> None:
    whole = (await api.get(path, limit=1000)).json()
    assert whole["next"] is None
    assert len(whole["rows"]) > 2, path
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get(path, limit=2, **cursor)).json()
        assert 1 <= len(page["rows"]) <= 2
        found += page["rows"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    name = LISTS[path]
    assert [name(one) for one in found] == [name(one) for one in whole["rows"]]


@pytest.mark.parametrize("path", [*LISTS, "/admin/v1/audit/checkpoints", "/admin/v1/content"])
@pytest.mark.usefixtures("filled")
async def test_every_list_refuses_a_cursor_that_is_none(api: Api, path: str) -> None:
    headers = ADMIN
    if path.endswith("content"):
        made = await api.opened.admin_tokens.issue(
            ROOT, "words", (Grant(Role.AUDITOR, "platform:*"),), None
        )
        headers = {"authorization": f"Bearer {made.text}"}
    answer = await api.client.get(path, headers=headers, params={"cursor": "x"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "cursor")
    assert answer.headers["content-type"] == "application/problem+json"
