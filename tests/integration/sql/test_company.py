from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Measure
from policy_service.adapters.sql.callers import SqlCallers
from policy_service.adapters.sql.company import Company, read_company, seed_company
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.yaml_file import InvalidFile

ACME = """\
id: acme
name: Acme Inc.
allowed_models: ["*"]
limits: {usd_per_month: 5000}
users:
  alice: {requests_per_minute: 60}
departments:
  - id: research
    limits: {usd_per_month: 1000}
    teams:
      - id: search
        allowed_models: [small, large]
        limits: {usd_per_month: 200.5, tokens_per_minute: 100000}
        keys:
          - {name: search-laptop, user: alice, roles: [developer], limits: {usd_per_month: 0.01}}
        projects:
          - id: ranking
            allowed_models: [small]
            keys: [{name: ranking-batch, application: ranker, expires_at: 2030-01-01T00:00:00Z}]
        consumers:
          - {username: search-service, application: search}
"""


@pytest.fixture
def acme(tmp_path: Path) -> Company:
    (tmp_path / "company.yaml").write_text(ACME)
    return read_company(tmp_path / "company.yaml")


async def test_a_company_is_there_with_its_keys_after_seeding(engine: AsyncEngine, acme: Company):
    keys = await seed_company(engine, acme)
    callers = SqlCallers(engine)
    alice = await callers.by_key(keys["search-laptop"])
    ranker = await callers.by_key(keys["ranking-batch"])
    service = await callers.by_consumer(username="search-service", custom_id=None)
    assert alice is not None
    assert ranker is not None
    assert service is not None
    assert (alice.user, alice.roles, alice.allowed_models) == (
        "alice",
        ("developer",),
        ("small", "large"),
    )
    assert [(limit.node.split(":")[0], limit.measure, limit.amount) for limit in alice.limits] == [
        ("organisation", Measure.USD_PER_MONTH, 5000),
        ("department", Measure.USD_PER_MONTH, 1000),
        ("team", Measure.TOKENS_PER_MINUTE, 100000),
        ("team", Measure.USD_PER_MONTH, Decimal("200.5")),
        ("user", Measure.REQUESTS_PER_MINUTE, 60),
        ("key", Measure.USD_PER_MONTH, Decimal("0.01")),
    ]
    assert (ranker.project, ranker.application, ranker.allowed_models) == (
        "ranking",
        "ranker",
        ("small",),
    )
    assert (service.team, service.application) == ("search", "search")


async def test_seeding_again_keeps_the_keys_and_takes_the_changes(
    engine: AsyncEngine, acme: Company, tmp_path: Path
):
    keys = await seed_company(engine, acme)
    (tmp_path / "changed.yaml").write_text(ACME.replace("200.5", "300"))
    assert await seed_company(engine, read_company(tmp_path / "changed.yaml")) == {}
    callers = SqlCallers(engine)
    caller = await callers.by_key(keys["search-laptop"])
    assert caller is not None
    amounts = {limit.key: limit.amount for limit in caller.limits}
    assert amounts["team:search:usd_per_month"] == 300
    organisation = Organisation(engine)
    await organisation.revoke_key(caller.key_id or "")
    again = await seed_company(engine, acme)
    assert set(again) == {"search-laptop"}
    assert await callers.by_key(again["search-laptop"]) is not None
    assert await callers.by_key(keys["search-laptop"]) is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("usd_per_month: 5000", "usd_per_year: 5000", ":4: limits.usd_per_year"),
        ("usd_per_month: 5000", "usd_per_month: -1", ":4: limits.usd_per_month"),
        ("user: alice", "key: gk-mine", "departments[0].teams[0].keys[0].key"),
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00", "keys[0].expires_at"),
        ("name: ranking-batch", "name: search-laptop", "these come twice: ['search-laptop']"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, old: str, new: str, says: str):
    assert old in ACME
    (tmp_path / "company.yaml").write_text(ACME.replace(old, new))
    with pytest.raises(InvalidFile) as caught:
        read_company(tmp_path / "company.yaml")
    assert says in str(caught.value)
