"""A whole service and real OPA servers: bundles are pulled, verified, activated, and outlived."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.policies.signing import SigningKey, new_key, public_pem
from tests.fakes.running_service import ADMIN, Api, running_service
from tests.fixtures.opa_server import start_opa
from tests.fixtures.policies import (
    BARRED,
    EMBEDDED,
    bar_model,
    policy_folder,
    rename_revision,
    signed,
)
from tests.fixtures.policy_inputs import CALLER, chat_input
from tests.fixtures.pulling_opa import PullingOpa, pulling_config, start_pulling_opa
from tests.fixtures.services import free_port

pytestmark = pytest.mark.integration
TOKEN = "bundle-token-0123456789abcdef"
FETCHES = {"authorization": f"Bearer {TOKEN}"}
LIVE = "/v1/policy/bundles/live.tar.gz"
BARRED_CALL = chat_input(
    asked_model=BARRED, caller=replace(CALLER, allowed_models=("chat", BARRED))
)
SETTLES_WITHIN_S = 15.0


@dataclass
class Shipping:
    """A service on a port, the key it trusts, and bundles to ship."""

    api: Api
    url: str
    key: SigningKey
    folder: Path

    def bundle(self, name: str, *, barring: bool = False) -> bytes:
        """A signed bundle of that revision."""
        folder = policy_folder(self.folder / name)
        rename_revision(folder, name)
        if barring:
            bar_model(folder)
        return signed(folder, self.key)

    async def upload(self, tarball: bytes) -> dict[str, Any]:
        """Through the admin API."""
        place = "/admin/v1/policies"
        answer = await self.api.client.post(place, headers=ADMIN, content=tarball)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def activate(self, tarball: bytes) -> dict[str, Any]:
        """Upload and activate."""
        kept = await self.upload(tarball)
        body = {"bundle": kept["digest"], "reason": "a test"}
        answer = await self.api.post("/admin/v1/policies/activate", body, ADMIN)
        assert answer.status_code == 200, answer.text
        return kept


@asynccontextmanager
async def shipping(folder: Path, **others: Any) -> AsyncIterator[Shipping]:
    """Run a service that trusts a new key."""
    key = new_key()
    (folder / "keys").mkdir()
    (folder / "keys" / "compliance.pem").write_bytes(public_pem(key))
    settings = {"bundle_keys": folder / "keys", "bundle_token": TOKEN, **others}
    async with running_service(folder, **settings) as api:
        app = api.client._transport.app  # type: ignore[attr-defined]
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        try:
            yield Shipping(api, f"http://127.0.0.1:{port}", key, folder)
        finally:
            server.should_exit = True
            await serving


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + SETTLES_WITHIN_S
    while not await holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        await asyncio.sleep(0.05)


async def revision_at(opa: PullingOpa) -> str:
    async with httpx.AsyncClient(timeout=5) as client:
        answer = await client.post(
            f"{opa.url}/v1/data/llm/main/decision", json={"input": BARRED_CALL}
        )
    return str(answer.json().get("result", {}).get("revision", ""))


async def test_opa_pulls_verifies_and_follows_what_is_activated(tmp_path: Path) -> None:
    async with shipping(tmp_path) as service:
        config = pulling_config(tmp_path, service.url, TOKEN, service.key)
        first = await service.activate(service.bundle("first"))
        with start_pulling_opa(config) as opa:
            await until(lambda: asyncio.sleep(0, opa.has_bundle()))
            assert await revision_at(opa) == first["revision"]
            second = await service.activate(service.bundle("second", barring=True))

            async def has_second() -> bool:
                return await revision_at(opa) == second["revision"]

            await until(has_second)


async def test_opa_with_another_key_takes_nothing(tmp_path: Path) -> None:
    async with shipping(tmp_path) as service:
        await service.activate(service.bundle("first"))
        stranger = SigningKey(new_key().private)
        config = pulling_config(tmp_path, service.url, TOKEN, stranger)
        with start_pulling_opa(config) as opa:
            await asyncio.sleep(3)  # some polls
            assert not opa.has_bundle()
            assert await revision_at(opa) == ""


async def test_the_live_bundle_is_for_who_has_the_token_and_has_not_fetched_it_yet(
    tmp_path: Path,
) -> None:
    async with shipping(tmp_path) as service:
        client = service.api.client
        assert (await client.get(LIVE, headers=FETCHES)).status_code == 404
        tarball = service.bundle("first")
        kept = await service.activate(tarball)

        async def is_live() -> bool:
            return (await client.get(LIVE, headers=FETCHES)).status_code == 200

        await until(is_live)
        fetched = await client.get(LIVE, headers=FETCHES)
        assert fetched.content == tarball
        again = {**FETCHES, "if-none-match": fetched.headers["etag"]}
        assert (await client.get(LIVE, headers=again)).status_code == 304
        for headers in ({}, ADMIN, {"authorization": "Bearer x"}):
            assert (await client.get(LIVE, headers=headers)).status_code == 401
        policy = (await client.get("/readyz")).json()["policy"]
        assert policy == {
            "revision": kept["revision"],
            "source": "bundle",
            "fault": None,
            "shadow": None,
        }


async def test_without_a_token_set_no_bundle_is_handed_out(tmp_path: Path) -> None:
    async with running_service(tmp_path) as api:
        for headers in ({}, {"authorization": "Bearer "}, FETCHES):
            assert (await api.client.get(LIVE, headers=headers)).status_code == 401


async def test_opa_that_is_killed_is_stood_in_for_by_the_embedded_engine_if_so_configured(
    tmp_path: Path,
) -> None:
    """The decision names the engine that answered, and the policy is the live one all the time."""
    settings = {"opa_push": True, "fallback": "embedded"}
    with start_opa(None) as opa:
        async with shipping(tmp_path, opa_url=opa.url, **settings) as service:
            policy = service.api.opened.policy
            assert (await policy.evaluate(BARRED_CALL)).engine == "opa"
            kept = await service.activate(service.bundle("first", barring=True))

            async def is_live() -> bool:
                return bool(policy.detail()["revision"] == kept["revision"])

            await until(is_live)
            assert (await policy.evaluate(BARRED_CALL)).engine == "opa"
            opa.stop()
            result = await policy.evaluate(BARRED_CALL)
            assert (result.engine, result.revision) == (EMBEDDED, kept["revision"])
            assert [reason.code for reason in result.reasons] == ["model_barred"]
            assert await policy.ready()
            opa.start()

            async def is_back() -> bool:
                return (await policy.evaluate(BARRED_CALL)).engine == "opa"

            await until(is_back)
            assert (await policy.evaluate(BARRED_CALL)).revision == kept["revision"]


async def test_opa_that_is_killed_is_missed_where_nothing_is_configured(tmp_path: Path) -> None:
    with start_opa(None) as opa:
        async with shipping(tmp_path, opa_url=opa.url, opa_push=True) as service:
            policy = service.api.opened.policy
            assert (await policy.evaluate(BARRED_CALL)).engine == "opa"
            opa.stop()
            with pytest.raises(PolicyUnavailable):
                await policy.evaluate(BARRED_CALL)
            assert not await policy.ready()


async def test_a_module_that_a_newer_policy_lacks_is_gone_from_opa_too(tmp_path: Path) -> None:
    with start_opa(None) as opa:
        async with shipping(tmp_path, opa_url=opa.url, opa_push=True) as service:
            policy = service.api.opened.policy
            more = policy_folder(tmp_path / "more")
            rename_revision(more, "more")
            extra = (
                "package llm.models\n\nimport data.llm.reasons\n\ndeny contains "
                'reasons.against_call("extra", "llm.models", "No.", "None.") if '
                f'input.call.asked_model == "{BARRED}"\n'
            )
            (more / "llm/models/extra.rego").write_text(extra, encoding="utf-8")
            await service.activate(signed(more, service.key))

            async def denies() -> bool:
                return not (await policy.evaluate(BARRED_CALL)).allow

            await until(denies)
            await service.activate(service.bundle("less"))

            async def allows() -> bool:
                return (await policy.evaluate(BARRED_CALL)).allow

            await until(allows)
