"""Incidents and channels over the admin API: who sees what, and the test button."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from llm_core.alerts.incident import IncidentKind, Severity, Trouble
from llm_core.policy.roles import Actor, Grant, Role
from policy_service.ids import new_id
from tests.fakes.clock import NOON
from tests.fakes.running_service import ADMIN, Api, running_service
from tests.fixtures.alert_receivers import Receiver, http_receiver

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Actor("root_token", "root_token", (Grant(Role.PLATFORM_ADMIN, "platform:*"),))
DOWN = Trouble(
    IncidentKind.PROVIDER_DOWN, "deployment:openai-mini", Severity.CRITICAL, "openai-mini is down"
)
TEAMS = replace(
    DOWN, kind=IncidentKind.SPEND_ANOMALY, subject="team:search", node="team:search", title="much"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with http_receiver() as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "alerts.yaml").write_text(
        "channels:\n"
        "  - {name: chat, kind: slack, url_secret: slack, kinds: [budget], least: warning}\n"
        # What is under test opens incidents by itself.
        "rules:\n"
        + "".join(f"  {kind}: {{is_on: false}}\n" for kind in IncidentKind if kind != "budget")
    )
    async with running_service(
        folder,
        alerts_file=folder / "alerts.yaml",
        credentials={"openai": "sk-test", "slack": receiver.url},
    ) as running:
        await running.opened.alerting.incidents.see(
            [DOWN, TEAMS], NOON, running.opened.alerting.routes
        )
        yield running


async def token(api: Api, role: Role, node: str) -> dict[str, str]:
    name = new_id("adt")  # one name is one living token
    issued = await api.opened.admin_tokens.issue(ROOT, name, [Grant(role, node)], None)
    return {"authorization": f"Bearer {issued.text}"}


async def listed(api: Api, headers: dict[str, str], **params: Any) -> Any:
    answer = await api.client.get("/admin/v1/incidents", headers=headers, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("role", "node", "seen"),
    [
        (Role.PLATFORM_ADMIN, "platform:*", {"team:search", "deployment:openai-mini"}),
        (Role.AUDITOR, "organisation:acme", {"team:search", "deployment:openai-mini"}),
        (Role.DEPT_MANAGER, "department:engineering", {"team:search"}),
        (Role.MEMBER, "organisation:acme", {"team:search"}),
        (Role.MEMBER, "team:search", {"team:search"}),
        (Role.TEAM_OWNER, "team:other", set()),
    ],
)
async def test_who_sees_which_incidents(api: Api, role: Role, node: str, seen: set[str]) -> None:
    found = await listed(api, await token(api, role, node))
    assert {one["subject"] for one in found["rows"]} == seen


async def test_incidents_come_in_pages(api: Api) -> None:
    first = await listed(api, ADMIN, limit=1)
    assert len(first["rows"]) == 1
    second = await listed(api, ADMIN, limit=1, cursor=first["next"])
    assert second["next"] is None
    subjects = {page["rows"][0]["subject"] for page in (first, second)}
    assert subjects == {"team:search", "deployment:openai-mini"}
    assert first["rows"][0].keys() >= {
        "id", "kind", "node", "subject", "severity", "title", "detail", "opened_at",
        "last_seen_at", "recovered_at",
    }  # fmt: skip


async def test_what_is_over_is_listed_when_all_are_asked_for(api: Api) -> None:
    store = api.opened.alerting.incidents
    [over] = await store.see(
        [replace(DOWN, subject="deployment:b")], NOON, api.opened.alerting.routes
    )
    await store.recover([over], NOON, api.opened.alerting.routes)
    assert over.id not in [one["id"] for one in (await listed(api, ADMIN))["rows"]]
    every = (await listed(api, ADMIN, state="all"))["rows"]
    assert [one["recovered_at"] for one in every if one["id"] == over.id] == [
        "2026-11-20T12:00:00Z"
    ]


async def test_nobody_without_a_role_sees_anything(api: Api) -> None:
    assert (await api.client.get("/admin/v1/incidents")).status_code == 401
    assert (await api.get("/admin/v1/incidents", state="some")).status_code == 400


async def test_channels_are_told_without_their_addresses(api: Api) -> None:
    answer = await api.get("/admin/v1/alerts/channels")
    assert answer.json()["rows"] == [
        {
            "name": "chat",
            "kind": "slack",
            "kinds": ["budget"],
            "least": "warning",
            "waiting": 0,
        }
    ]
    headers = await token(api, Role.TEAM_OWNER, "team:search")
    refused = await api.client.get("/admin/v1/alerts/channels", headers=headers)
    assert refused.status_code == 403


async def test_a_channel_is_tried_and_tells_why_it_failed(api: Api, receiver: Receiver) -> None:
    path = "/admin/v1/alerts/channels/chat/test"
    answer = await api.client.post(path, headers=ADMIN)
    assert (answer.status_code, answer.json()) == (200, {"delivered": True})
    assert "test" in receiver.bodies[-1]["text"]
    receiver.status = 410
    answer = await api.client.post(path, headers=ADMIN)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "not_delivered"
    assert "410" in answer.json()["error"]["message"]
    assert "s3cret" not in answer.text
    receiver.status = 204
    unknown = await api.client.post("/admin/v1/alerts/channels/none/test", headers=ADMIN)
    assert unknown.status_code == 404
    auditor = await token(api, Role.AUDITOR, "platform:*")
    assert (await api.client.post(path, headers=auditor)).status_code == 403


async def test_a_second_channel_of_the_settings_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(
        "channels: [{name: webhook, kind: slack, url_secret: slack}]\n"
    )
    with pytest.raises(ValueError, match="POLICY_ALERT_WEBHOOK_URL"):
        async with running_service(
            tmp_path,
            alerts_file=tmp_path / "alerts.yaml",
            alert_webhook_url="https://a.test",
            credentials={"slack": "https://b.test"},
        ):
            pytest.fail("it started")
