"""No role is told of what it may not see, by words, by amounts, or by a change of any figure.

Every GET of the admin API is asked by every role, for its own and for others' things, and with the
names of others in every parameter. The table of permissions says what may come.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.services.administrators import Administrators
from tests.fakes.running_service import ADMIN, Api, running_service
from tests.fixtures.owners import (
    BESIDE,
    CLOSED,
    OURS,
    OWNERS,
    SIBLING,
    THEIRS,
    Owner,
    fill,
    quiet_alerts,
    use,
)
from tests.fixtures.role_questions import (
    Question,
    leaks,
    otherwise,
    plain,
    plain_of,
    sees,
    tampered,
    text_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHERS = (BESIDE, SIBLING, THEIRS)
CALLS = 3
"""Of each owner in this month."""
HIDDEN = {OURS.path[0]: OTHERS, OURS.path[1]: (SIBLING, THEIRS), OURS.path[2]: (THEIRS,)}
"""Whom somebody does not see who holds roles on a node of ours."""
UNNAMED = {
    "/admin/v1/alerts/channels": "channels are of the platform",
    "/admin/v1/chargebacks": "months are of an organisation",
    "/admin/v1/chargebacks/rules": "no costs are shared",
    "/admin/v1/costs": "without groups there are sums alone; see the test of sums",
    "/admin/v1/reliability": "likewise",
    "/admin/v1/refusals": "likewise",
    "/admin/v1/usage/adoption": "likewise",
    "/admin/v1/usage/hours": "likewise",
    "/admin/v1/models": "the catalogue is the same for all",
    "/admin/v1/prices": "likewise",
    "/admin/v1/policies": "policies are the same for all",
    "/admin/v1/policies/{bundle}": "likewise",
    "/admin/v1/reliability/breakers": "deployments are the same for all",
    "/admin/v1/audit/checkpoints": "nothing seals the chain here",
}
"""Answers that name nobody."""


@asynccontextmanager
async def filled_service(folder: Path) -> AsyncIterator[Api]:
    async with running_service(folder, alerts_file=quiet_alerts(folder)) as running:
        before = {owner.mark: dict(owner.ids) for owner in OWNERS}
        await fill(running.opened)
        yield running
        for owner in OWNERS:  # another service of this module goes on
            owner.ids.clear()
            owner.ids.update(before[owner.mark])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with filled_service(tmp_path_factory.mktemp("owners")) as running:
        yield running


def holding(*grants: Grant) -> Actor:
    return Actor("user:somebody", "oidc", grants)


def holding_all(node: str) -> Actor:
    return holding(*(Grant(role, node) for role in Role if role is not Role.PLATFORM_ADMIN))


async def ask(site: Api, actor: Actor, question: Question) -> httpx.Response:
    async def signed_in(_: Administrators, _token: str) -> Actor:
        return actor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Administrators, "actor_of", signed_in)
        headers = {"authorization": "Bearer tested-otherwise"}
        return await site.client.get(question.path, params=dict(question.params), headers=headers)


@pytest.mark.parametrize("node", [*OURS.path, PLATFORM])
@pytest.mark.parametrize("role", Role)
async def test_every_role_is_told_of_its_own_and_of_nothing_else(
    site: Api, role: Role, node: str
) -> None:
    actor, faults = holding(Grant(role, node)), []
    ours = {str(one) for one in plain(OURS)}
    for question in plain_of(OWNERS):
        answer = await ask(site, actor, question)
        assert answer.status_code in {200, 403, 404}, f"{question}: {answer.text}"
        faults += leaks(actor, question, answer)
        if str(question) in ours and question.template not in UNNAMED:
            faults += missing(actor, question, answer)
    assert not faults, "\n".join(faults)


def missing(actor: Actor, question: Question, answer: httpx.Response) -> list[str]:
    """Where our own is to be told, and is not."""
    if sees(actor, question.asked, OURS) and OURS.mark not in text_of(answer):
        return [f"{actor.grants[0]} {question}: {answer.status_code} lacks its own"]
    return []


@pytest.mark.parametrize("node", HIDDEN)
async def test_no_parameter_opens_what_is_anothers(site: Api, node: str) -> None:
    actor, faults = holding_all(node), []
    for question in _every_question(site, HIDDEN[node]):
        answer = await ask(site, actor, question)
        assert answer.status_code in {200, 400, 403, 404}, f"{question}: {answer.text}"
        faults += leaks(actor, question, answer)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("node", HIDDEN)
async def test_no_cursor_of_somebody_elses_page_opens_it(site: Api, node: str) -> None:
    actor, everybody, tried, faults = holding_all(node), holding_all(PLATFORM), 0, []
    for question in plain(OURS):
        first = await ask(site, everybody, question.with_("limit", "1"))
        if first.headers["content-type"] != "application/json" or first.status_code != 200:
            continue
        found = first.json()
        cursor = found.get("next") or found.get("next_cursor")
        if cursor is None:
            continue
        tried += 1
        asked = question.with_("cursor", cursor)
        faults += leaks(actor, asked, await ask(site, actor, asked))
    assert tried >= 10
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("node", HIDDEN)
async def test_a_role_on_what_has_anothers_name_opens_nothing_of_theirs(
    site: Api, node: str
) -> None:
    """Ids are of one kind: a team may be called as another company is."""
    names = {*THEIRS.path, *SIBLING.path}
    kinds = ("department", "team", "project", "user")
    alike = {f"{kind}:{name.partition(':')[2]}" for kind in kinds for name in names}
    grants = [Grant(role, one) for one in sorted(alike - names) for role in Role]
    actor = holding(*grants, *holding_all(node).grants)
    faults = []
    for question in plain_of([one for one in HIDDEN[node] if one is not BESIDE]):
        faults += leaks(actor, question, await ask(site, actor, question))
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("node", [*HIDDEN, PLATFORM])
async def test_sums_are_of_what_is_seen_to_the_cent(site: Api, node: str) -> None:
    actor = holding_all(node)
    seen = [one for one in OWNERS if one not in HIDDEN.get(node, ())]
    due = sum((one.usd for one in seen), Decimal(0))
    paths = {
        "costs": lambda told: told["total"]["usd"],
        "costs/summary": lambda told: told["month_to_date"]["usd"],
        "costs/values": lambda told: _sum(told["rows"]),
        "usage/hours": lambda told: _sum(told["rows"]),
        "usage/spend": lambda told: _sum(told["rows"]),
    }
    for question in plain(OURS):
        total = paths.get(question.template.removeprefix("/admin/v1/"))
        if total is not None:
            told = (await ask(site, actor, question)).json()
            assert Decimal(total(told)) == CALLS * due, question
    calls = await _told(site, actor, "/admin/v1/reliability")
    assert (calls["total"]["requests"], calls["total"]["failed"]) == (CALLS * len(seen), len(seen))
    adopted = await _told(site, actor, "/admin/v1/usage/adoption")
    assert [adopted["total"][one] for one in ("users", "applications", "teams")] == [len(seen)] * 3
    assert (await _told(site, actor, "/admin/v1/refusals"))["total"] == len(seen)
    recent = await _told(site, actor, "/admin/v1/usage/recent")
    assert len(recent["rows"]) == (CALLS + 1) * len(seen)
    month = {"organisation": OURS.organisation, "period": CLOSED}
    statement = await _told(site, actor, "/admin/v1/chargebacks/preview", **month)
    ours = [one for one in seen if one.organisation == OURS.organisation]
    assert Decimal(statement["total_usd"]) == sum(one.usd for one in ours)


async def _told(site: Api, actor: Actor, path: str, **params: str) -> Any:
    answer = await ask(site, actor, Question(path, path, dict(params)))
    assert answer.status_code == 200, answer.text
    return answer.json()


def _sum(rows: Iterable[dict[str, str]]) -> Decimal:
    return sum((Decimal(row["usd"]) for row in rows), Decimal(0))


def _every_question(site: Api, others: Sequence[Owner]) -> Iterable[Question]:
    described = site.app.openapi()
    yield from otherwise(described)
    yield from tampered(described, others)


async def test_what_others_use_changes_nothing_that_is_told(tmp_path: Path) -> None:
    """Whatever is counted, ranked or estimated of others would show here."""
    async with filled_service(tmp_path) as site:
        for node, hidden in reversed(HIDDEN.items()):
            actor, newest = holding_all(node), hidden[0]
            questions = [*plain(OURS), *otherwise(site.app.openapi())]
            before = [text_of(await ask(site, actor, one)) for one in questions]
            whole = (await _costs(site)).text
            await use(site.opened, newest, f"seen by {node}")
            after = [text_of(await ask(site, actor, one)) for one in questions]
            assert (await _costs(site)).text != whole, "nothing was used"
            changed = [
                str(one)
                for one, was, is_ in zip(questions, before, after, strict=True)
                if was != is_ and "/audit" not in one.path
            ]
            assert not changed, f"{newest.mark} is heard of on {node}: {changed}"


async def _costs(site: Api) -> httpx.Response:
    return await site.client.get("/admin/v1/costs", headers=ADMIN)
