"""Scheduled reports over HTTP: who may set which, and what they see."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from llm_core.policy.roles import Grant, Role
from policy_service.services.administrators import ROOT
from tests.fakes.running_service import ADMIN, Api, running_service
from tests.fixtures.mail_server import MailServer, start_mail_server

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/admin/v1/reports"
WEEKLY = {
    "node": "department:engineering",
    "kind": "summary",
    "cadence": "weekly",
    "to": ["boss@acme.example"],
}

EACH = {**WEEKLY, "node": "organisation:acme", "per_department": True}
HIDDEN = (("GET", ""), ("DELETE", ""), ("POST", "/send"), ("GET", "/runs"))
"""What is not there for who may not change a schedule."""


@pytest.fixture(scope="module")
def mail() -> Any:
    with start_mail_server() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory, mail: MailServer) -> AsyncIterator[Api]:
    settings = {
        "smtp_url": mail.url,
        "smtp_from": "gatehouse@acme.example",
        "report_webhooks": {"FINANCE": "http://127.0.0.1:9/s3cret"},
    }
    async with running_service(tmp_path_factory.mktemp("reports"), **settings) as running:
        for subject, record in (
            ("department:sales", {"organisation": "acme"}),
            ("team:emea", {"department": "sales"}),
            ("organisation:other", {}),
            ("department:rival", {"organisation": "other"}),
        ):
            await running.opened.administration.put(subject, record, ROOT)
        yield running


async def ask(
    api: Api,
    method: str,
    path: str,
    headers: dict[str, str] = ADMIN,
    body: Any = None,
    **query: Any,
) -> Any:
    return await api.client.request(
        method, f"{PATH}{path}", headers=headers, json=body, params=query
    )


async def token_of(api: Api, name: str, role: Role, node: str) -> dict[str, str]:
    issued = await api.opened.admin_tokens.issue(ROOT, name, (Grant(role, node),), None)
    return {"authorization": f"Bearer {issued.text}"}


async def test_a_schedule_is_set_shown_sent_and_removed(api: Api, mail: MailServer) -> None:
    made = await ask(api, "PUT", "/schedules/eng", body=WEEKLY)
    assert made.status_code == 201, made.text
    assert (made.json()["organisation"], made.json()["hour"]) == ("acme", 7)
    changed = await ask(api, "PUT", "/schedules/eng", body={**WEEKLY, "hour": 9})
    assert (changed.status_code, changed.json()["hour"]) == (200, 9)
    [row] = (await ask(api, "GET", "/schedules")).json()["rows"]
    assert row == changed.json() == (await ask(api, "GET", "/schedules/eng")).json()
    [run] = (await ask(api, "POST", "/schedules/eng/send")).json()["rows"]
    assert (run["state"], run["period"], run["destination"]) == ("sent", "2026-W46", "email")
    [message] = mail.messages
    assert "department:engineering used 0.00 USD" in message["Subject"]
    assert (await ask(api, "GET", "/schedules/eng/runs")).json()["rows"] == [run]
    assert (await ask(api, "DELETE", "/schedules/eng")).status_code == 204
    for method, path in HIDDEN:
        assert (await ask(api, method, f"/schedules/eng{path}")).status_code == 404


async def test_a_schedule_is_changed_and_ended_by_who_has_seen_it(api: Api) -> None:
    path = "/schedules/tagged"
    made = await ask(api, "PUT", path, body=WEEKLY)
    tag = made.headers["etag"]
    [row] = (await ask(api, "GET", "/schedules")).json()["rows"]
    assert row["etag"] == tag == (await ask(api, "GET", path)).headers["etag"]
    seen = {**ADMIN, "if-match": tag}
    later = await ask(api, "PUT", path, seen, {**WEEKLY, "hour": 9})
    assert later.status_code == 200
    late = await ask(api, "PUT", path, seen, {**WEEKLY, "hour": 5})
    assert (late.status_code, late.json()["error"]["code"]) == (412, "precondition_failed")
    assert (await ask(api, "DELETE", path, seen)).status_code == 412
    there = {**ADMIN, "if-match": "*"}
    assert (await ask(api, "PUT", "/schedules/none", there, WEEKLY)).status_code == 412
    ends = {**ADMIN, "if-match": later.headers["etag"]}
    assert (await ask(api, "DELETE", path, ends)).status_code == 204


async def test_what_a_webhook_did_not_take_is_told_without_its_address(api: Api) -> None:
    hook = {**WEEKLY, "to": ["webhook:finance"]}
    assert (await ask(api, "PUT", "/schedules/hook", body=hook)).status_code == 201
    answer = await ask(api, "POST", "/schedules/hook/send")
    [run] = answer.json()["rows"]
    assert (run["state"], run["attempts"]) == ("failed", 1)
    assert "'finance': it could not be reached (ConnectError)" in run["error"]
    assert "s3cret" not in answer.text
    await ask(api, "DELETE", "/schedules/hook")


async def test_a_preview_is_a_page_that_loads_nothing(api: Api) -> None:
    answer = await ask(api, "GET", "/preview", node="team:search", cadence="monthly")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "team:search, 2026-10" in answer.text
    assert "<svg" in answer.text
    owed = await ask(api, "GET", "/preview", node="team:search", kind="chargeback")
    assert "team:search, 2026-W46" in owed.text
    assert "preview, not closed: only months are" in owed.text
    owed = await ask(
        api, "GET", "/preview", node="organisation:acme", kind="chargeback", cadence="monthly"
    )
    assert "organisation:acme, 2026-10" in owed.text


async def test_a_manager_sets_reports_of_the_department_only(api: Api) -> None:
    await ask(api, "PUT", "/schedules/eng", body=WEEKLY)
    manager = await token_of(api, "sales-manager", Role.DEPT_MANAGER, "department:sales")
    own = {**WEEKLY, "node": "team:emea"}
    assert (await ask(api, "PUT", "/schedules/emea", manager, own)).status_code == 201
    [row] = (await ask(api, "GET", "/schedules", manager)).json()["rows"]
    assert row["id"] == "emea"
    for node in ("department:engineering", "team:search", "organisation:acme"):
        refused = await ask(api, "PUT", "/schedules/mine", manager, {**WEEKLY, "node": node})
        assert refused.status_code == 403, node
        seen = await ask(api, "GET", "/preview", manager, node=node)
        assert seen.status_code == 403, node
    assert (await ask(api, "PUT", "/schedules/eng", manager, own)).status_code == 409
    for method, path in HIDDEN:
        assert (await ask(api, method, f"/schedules/eng{path}", manager)).status_code == 404


async def test_one_schedule_sends_each_department_its_own(api: Api, mail: MailServer) -> None:
    own = {"sales": ["sales@acme.example", "sales@acme.example"]}
    made = await ask(api, "PUT", "/schedules/each", body=EACH | {"department_to": own})
    assert made.status_code == 201, made.text
    assert made.json()["department_to"] == {"sales": ["sales@acme.example"]}
    before = len(mail.messages)
    runs = (await ask(api, "POST", "/schedules/each/send")).json()["rows"]
    assert {(run["node"], run["state"]) for run in runs} == {
        ("department:engineering", "sent"),
        ("department:sales", "sent"),
    }
    told = {str(one["To"]): str(one["Subject"]) for one in mail.messages[before:]}
    assert "department:sales used" in told["sales@acme.example"]
    assert "department:engineering used" in told["boss@acme.example"]
    manager = await token_of(api, "one-manager", Role.DEPT_MANAGER, "department:sales")
    assert (await ask(api, "PUT", "/schedules/all", manager, EACH)).status_code == 403
    assert (await ask(api, "GET", "/schedules/each/runs", manager)).status_code == 404
    await ask(api, "DELETE", "/schedules/each")


async def test_finance_sets_previews_and_sends_reports(api: Api, mail: MailServer) -> None:
    finance = await token_of(api, "money", Role.FINANCE, "organisation:acme")
    owed = {**WEEKLY, "kind": "chargeback", "cadence": "monthly"}
    assert (await ask(api, "PUT", "/schedules/owed", finance, owed)).status_code == 201
    seen = await ask(
        api, "GET", "/preview", finance, node=WEEKLY["node"], kind="chargeback", cadence="monthly"
    )
    assert "department:engineering, 2026-10" in seen.text
    [run] = (await ask(api, "POST", "/schedules/owed/send", finance)).json()["rows"]
    assert run["state"] == "sent"
    assert (await ask(api, "DELETE", "/schedules/owed", finance)).status_code == 204


async def test_an_auditor_sees_who_gets_reports_and_changes_nothing(api: Api) -> None:
    await ask(api, "PUT", "/schedules/eng", body=WEEKLY)
    auditor = await token_of(api, "reads-reports", Role.AUDITOR, "department:engineering")
    rows = (await ask(api, "GET", "/schedules", auditor)).json()["rows"]
    assert {one["node"] for one in rows} == {"department:engineering"}
    for path in ("/schedules/eng", "/schedules/eng/runs"):
        assert (await ask(api, "GET", path, auditor)).status_code == 200, path
    for node, status in (("team:search", 200), ("team:emea", 403)):
        assert (await ask(api, "GET", "/preview", auditor, node=node)).status_code == status
    assert (await ask(api, "PUT", "/schedules/eng", auditor, WEEKLY)).status_code == 403
    for method, path in (("DELETE", ""), ("POST", "/send")):
        assert (await ask(api, method, f"/schedules/eng{path}", auditor)).status_code == 403


@pytest.mark.parametrize("role", [Role.TEAM_OWNER, Role.APPROVER, Role.MEMBER])
async def test_who_holds_neither_reports_permission_sets_and_sees_none(
    api: Api, role: Role
) -> None:
    headers = await token_of(api, f"no-{role}", role, "organisation:acme")
    assert (await ask(api, "PUT", "/schedules/x", headers, WEEKLY)).status_code == 403
    assert (await ask(api, "GET", "/schedules", headers)).status_code == 403
    assert (await ask(api, "DELETE", "/schedules/eng", headers)).status_code == 403


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"node": "user:sam"}, "is about an organisation:"),
        ({"node": "team:none"}, "none"),
        ({"to": []}, "1 to 50 recipients"),
        ({"to": ["nobody"]}, "no e-mail address"),
        ({"cadence": "hourly"}, "cadence"),
        ({"per_department": True}, "the node is the organisation"),
        (
            EACH | {"department_to": {"none": ["a@b.example"]}},
            "the department 'none' does not exist",
        ),
        (EACH | {"department_to": {"rival": ["a@b.example"]}}, "in another organisation"),
        ({"every": 1}, "unknown field"),
    ],
)
async def test_a_schedule_that_makes_no_sense_is_refused_in_words(
    api: Api, changes: dict[str, Any], why: str
) -> None:
    refused = await ask(api, "PUT", "/schedules/x", body={**WEEKLY, **changes})
    assert refused.status_code == 400
    assert why in refused.json()["error"]["message"]
