"""The live policy: from the folder, from bundles, in several processes, through faults."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.errors import PolicyUnavailable
from llm_core.policy.roles import Actor
from policy_service.adapters.policies.desk import Desk
from policy_service.adapters.policies.engines import Engines
from policy_service.adapters.policies.folder import WatchedFolder
from policy_service.adapters.policies.live import LivePolicy
from policy_service.adapters.policies.signing import SigningKey, TrustedKeys, new_key
from policy_service.adapters.policies.stamp import stamped
from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.changes import SqlChangeLog
from policy_service.adapters.sql.engine import open_engine, writing
from policy_service.adapters.sql.policies import SqlPolicies
from policy_service.adapters.sql.schema import upgrade
from policy_service.adapters.sql.tables import Base
from policy_service.ports.policies import PolicyRefused
from policy_service.services.changes import Changes
from policy_service.wiring.background import in_background
from tests.fixtures.policies import (
    BARRED,
    EMBEDDED,
    RULES,
    add_denial,
    bar_model,
    policy_folder,
    rename_revision,
    signed,
    trusting,
)
from tests.fixtures.policy_inputs import CALLER, chat_input

pytestmark = pytest.mark.integration
ALICE = Actor("user:alice", "oidc")
BARRED_CALL = chat_input(
    asked_model=BARRED, caller=replace(CALLER, allowed_models=("chat", BARRED))
)
SETTLES_WITHIN_S = 10.0


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    made = open_engine(f"sqlite+aiosqlite:///{tmp_path / 'gatehouse.db'}")
    await upgrade(made)
    yield made
    await made.dispose()


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return policy_folder(tmp_path / "rego")


@pytest.fixture
def barring(tmp_path: Path, key: SigningKey) -> bytes:
    """A bundle that bars a model."""
    other = policy_folder(tmp_path / "barring")
    bar_model(other)
    return signed(other, key)


@pytest.fixture
def desk(engine: AsyncEngine, key: SigningKey) -> Desk:
    return Desk(SqlPolicies(engine), trusting(key))


@asynccontextmanager
async def live(engine: AsyncEngine, folder: Path, keys: TrustedKeys) -> AsyncIterator[LivePolicy]:
    """One process's policy, followed as a service does."""
    policy = LivePolicy(Engines(), WatchedFolder(folder), SqlPolicies(engine), keys)
    changes = Changes(SqlChangeLog(engine))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(policy.close)
        await policy.start()
        for work in (changes.run(), policy.run(changes)):
            await in_background(stack, work)
        await asyncio.sleep(0)
        yield policy


async def until(holds: Callable[[], bool], within_s: float) -> None:
    """Wait until something holds; how soon it is everywhere says `test_live_everywhere.py`."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < within_s, "it did not come to hold"
        await asyncio.sleep(0.02)


async def allows_barred(policy: LivePolicy) -> bool:
    return (await policy.evaluate(BARRED_CALL)).allow


async def test_without_a_bundle_the_folder_is_live_and_a_change_of_it_too(
    engine: AsyncEngine, folder: Path
) -> None:
    async with live(engine, folder, trusting()) as policy:
        assert policy.bundle == stamped(load_bundle(folder))
        assert policy.signed is None
        assert await allows_barred(policy)
        before = policy.bundle.revision
        bar_model(folder)
        await until(lambda: policy.bundle.revision != before, SETTLES_WITHIN_S)
        result = await policy.evaluate(BARRED_CALL)
        assert [reason.code for reason in result.reasons] == ["model_barred"]
        assert result.revision == policy.bundle.revision
        assert (result.engine, result.duration_ms > 0) == (EMBEDDED, True)


async def test_a_folder_that_does_not_compile_changes_nothing_and_is_told(
    engine: AsyncEngine, folder: Path
) -> None:
    async with live(engine, folder, trusting()) as policy:
        good = policy.bundle
        (folder / RULES).write_text("package llm.models\n\ndeny contains {{{\n", encoding="utf-8")
        await until(lambda: policy.detail()["fault"] is not None, SETTLES_WITHIN_S)
        assert policy.bundle == good
        assert await allows_barred(policy)
        assert await policy.ready()
        folder_again = policy_folder(folder.parent / "again")
        bar_model(folder_again)
        (folder / RULES).write_text((folder_again / RULES).read_text("utf-8"), encoding="utf-8")
        await until(lambda: policy.bundle != good, SETTLES_WITHIN_S)
        assert policy.detail()["fault"] is None
        assert not await allows_barred(policy)


async def test_an_activated_bundle_is_live_everywhere_until_a_rollback(
    engine: AsyncEngine, folder: Path, desk: Desk, key: SigningKey, barring: bytes
) -> None:
    async with (
        live(engine, folder, trusting(key)) as one,
        live(engine, folder, trusting(key)) as other,
    ):
        kept = await desk.upload(ALICE, barring)
        await desk.activate(ALICE, kept.digest[:10], "no more of that model")
        await until(
            lambda: {one.bundle.digest, other.bundle.digest} == {kept.digest}, SETTLES_WITHIN_S
        )
        assert not await allows_barred(one)
        assert one.signed is not None
        assert one.signed.tarball == barring
        bar_model(folder, "another")  # nobody looks at the folder now
        await desk.rollback(ALICE, "sales needs it")
        await until(lambda: one.signed is None and other.signed is None, SETTLES_WITHIN_S)
        assert await allows_barred(one)
    actions = [(one.action, one.actor) for one in await AuditLog(engine).entries()]
    assert actions == [
        ("policy.rollback", "user:alice"),
        ("policy.activate", "user:alice"),
        ("policy.upload", "user:alice"),
    ]


async def test_what_is_live_survives_a_restart_and_an_outage(
    engine: AsyncEngine, folder: Path, desk: Desk, key: SigningKey, barring: bytes
) -> None:
    kept = await desk.upload(ALICE, barring)
    await desk.activate(ALICE, kept.revision, "policy of November")
    async with live(engine, folder, trusting(key)) as policy:
        assert policy.bundle.digest == kept.digest
        async with writing(engine) as connection:
            await connection.exec_driver_sql("ALTER TABLE policy_activations RENAME TO gone")
        await asyncio.sleep(0.5)
        assert not await allows_barred(policy)
        async with writing(engine) as connection:
            await connection.exec_driver_sql("ALTER TABLE gone RENAME TO policy_activations")


async def test_who_starts_without_a_database_decides_nothing_until_it_is_back(
    engine: AsyncEngine, folder: Path, desk: Desk, key: SigningKey, barring: bytes
) -> None:
    kept = await desk.upload(ALICE, barring)
    await desk.activate(ALICE, kept.digest, "policy of November")
    async with writing(engine) as connection:
        await connection.exec_driver_sql("ALTER TABLE policy_activations RENAME TO gone")
    async with live(engine, folder, trusting(key)) as policy:
        with pytest.raises(PolicyUnavailable):
            await policy.evaluate(BARRED_CALL)
        assert not await policy.ready()
        async with writing(engine) as connection:
            await connection.exec_driver_sql("ALTER TABLE gone RENAME TO policy_activations")
        await until(lambda: policy.name == EMBEDDED, SETTLES_WITHIN_S)
        assert not await allows_barred(policy)


async def test_who_can_write_into_the_database_cannot_write_the_policy(
    engine: AsyncEngine, folder: Path, desk: Desk, key: SigningKey, barring: bytes
) -> None:
    """Neither at a start, where nothing decides then, nor later, where the last good one stays."""
    kept = await desk.upload(ALICE, barring)
    other = policy_folder(folder.parent / "other")
    rename_revision(other, "forged")
    forged = signed(other, new_key())
    bundles = Base.metadata.tables["policy_bundles"]
    async with live(engine, folder, trusting(key)) as policy:
        async with writing(engine) as connection:
            await connection.execute(update(bundles).values(tarball=forged))
        with pytest.raises(PolicyRefused, match="not trusted"):
            await desk.activate(ALICE, kept.digest, "why not")
        await SqlPolicies(engine).activate(ALICE, kept.digest, "past the desk")
        await until(lambda: policy.detail()["fault"] is not None, SETTLES_WITHIN_S)
        assert policy.signed is None
        assert (await policy.evaluate(chat_input())).allow
    async with live(engine, folder, trusting(key)) as policy:
        with pytest.raises(PolicyUnavailable):
            await policy.evaluate(chat_input())


async def test_a_swap_fails_and_mixes_no_question(
    engine: AsyncEngine, folder: Path, desk: Desk, key: SigningKey, barring: bytes
) -> None:
    kept = await desk.upload(ALICE, barring)
    async with live(engine, folder, trusting(key)) as policy:
        answers: list[tuple[str, bool]] = []

        async def ask_on() -> None:
            while True:
                result = await policy.evaluate(BARRED_CALL)
                answers.append((result.revision, result.allow))

        asking = [asyncio.create_task(ask_on()) for _ in range(8)]
        await asyncio.sleep(0.2)
        await desk.activate(ALICE, kept.digest, "in the middle of it")
        await until(lambda: policy.bundle.digest == kept.digest, SETTLES_WITHIN_S)
        await asyncio.sleep(0.3)
        for task in asking:
            assert not task.done(), task
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        said = set(answers)
        assert {allow for revision, allow in said if revision == kept.revision} == {False}
        assert {allow for revision, allow in said if revision != kept.revision} == {True}


async def test_a_bundle_that_fails_its_own_tests_is_refused_with_their_names(
    desk: Desk, key: SigningKey, tmp_path: Path
) -> None:
    other = policy_folder(tmp_path / "other")
    add_denial(other, 'input.call.asked_model == "chat"', "chat_barred")
    with pytest.raises(PolicyRefused, match="test_"):
        await desk.upload(ALICE, signed(other, key))
    assert await desk.bundles() == ()


async def test_a_bundle_that_does_not_compile_is_refused_with_the_engines_words(
    desk: Desk, key: SigningKey, tmp_path: Path
) -> None:
    other = policy_folder(tmp_path / "other")
    (other / RULES).write_text("package llm.models\n\ndeny contains {{{\n", encoding="utf-8")
    with pytest.raises(PolicyRefused, match="regopy cannot use the policy"):
        await desk.upload(ALICE, signed(other, key))


async def test_a_bundle_that_allows_the_empty_question_is_refused(
    desk: Desk, key: SigningKey, tmp_path: Path
) -> None:
    other = policy_folder(tmp_path / "other")
    decision = (
        'package llm.main\n\ndecision := {"allow": true, "permitted": [], "models": [], '
        '"reasons": [], "obligations": {"max_output_tokens": null}, "revision": "x"}\n'
    )
    (other / "llm/main/main.rego").write_text(decision, encoding="utf-8")
    with pytest.raises(PolicyRefused, match="empty question"):
        await desk.upload(ALICE, signed(other, key))


async def test_without_a_trusted_key_nothing_can_be_uploaded(
    engine: AsyncEngine, barring: bytes
) -> None:
    with pytest.raises(PolicyRefused, match="POLICY_BUNDLE_KEYS"):
        await Desk(SqlPolicies(engine), trusting()).upload(ALICE, barring)


async def test_rollbacks_go_back_one_by_one_to_the_folder_and_no_further(
    desk: Desk, key: SigningKey, tmp_path: Path
) -> None:
    made = []
    for name in ("first", "second"):
        other = policy_folder(tmp_path / name)
        rename_revision(other, name)
        made.append(await desk.upload(ALICE, signed(other, key)))
        await desk.activate(ALICE, made[-1].digest, name)
    with pytest.raises(PolicyRefused, match="already"):
        await desk.activate(ALICE, made[1].digest, "again")
    assert (await desk.rollback(ALICE, "back")).digest == made[0].digest
    assert (await desk.rollback(ALICE, "back")).digest is None
    with pytest.raises(PolicyRefused, match="nothing to roll back"):
        await desk.rollback(ALICE, "back")
    assert [one.action for one in await desk.history()] == [
        *("rollback", "rollback"),
        *("activate", "activate"),
    ]


async def test_a_reason_has_to_be_given(desk: Desk, barring: bytes) -> None:
    kept = await desk.upload(ALICE, barring)
    with pytest.raises(PolicyRefused, match="why"):
        await desk.activate(ALICE, kept.digest, "  ")


async def test_a_bundle_that_is_not_there_is_said_to_be_so(desk: Desk, engine: AsyncEngine) -> None:
    for asking in (
        desk.find("nope"),
        desk.activate(ALICE, "0" * 64, "why"),
        desk.shadow(ALICE, "x"),
    ):
        with pytest.raises(PolicyRefused, match="no bundle"):
            await asking
    async with writing(engine) as connection:
        await connection.execute(delete(Base.metadata.tables["policy_bundles"]))
