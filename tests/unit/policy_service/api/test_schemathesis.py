"""Random requests at every operation of the admin API: no 5xx, and nothing but what is described.

The real application in this process, on SQLite, with a company. More than five seconds, because
every operation is asked some times.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import schemathesis
import yaml
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from policy_service.adapters.sql import schema as database
from policy_service.adapters.sql.company import read_company, seed_company
from policy_service.adapters.sql.engine import open_engine
from policy_service.app import create_app
from policy_service.settings import Settings
from tests.fakes.running_service import ADMIN, COMPANY, MODELS
from tests.fixtures.admin_routes import operations

EXAMPLES = 5
KNOWN: dict[str, str] = {}
"""Ids of things that are there: random ones are found by nobody."""
schemathesis.serializer.alias("application/gzip", "application/octet-stream")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def settings_in(folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "internal_secret": "internal-0123456789abcdef",
            "ticket_secret": "ticket-0123456789abcdef",
            "admin_token": "admin-0123456789abcdef",
            "models_file": folder / "models.yaml",
            "database_url": f"sqlite+aiosqlite:///{folder}/gatehouse.db",
            "credentials": {"openai": "sk-test"},
        }
    )


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("random")
    (folder / "models.yaml").write_text(yaml.safe_dump(MODELS))
    (folder / "company.yaml").write_text(yaml.safe_dump(COMPANY))
    made = settings_in(folder)

    async def fill() -> None:
        await database.migrate(made.database_url)
        engine = open_engine(made.database_url)
        await seed_company(engine, read_company(folder / "company.yaml"))
        await engine.dispose()

    anyio.run(fill)
    app = create_app(made)
    KNOWN.update(_things(app))
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    asgi.shutdown_lifespans()


def _things(app: FastAPI) -> dict[str, str]:
    """One of each kind that paths name."""
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    bodies = {
        "key_id": ("keys", {"name": "known", "team": "search"}),
        "approval_id": ("approvals", {"model": "mini", "reason": "x", "for": "team:search"}),
        "raise_id": (
            "limits/raises",
            {
                "node": "team:search",
                "measure": "usd_per_month",
                "amount": "1",
                "until": until,
                "reason": "x",
            },
        ),
    }
    with asgi.get_client(app) as client:
        made = {
            name: client.post(f"/admin/v1/{path}", json=body, headers=ADMIN).json()["id"]
            for name, (path, body) in bodies.items()
        }
    return {**made, "subject": "team:search"}


def _named() -> list[tuple[str, str]]:
    app = create_app(settings_in(Path()))
    return [(method, path.replace(":path}", "}")) for method, path in operations(app)]


@pytest.mark.parametrize(("method", "path"), _named())
def test_random_requests_get_what_is_described(described: Any, method: str, path: str) -> None:
    operation = described[path][method]

    @given(data=st.data())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy())
        known = {name: KNOWN[name] for name in case.path_parameters or {} if name in KNOWN}
        if known and method != "DELETE" and data.draw(st.booleans()):
            case.path_parameters = known
        case.call_and_validate(headers=ADMIN, checks=CHECKS)

    ask()
