"""`Idempotency-Key`: what is sent again is not carried out again, and secrets are not kept."""

import asyncio
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select

from llm_core.errors import PolicyUnavailable
from llm_core.policy.roles import Grant, Role
from policy_service.adapters.sql.engine import open_engine, reading
from policy_service.adapters.sql.tables import IdempotencyRow
from policy_service.api.idempotency import AdminRoute
from policy_service.app import create_app
from policy_service.ports.idempotency import Outcome
from policy_service.services.administrators import ROOT
from tests.fakes.running_service import ADMIN, Api
from tests.fixtures.admin_routes import admin_routes

pytestmark = pytest.mark.asyncio(loop_scope="module")

RAISES = "/admin/v1/limits/raises"
KEYS = "/admin/v1/keys"
NUMBERS = count()


def a_raise(api: Api, amount: str = "1") -> dict[str, Any]:
    until = (api.opened.clock() + timedelta(days=1)).isoformat()
    limit = {"node": "team:search", "measure": "usd_per_month"}
    return {**limit, "amount": amount, "until": until, "reason": f"launch {next(NUMBERS)}"}


async def sent(api: Api, path: str, body: Any, key: str, headers: Any = ADMIN) -> httpx.Response:
    return await api.client.post(path, json=body, headers={**headers, "idempotency-key": key})


async def raises_of(api: Api) -> list[str]:
    rows = (await api.get(RAISES)).json()["rows"]
    return [one["reason"] for one in rows]


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_the_same_request_is_carried_out_once_and_answered_twice(api: Api) -> None:
    body = a_raise(api)
    first = await sent(api, RAISES, body, "same")
    again = await sent(api, RAISES, body, "same")
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (await raises_of(api)).count(body["reason"]) == 1


async def test_without_a_key_every_request_is_carried_out(api: Api) -> None:
    body = a_raise(api)
    for _ in range(2):
        assert (await api.post(RAISES, body, ADMIN)).status_code == 201
    assert (await raises_of(api)).count(body["reason"]) == 2


async def test_one_key_is_for_one_request(api: Api) -> None:
    await sent(api, RAISES, a_raise(api), "one")
    assert told(await sent(api, RAISES, a_raise(api), "one")) == (422, "idempotency_key_reused")
    other_path = await sent(api, KEYS, {"name": "x", "team": "search"}, "one")
    assert other_path.status_code == 422


async def test_of_many_at_once_one_is_carried_out(api: Api) -> None:
    body = a_raise(api)
    answers = await asyncio.gather(*(sent(api, RAISES, body, "at-once") for _ in range(8)))
    done = [one for one in answers if one.status_code == 201]
    waiting = [one for one in answers if one.status_code == 409]
    assert done
    assert len(done) + len(waiting) == 8
    assert all(one.headers["retry-after"] == "1" for one in waiting)
    assert (await raises_of(api)).count(body["reason"]) == 1


async def test_a_new_key_is_told_once_and_its_text_is_stored_nowhere(api: Api) -> None:
    body = {"name": "once", "team": "search"}
    first = await sent(api, KEYS, body, "secret")
    again = await sent(api, KEYS, body, "secret")
    assert first.status_code == 201
    assert told(again) == (409, "conflict")
    assert f"/admin/v1/keys/{first.json()['id']}" in again.json()["detail"]
    assert first.json()["key"] not in again.text
    engine = open_engine(api.opened.settings.database_url)
    async with reading(engine) as connection:
        rows = (await connection.execute(select(IdempotencyRow.__table__))).all()
    await engine.dispose()
    assert rows
    assert first.json()["key"] not in repr(rows)


async def test_a_refused_request_can_be_mended_and_sent_again(api: Api) -> None:
    body = {"name": "mended", "team": "nobody"}
    assert (await sent(api, KEYS, body, "mended")).status_code == 400
    assert (await sent(api, KEYS, {**body, "team": "search"}, "mended")).status_code == 201


async def test_two_actors_may_have_the_same_key(api: Api) -> None:
    grants = (Grant(Role.PLATFORM_ADMIN, "platform:*"),)
    made = await api.opened.admin_tokens.issue(ROOT, "other-actor", grants, None)
    bearer = {"authorization": f"Bearer {made.text}"}
    assert (await sent(api, RAISES, a_raise(api), "shared")).status_code == 201
    assert (await sent(api, RAISES, a_raise(api), "shared", bearer)).status_code == 201


async def test_who_is_nobody_is_told_so_before_anything_else(api: Api) -> None:
    answer = await sent(api, RAISES, a_raise(api), "nobody", {})
    assert answer.status_code == 401


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    answer = await sent(api, RAISES, a_raise(api), key)
    assert told(answer) == (400, "malformed_request")
    assert answer.json()["error"]["param"] == "Idempotency-Key"


async def test_a_day_later_the_key_is_free_again(api: Api) -> None:
    await sent(api, RAISES, a_raise(api), "daily")
    api.clock.advance(86_400)
    assert (await sent(api, RAISES, a_raise(api), "daily")).status_code == 201


async def test_one_under_way_for_long_is_one_whose_process_died(api: Api) -> None:
    body = a_raise(api)
    await sent(api, RAISES, body, "long")
    await api.opened.idempotency.finish("root_token", "long", Outcome.UNDER_WAY)
    engine = open_engine(api.opened.settings.database_url)
    async with engine.begin() as connection:
        await connection.execute(
            IdempotencyRow.__table__.update()  # type: ignore[attr-defined]
            .where(IdempotencyRow.key == "long")
            .values(status=None)
        )
    await engine.dispose()
    soon = await sent(api, RAISES, body, "long")
    assert (soon.status_code, soon.headers["retry-after"]) == (409, "1")
    api.clock.advance(601)
    late = await sent(api, RAISES, body, "long")
    assert late.status_code == 409
    assert "It is not known" in late.json()["detail"]


async def test_a_failure_of_ours_leaves_it_open_what_was_done(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise PolicyUnavailable("The gateway's database cannot be used right now.")

    body = a_raise(api)
    with monkeypatch.context() as patched:
        patched.setattr(type(api.opened.changes), "announce", lambda _: broken())
        assert (await sent(api, RAISES, body, "broken")).status_code == 503
    again = await sent(api, RAISES, body, "broken")
    assert again.status_code == 409
    assert (await raises_of(api)).count(body["reason"]) == 1


async def test_every_route_that_creates_knows_of_keys(api: Api) -> None:
    app = create_app(api.opened.settings)
    creating = [route for route in admin_routes(app) if "POST" in route.methods]
    assert creating
    for route in creating:
        assert isinstance(route, APIRoute)
        assert isinstance(route, AdminRoute), (
            f"{route.path} would be carried out twice: give its router `route_class=AdminRoute`"
        )
