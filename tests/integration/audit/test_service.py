"""What was noted is written and sealed when the service stops."""

from pathlib import Path

from policy_service.adapters.ed25519 import Ed25519PublicKeys, new_key_pair
from policy_service.adapters.sql.engine import open_engine
from tests.fakes.running_service import running_service
from tests.fixtures.verified_chains import verified

CALL = {"operation": "chat.completions", "asked_model": "mini"}


async def test_at_the_stop_every_decision_is_written_and_the_chain_is_sealed(
    tmp_path: Path,
) -> None:
    private, public = new_key_pair()
    (tmp_path / "audit-key.pem").write_bytes(private)
    (tmp_path / "digest-key").write_text("digest-key-0123456789\n", encoding="utf-8")
    async with running_service(
        tmp_path,
        audit_key_file=tmp_path / "audit-key.pem",
        digest_key_file=tmp_path / "digest-key",
        audit_ship=f"file://{tmp_path}/shipped.jsonl",
    ) as api:
        told = (await api.client.get("/readyz")).json()["audit"]
        assert told["checkpoints"] == "signed"
        caller = await api.caller()
        for _ in range(30):
            await api.post("/v1/decisions", {"caller": caller, "call": CALL})
    engine = open_engine(f"sqlite+aiosqlite:///{tmp_path}/gatehouse.db")
    found, chains = await verified(engine, Ed25519PublicKeys([public]))
    await engine.dispose()
    assert found == ()
    chain = chains["org:acme"]
    assert chain.events > 30
    assert chain.sealed == chain.last
