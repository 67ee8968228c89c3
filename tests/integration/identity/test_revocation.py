"""Who was let in is out within a second, everywhere: real services, two plugin instances.

The plugins remember callers for five minutes here, so that nothing but hearing of it can do that.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest

from kong_plugins.llm_auth.plugin import Plugin
from policy_service.keys import new_key
from tests.fakes.kong import FakeKong
from tests.fixtures.gateway import SECRETS
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis
from tests.fixtures.service_group import ServiceGroup, start_services
from tests.integration.identity.small_company import COMPANY, MODELS, NAMES

pytestmark = pytest.mark.integration

ADMIN = {"authorization": f"Bearer {SECRETS['POLICY_ADMIN_TOKEN']}"}
WITHIN_S = 1.0
GIVE_UP_S = 20.0


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceGroup]:
    folder = tmp_path_factory.mktemp("revocation")
    with (
        start_postgres() as postgres,
        start_redis() as redis,
        start_services(
            folder, count=2, postgres=postgres, redis=redis, companies=[COMPANY], models=MODELS
        ) as running,
    ):
        yield running


@pytest.fixture
async def plugins(group: ServiceGroup) -> AsyncIterator[list[Plugin]]:
    """One at each of the two services, both listening."""
    async with AsyncExitStack() as stack:
        made = []
        for port in group.ports:
            plugin = Plugin(
                {
                    "policy_url": f"http://127.0.0.1:{port}",
                    "policy_secret": SECRETS["POLICY_INTERNAL_SECRET"],
                    "timeout_ms": 5000,
                    "cache_ttl_s": 300,
                }
            )
            stack.push_async_callback(plugin.close)
            made.append(plugin)
        for plugin in made:
            await ask(plugin, new_key())
            await asyncio.wait_for(plugin._listening.connected.wait(), GIVE_UP_S)
        yield made


async def ask(plugin: Plugin, key: str) -> tuple[int, str]:
    """Status and message; 200 for whoever is let in."""
    kong = FakeKong({"request.get_headers": {"authorization": [f"Bearer {key}"]}})
    answered = await kong.run(plugin.access)
    if answered is None:
        return 200, ""
    return answered.status, answered.body["error"]["message"]


async def refused_after_s(plugins: list[Plugin], key: str, since_s: float) -> float:
    async with asyncio.timeout(GIVE_UP_S):
        while {(await ask(plugin, key))[0] for plugin in plugins} != {401}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return time.monotonic() - since_s


async def id_of(group: ServiceGroup, name: str) -> str:
    async with httpx.AsyncClient(headers=ADMIN, timeout=30) as client:
        answer = await client.get(f"{group.urls[0]}/admin/v1/keys", params={"limit": 1000})
    [found] = [row["id"] for row in answer.json()["rows"] if row["name"] == name]
    return str(found)


async def revoke(group: ServiceGroup, name: str, url: str) -> None:
    key_id = await id_of(group, name)
    async with httpx.AsyncClient(headers=ADMIN, timeout=30) as client:
        answer = await client.delete(f"{url}/admin/v1/keys/{key_id}")
    assert answer.status_code == 200
    assert answer.json()["state"] == "revoked"


async def test_a_key_that_one_service_revoked_is_refused_by_the_plugins_of_all(
    group: ServiceGroup, plugins: list[Plugin]
) -> None:
    took_s = []
    for number, name in enumerate(NAMES[:3]):
        key = group.keys[name]
        assert [await ask(plugin, key) for plugin in plugins] == [(200, "")] * 2
        await revoke(group, name, group.urls[number % 2])
        took_s.append(await refused_after_s(plugins, key, time.monotonic()))
    assert min(took_s) < WITHIN_S, took_s  # the others wait for their turn on a busy machine
    status, message = await ask(plugins[0], group.keys[NAMES[0]])
    assert (status, "was revoked" in message) == (401, True)


async def test_a_key_that_the_command_line_revoked_without_redis_is_refused_as_soon(
    group: ServiceGroup, plugins: list[Plugin]
) -> None:
    took_s = []
    settings = {name: text for name, text in group.settings.items() if "REDIS" not in name}
    for name in NAMES[3:6]:
        key, key_id = group.keys[name], await id_of(group, name)
        assert [await ask(plugin, key) for plugin in plugins] == [(200, "")] * 2
        command = [sys.executable, "-m", "policy_service", "keys", "revoke", key_id]
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env={**os.environ, **settings},  # noqa: TID251 - another process's environment
            capture_output=True,
            text=True,
            check=True,
        )
        assert "is revoked" in done.stdout
        took_s.append(await refused_after_s(plugins, key, time.monotonic()))
    assert min(took_s) < WITHIN_S, took_s  # the others wait for their turn on a busy machine


async def test_a_rotated_key_is_refused_when_its_overlap_is_over_though_it_was_remembered(
    group: ServiceGroup, plugins: list[Plugin]
) -> None:
    key = group.keys[NAMES[6]]
    assert [await ask(plugin, key) for plugin in plugins] == [(200, "")] * 2
    async with httpx.AsyncClient(headers=ADMIN, timeout=30) as client:
        answer = await client.post(
            f"{group.urls[0]}/admin/v1/keys/{await id_of(group, NAMES[6])}/rotate",
            json={"overlap_s": 2},
        )
    assert answer.status_code == 201
    new = answer.json()["key"]
    assert [(await ask(plugin, new))[0] for plugin in plugins] == [200, 200]
    await refused_after_s(plugins, key, time.monotonic())
    assert (await ask(plugins[0], key))[1].startswith("The API key has expired")


async def test_a_key_that_is_revoked_while_it_has_two_texts_is_refused_by_both(
    group: ServiceGroup, plugins: list[Plugin]
) -> None:
    old, key_id = group.keys[NAMES[11]], await id_of(group, NAMES[11])
    async with httpx.AsyncClient(headers=ADMIN, timeout=30) as client:
        answer = await client.post(f"{group.urls[0]}/admin/v1/keys/{key_id}/rotate")
    new = answer.json()["key"]
    for key in (old, new):
        assert [(await ask(plugin, key))[0] for plugin in plugins] == [200, 200]
    await revoke(group, NAMES[11], group.urls[1])
    since_s = time.monotonic()
    for key in (old, new):
        await refused_after_s(plugins, key, since_s)
        assert "was revoked" in (await ask(plugins[0], key))[1]


async def test_while_their_service_is_down_known_callers_go_on_and_a_good_key_is_never_401(
    group: ServiceGroup, plugins: list[Plugin]
) -> None:
    known, other, revoked = (group.keys[name] for name in NAMES[7:10])
    here, there = plugins
    assert (await ask(here, known))[0] == (await ask(here, revoked))[0] == 200
    down = group.ports[0]
    group.kill(down)
    try:
        assert [(await ask(here, key))[0] for key in (known, other, new_key())] == [200, 503, 503]
        assert (await ask(there, other))[0] == 200
        await revoke(group, NAMES[9], group.urls[0])
        await refused_after_s([there], revoked, time.monotonic())
    finally:
        group.start(down)
    # Nobody told it; it asks about everybody when it hears again.
    await refused_after_s([here], revoked, time.monotonic())
    assert [(await ask(here, key))[0] for key in (known, other)] == [200, 200]


async def test_when_keys_were_used_is_known_to_administrators(
    group: ServiceGroup, plugins: list[Plugin]
) -> None:
    assert (await ask(plugins[0], group.keys[NAMES[10]]))[0] == 200
    key_id = await id_of(group, NAMES[10])
    async with httpx.AsyncClient(headers=ADMIN, timeout=30) as client, asyncio.timeout(60):
        while True:
            shown = (await client.get(f"{group.urls[0]}/admin/v1/keys/{key_id}")).json()
            if shown["last_used_at"] is not None:
                break
            await asyncio.sleep(0.2)
    assert shown["state"] == "live"
    assert "digest" not in shown
