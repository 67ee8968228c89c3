"""Real services on PostgreSQL and Redis: what one activates decides at all, and after a kill."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from policy_service.adapters.policies.signing import SigningKey, new_key, public_pem
from tests.fixtures.gateway import SECRETS
from tests.fixtures.policies import policy_folder, rename_revision, signed
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis
from tests.fixtures.service_group import ServiceGroup, start_services
from tests.integration.identity.small_company import COMPANY, MODELS

pytestmark = pytest.mark.integration
ADMIN = {"authorization": f"Bearer {SECRETS['POLICY_ADMIN_TOKEN']}"}
WITHIN_S = 1.0
GIVE_UP_S = 20.0


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory, key: SigningKey) -> Iterator[ServiceGroup]:
    folder = tmp_path_factory.mktemp("everywhere")
    (folder / "key.pem").write_bytes(public_pem(key))
    with (
        start_postgres() as postgres,
        start_redis() as redis,
        start_services(
            folder,
            count=2,
            postgres=postgres,
            redis=redis,
            companies=[COMPANY],
            models=MODELS,
            settings={"POLICY_BUNDLE_KEYS": str(folder / "key.pem")},
        ) as running,
    ):
        yield running


async def revisions(client: httpx.AsyncClient, group: ServiceGroup) -> set[str]:
    answers = await asyncio.gather(*(client.get(f"{url}/readyz") for url in group.urls))
    return {answer.json()["policy"]["revision"] for answer in answers}


async def takes_to(client: httpx.AsyncClient, group: ServiceGroup, revision: str) -> float:
    """The seconds until every process has the revision."""
    start = time.monotonic()
    while await revisions(client, group) != {revision}:
        assert time.monotonic() - start < GIVE_UP_S
        await asyncio.sleep(0.02)
    return time.monotonic() - start


async def test_what_is_activated_at_one_service_decides_at_all_within_a_second_and_after_a_kill(
    group: ServiceGroup, key: SigningKey, tmp_path: Path
) -> None:
    place = f"{group.urls[0]}/admin/v1/policies"
    async with httpx.AsyncClient(headers=ADMIN, timeout=60) as client:
        [shipped] = await revisions(client, group)
        took, made = [], []
        for name in ("first", "second", "third"):
            folder = policy_folder(tmp_path / name)
            rename_revision(folder, name)
            kept = await client.post(place, content=signed(folder, key))
            assert kept.status_code == 201, kept.text
            made.append(kept.json()["revision"])
            body = {"bundle": made[-1], "reason": "a test"}
            done = await client.post(f"{place}/activate", json=body)
            assert done.status_code == 200, done.text
            took.append(await takes_to(client, group, made[-1]))
        group.kill(group.ports[1])
        group.start(group.ports[1])
        assert await revisions(client, group) == {made[-1]}
        for back in (made[1], made[0], shipped):
            done = await client.post(f"{place}/rollback", json={"reason": "a test"})
            assert done.status_code == 200, done.text
            took.append(await takes_to(client, group, back))
    # The quickest: on a machine with others on it a process can take longer to make it ready.
    assert min(took) < WITHIN_S, took
