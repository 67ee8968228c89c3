"""Who reads the content log over HTTP, and what is left behind when they do."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.adapters.content_keys import new_content_key
from policy_service.api.admins import current_actor
from policy_service.ports.content import ContentRow, Part
from policy_service.services.administrators import ROOT
from tests.fakes.clock import NOON
from tests.fakes.running_service import ADMIN, Api, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")
WHY = "complaint 4711, as agreed"
PATH = "/admin/v1/content"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("content")
    settings = {"content_keys": {"default": "content"}}
    secrets = {"credentials": {"openai": "sk-test", "content": new_content_key()}}
    async with running_service(folder, **settings, **secrets) as running:
        await running.opened.content.store.record([_line(running, n) for n in range(5)])
        yield running


def _line(api: Api, number: int) -> ContentRow:
    sealer, decision_id = api.opened.content.sealer, f"dec_{number}"
    assert sealer is not None
    return ContentRow(
        decision_id=decision_id,
        at=NOON - timedelta(minutes=number),
        organisation="acme",
        department="engineering",
        team="search" if number % 2 == 0 else "ads",
        user="sam",
        asked_model="mini",
        level="full",
        kept_until=NOON + timedelta(days=1),
        error_class="none",
        sealed_question=sealer.seal("acme", decision_id, Part.QUESTION, b'{"said": "Blue Heron"}'),
        key_id=sealer.key_id("acme"),
    )


def person(*grants: Grant, proof: str = "oidc") -> Actor:
    return Actor("user:olga", proof, grants)


async def as_(api: Api, actor: Actor, path: str, **params: Any) -> Any:
    """Ask as somebody who has proved to be this actor."""
    app = api.client._transport.app  # type: ignore[attr-defined]
    app.dependency_overrides[current_actor] = lambda: actor
    try:
        return await api.client.get(f"{PATH}{path}", params=params)
    finally:
        app.dependency_overrides.clear()


async def reads(api: Api) -> list[str]:
    found = await api.opened.audit.entries(action="content.read")
    return [entry.subject for entry in found]


async def test_an_auditor_reads_with_a_reason_which_is_written_down(api: Api) -> None:
    auditor = person(Grant(Role.AUDITOR, "user:sam"))
    assert (await as_(api, auditor, "/dec_2", reason=WHY)).status_code == 200
    auditor = person(Grant(Role.AUDITOR, "team:search"))
    before = await reads(api)
    answer = await as_(api, auditor, "/dec_0", reason=WHY)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert told["question"] == {"said": "Blue Heron"}
    assert told["answer"] is None
    assert told["facts"]["user"] == "sam"
    assert await reads(api) == ["content:dec_0", *before]
    [entry, *_] = await api.opened.audit.entries(action="content.read")
    assert (entry.actor, entry.after["reason"]) == ("user:olga", WHY)  # type: ignore[index]


@pytest.mark.parametrize("reason", [None, "", "because", "         x          "])
async def test_without_a_reason_nothing_is_read(api: Api, reason: str | None) -> None:
    before = await reads(api)
    params = {} if reason is None else {"reason": reason}
    answer = await as_(api, person(Grant(Role.AUDITOR, PLATFORM)), "/dec_0", **params)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "reason"
    assert "Heron" not in answer.text
    assert await reads(api) == before


@pytest.mark.parametrize("role", [one for one in Role if one is not Role.AUDITOR])
async def test_nobody_but_an_auditor_reads_or_lists(api: Api, role: Role) -> None:
    before = await reads(api)
    for path in ("/dec_0", "", "/dec_nowhere"):
        answer = await as_(api, person(Grant(role, PLATFORM)), path, reason=WHY)
        assert answer.status_code == 403, (path, answer.text)
        assert "Heron" not in answer.text
    assert await reads(api) == before


async def test_the_root_token_reads_nothing(api: Api) -> None:
    before = await reads(api)
    for path in ("", "/dec_0"):
        answer = await api.client.get(f"{PATH}{path}", params={"reason": WHY}, headers=ADMIN)
        assert answer.status_code == 403
    assert await reads(api) == before


async def test_an_admin_token_lists_and_reads_no_words(api: Api) -> None:
    grants = (Grant(Role.AUDITOR, PLATFORM),)
    issued = await api.opened.admin_tokens.issue(ROOT, "robot", grants, None)
    headers = {"authorization": f"Bearer {issued.text}"}
    assert (await api.client.get(PATH, headers=headers)).status_code == 200
    before = await reads(api)
    refused = await api.client.get(f"{PATH}/dec_0", params={"reason": WHY}, headers=headers)
    assert refused.status_code == 403
    assert "sign in" in refused.json()["error"]["message"]
    assert await reads(api) == before


async def test_an_auditor_of_another_part_reads_nothing_there(api: Api) -> None:
    before = await reads(api)
    for node in ("team:ads", "department:sales", "organisation:other", "user:kim"):
        answer = await as_(api, person(Grant(Role.AUDITOR, node)), "/dec_0", reason=WHY)
        assert answer.status_code == 403
    assert await reads(api) == before


async def test_what_is_not_there_is_404_and_no_reading(api: Api) -> None:
    before = await reads(api)
    auditor = person(Grant(Role.AUDITOR, PLATFORM))
    assert (await as_(api, auditor, "/dec_nowhere", reason=WHY)).status_code == 404
    assert await reads(api) == before


async def test_lines_are_listed_without_words_in_pages(api: Api) -> None:
    auditor = person(Grant(Role.AUDITOR, PLATFORM))
    first = (await as_(api, auditor, "", limit=3)).json()
    assert [row["decision_id"] for row in first["rows"]] == ["dec_0", "dec_1", "dec_2"]
    rest = (await as_(api, auditor, "", limit=3, before=first["next"])).json()
    assert [row["decision_id"] for row in rest["rows"]] == ["dec_3", "dec_4"]
    assert rest["next"] is None
    assert not {"question", "answer", "sealed_question"} & first["rows"][0].keys()
    own = await as_(api, person(Grant(Role.AUDITOR, "team:ads")), "")
    assert [row["decision_id"] for row in own.json()["rows"]] == ["dec_1", "dec_3"]


@pytest.mark.parametrize(
    "params", [{"before": "x"}, {"before": "2026-11-20/dec_1"}, {"since": "2026-11-20T00:00:00"}]
)
async def test_odd_questions_are_400(api: Api, params: dict[str, str]) -> None:
    answer = await as_(api, person(Grant(Role.AUDITOR, PLATFORM)), "", **params)
    assert answer.status_code == 400
