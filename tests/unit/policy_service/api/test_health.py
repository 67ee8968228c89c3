import pytest

from policy_service.adapters.memory_limits import MemoryLimitsStore
from policy_service.adapters.policies.live import LivePolicy
from policy_service.adapters.sql.ledger import SqlLedger
from tests.fakes.running_service import Api
from tests.fixtures.policies import EMBEDDED

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_service_that_has_everything_is_ready_and_says_which_engine_decides(
    api: Api,
) -> None:
    answer = await api.client.get("/readyz")
    assert answer.status_code == 200
    told = answer.json()
    assert told.pop("policy")["revision"].startswith("2026-")
    assert told == {
        "status": "ok",
        "checks": {"database": "ok", "limits": "ok", "policy": "ok"},
        "policy_engine": EMBEDDED,
        "audit": {
            "checkpoints": "off: POLICY_AUDIT_KEY_FILE is not set",
            "waiting": 0,
            "lost": 0,
        },
        "degraded_decisions": 0,
    }


@pytest.mark.parametrize(
    ("name", "adapter"),
    [("database", SqlLedger), ("limits", MemoryLimitsStore), ("policy", LivePolicy)],
)
async def test_it_names_what_is_down_and_is_alive_all_the_same(
    api: Api, monkeypatch: pytest.MonkeyPatch, name: str, adapter: type
) -> None:
    async def down(_self: object) -> bool:
        return False

    monkeypatch.setattr(adapter, "ready", down)
    answer = await api.client.get("/readyz")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert checks.pop(name) == "down"
    assert set(checks.values()) == {"ok"}
    alive = await api.client.get("/healthz")
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
