"""Any company's file: applied, exported, applied again, and over any other."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.company import (
    Company,
    CompanyStore,
    document_of,
    read_company,
    to_yaml,
)
from policy_service.adapters.sql.company.wanted import wanted_parts
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.schema import upgrade

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
IDS = st.one_of(
    st.sampled_from(["a", "b", "c", "d", "1", "no", "a b", "é/ü", "x#1"]),
    st.text(st.characters(categories=["L", "N", "P"], exclude_characters=":"), max_size=6),
).filter(lambda text: text and text == text.strip() and ":" not in text and text.isprintable())
NAMES = st.one_of(st.none(), IDS)
MODELS = st.sampled_from(["small", "large", "llama3:8b", "frontier", "model:odd", "group:odd"])
ALLOWED = st.one_of(st.none(), st.lists(MODELS | st.just("*"), max_size=3, unique=True))
AMOUNTS = st.decimals(0, 10**11, places=6)
LIMITS = st.dictionaries(
    st.sampled_from(["usd_per_month", "tokens_per_minute", "requests_per_minute"]),
    st.one_of(
        AMOUNTS,
        st.integers(0, 10**9),
        st.fixed_dictionaries(
            {"amount": AMOUNTS, "interactive_share": st.decimals(0, 1, places=3)}
        ),
    ),
    max_size=2,
)
LIMITED: dict[str, Any] = {
    "limits": LIMITS,
    "model_limits": st.dictionaries(MODELS, LIMITS, max_size=2),
}
WORDS = st.lists(IDS, max_size=2, unique=True)
EXPIRY = st.one_of(
    st.none(),
    st.integers(-3, 300).map(lambda days: NOW + timedelta(days=days, microseconds=days)),
)


class Draws:
    """Names that are used once, or that exist already."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self._used: dict[str, set[str]] = {}

    def new(self, kind: str, strategy: st.SearchStrategy[str] = IDS) -> str:
        used = self._used.setdefault(kind, set())
        name = self.draw(strategy.filter(lambda one: one not in used))
        used.add(name)
        return name

    def perhaps(self, kind: str) -> str | None:
        return self.new(kind) if self.draw(st.booleans()) else None

    def some(self, most: int = 2) -> range:
        return range(self.draw(st.integers(0, most)))

    def fields(self, strategies: dict[str, Any]) -> dict[str, Any]:
        return self.draw(st.fixed_dictionaries({}, optional=strategies))


@st.composite
def companies(draw: Any) -> dict[str, Any]:
    draws = Draws(draw)
    groups = draw(
        st.dictionaries(
            st.sampled_from(["frontier", "cheap"]),
            st.lists(MODELS, max_size=2, unique=True),
        )
    )
    centres = [{"id": draws.new("centre"), "name": draw(NAMES)} for _ in draws.some()]
    people = [draws.new("user") for _ in draws.some(3)]
    roles = st.lists(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["team_owner", "auditor", "member"]),
                **({"user": st.sampled_from(people)} if people else {"group": IDS}),
            }
        ),
        max_size=2,
        unique_by=str,
    )
    paid = {"cost_centre": st.sampled_from([None, *(one["id"] for one in centres)])}
    unit = {"name": NAMES, "allowed_models": ALLOWED, "roles": roles, **LIMITED}

    def holder() -> dict[str, Any]:
        return {
            "user": NAMES,
            "roles": WORDS,
            "groups": WORDS,
            "clearance": NAMES,
            "allowed_models": ALLOWED,
        }

    def key(team: str, *, with_application: bool = True) -> dict[str, Any]:
        scopes = {
            "operations": st.lists(
                st.sampled_from(["chat.completions", "embeddings", "me"]), max_size=2, unique=True
            ),
            "networks": st.sampled_from([[], ["10.0.0.0/8", "2001:db8::/32"], ["192.0.2.7"]]),
            "priority": st.sampled_from(["interactive", "batch"]),
            "expires_at": EXPIRY,
        }
        if with_application:
            scopes["application"] = NAMES
        return {
            "name": draws.new(f"key of {team}"),
            **draws.fields({**holder(), **scopes, **LIMITED}),
        }

    def place(team: str) -> dict[str, Any]:
        return {
            **draws.fields({**unit, **paid}),
            "applications": [
                {
                    "id": draws.new("application"),
                    **draws.fields({"name": NAMES, "is_active": st.booleans(), **LIMITED}),
                    "keys": [key(team, with_application=False) for _ in draws.some(1)],
                }
                for _ in draws.some(1)
            ],
            "groups": [
                {
                    "source": draws.draw(st.sampled_from(["kong", "https://id.example/x"])),
                    "name": draws.new("group"),
                    **draws.fields({"roles": WORDS, "clearance": NAMES, "allowed_models": ALLOWED}),
                }
                for _ in draws.some(1)
            ],
            "keys": [key(team) for _ in draws.some()],
            "consumers": [
                {
                    "username": draws.new("username"),
                    "custom_id": draws.perhaps("custom_id"),
                    **draws.fields({**holder(), "application": NAMES}),
                }
                for _ in draws.some(1)
            ],
        }

    places: list[tuple[str, str | None]] = []
    departments = []
    for _ in draws.some():
        teams = []
        for _ in draws.some():
            team = draws.new("team")
            places.append((team, None))
            projects = []
            for _ in draws.some():
                project = draws.new("project")
                places.append((team, project))
                projects.append({"id": project, **place(team)})
            teams.append({"id": team, **place(team), "projects": projects})
        departments.append(
            {"id": draws.new("department"), **draws.fields({**unit, **paid}), "teams": teams}
        )
    users = []
    for person in people:
        team, project = draw(st.sampled_from([(None, None), *places]))
        users.append(
            {
                "id": person,
                "team": team,
                "project": project,
                "email": draws.perhaps("email"),
                "subject": draws.perhaps("subject"),
                **draws.fields({"clearance": NAMES, "is_active": st.booleans(), **LIMITED}),
            }
        )
    return {
        "id": "acme",
        "time_zone": draw(st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"])),
        **draws.fields(unit),
        "model_groups": groups,
        "cost_centres": centres,
        "users": users,
        "departments": departments,
        "platform_roles": [],
    }


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def engine(
    runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AsyncEngine]:
    """One database for all examples: each is applied over whatever the one before left."""
    path = tmp_path_factory.mktemp("company") / "gatehouse.db"
    engine = open_engine(f"sqlite+aiosqlite:///{path}")
    runner.run(upgrade(engine))
    yield engine
    runner.run(engine.dispose())


def living(company: Company) -> dict[str, Any]:
    """What the file asks for, but keys that have expired."""
    document = document_of(wanted_parts(company), NOW)
    return dict(wanted_parts(Company.model_validate(document)))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(companies())
def test_pruning_brings_any_company_to_any_other(
    runner: asyncio.Runner, engine: AsyncEngine, document: dict[str, Any]
) -> None:
    store = CompanyStore(engine, clock=lambda: NOW)
    company = Company.model_validate(document)

    async def work() -> None:
        done = await store.apply_company(company, prune=True)
        assert done.left_alone == ()
        for prune in (True, False):
            again = await store.apply_company(company, prune=prune)
            assert (again.changes, again.left_alone, again.keys) == ((), (), {})
        exported = await store.export("acme")
        assert wanted_parts(Company.model_validate(exported)) == living(company)
        back = await store.apply_company(Company.model_validate(exported), prune=True)
        assert back.changes == ()

    runner.run(work())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(companies())
def test_the_text_of_an_export_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    company = Company.model_validate(document)
    text = to_yaml(document_of(wanted_parts(company), NOW))
    path: Path = tmp_path_factory.getbasetemp() / "exported.yaml"
    path.write_text(text, encoding="utf-8")
    assert wanted_parts(read_company(path)) == living(company)
    # And it is plain YAML, that every other reader takes.
    assert yaml.safe_load(text)["id"] == "acme"
