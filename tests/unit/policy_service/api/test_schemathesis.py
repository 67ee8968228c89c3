"""Random requests at every operation of the admin API: no 5xx, and nothing but what is described.

The real application in this process, on SQLite, with four teams that have used it, and a thing of
every kind. Half of the requests name what is there, and every GET succeeds at least once: so
answers are held against their description too, and not only refusals. More than five seconds,
because every operation is asked some times.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from llm_core.policy.roles import PLATFORM, Grant, Role
from policy_service.app import create_app
from policy_service.services.administrators import ROOT
from policy_service.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.running_service import ADMIN, running_service
from tests.fixtures.admin_routes import operations
from tests.fixtures.owners import CLOSED, OURS, fill, quiet_alerts

READS, WRITES = 12, 6
"""How often an operation is asked."""
KNOWN: dict[str, str] = {}
"""Ids of things that are there, by the part of the path: random ones are found by nobody."""
AUDITOR: dict[str, str] = {}
"""Headers of who reads what administrators may not."""
KNOWN_QUERY: Mapping[str, Any] = {
    **{name: [value] for name, value in OURS.values.items()},
    "tz": "Europe/Berlin",
    "month": "2026-11",
    "period": CLOSED,
    "from": "2026-11-01",
    "to": "2026-11-21",
    "since": "2026-11-01T00:00:00Z",
    "until": "2026-11-21T00:00:00Z",
    "group_by": ["team,model"],
    "node": OURS.node,
    "chain": f"org:{OURS.organisation}",
    "by": ROOT.name,
    "before_seq": 1000,
    "with_past": "true",
    "limit": 1,
}
"""What finds something where a parameter takes any text."""
AS_TEXT = {"/admin/v1/prices": {"model": "mini"}}
NEVER_READ = {"/admin/v1/content/{decision_id}": "words are for persons, and a token asks here"}
"""GETs without success."""
ONE_PAGE = {
    "/admin/v1/audit/checkpoints": "nothing seals the chain here",
    "/admin/v1/models": "there is one",
    "/admin/v1/prices": "likewise",
    "/admin/v1/policies": "likewise; test_paging has more",
    "/admin/v1/reports/schedules/{schedule_id}/runs": "likewise",
    "/admin/v1/reliability/breakers": "none has opened",
}
"""Lists that are too short for a second page."""
schemathesis.serializer.alias("application/gzip", "application/octet-stream")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def settings_in(folder: Path, **others: Any) -> Settings:
    return Settings.model_validate(
        {
            "internal_secret": "internal-0123456789abcdef",
            "ticket_secret": "ticket-0123456789abcdef",
            "admin_token": "admin-0123456789abcdef",
            "models_file": folder / "models.yaml",
            "database_url": f"sqlite+aiosqlite:///{folder}/gatehouse.db",
            "credentials": {"openai": "sk-test"},
            **others,
        }
    )


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("random")
    quiet = {"alerts_file": quiet_alerts(folder)}

    async def make() -> None:
        async with running_service(folder, **quiet) as service:
            await fill(service.opened)
            shadow = await service.opened.policies.standing()
            grants = (Grant(Role.AUDITOR, PLATFORM),)
            # A service that starts reads it, and there is nothing in it.
            await service.opened.policies.shadow(ROOT, None)
            token = await service.opened.admin_tokens.issue(ROOT, "auditor", grants, None)
        AUDITOR["authorization"] = f"Bearer {token.text}"
        KNOWN.update({part.strip("{}").split(":")[0]: one for part, one in OURS.ids.items()})
        KNOWN["bundle"] = shadow.shadow or ""

    anyio.run(make)
    yield schemathesis.openapi.from_asgi(
        "/openapi.json", create_app(settings_in(folder, **quiet), FakeClock())
    )
    asgi.shutdown_lifespans()


def _named() -> list[tuple[str, str]]:
    app = create_app(settings_in(Path()))
    return [(method, path.replace(":path}", "}")) for method, path in operations(app)]


@pytest.mark.parametrize(("method", "path"), _named())
def test_random_requests_get_what_is_described(described: Any, method: str, path: str) -> None:
    operation = described[path][method]
    query = _known_query(path, operation.definition.raw.get("parameters", ()))
    must = {
        one["name"] for one in operation.definition.raw.get("parameters", ()) if one["required"]
    }
    headers = AUDITOR if "/content" in path else ADMIN
    succeeded = []

    @given(data=st.data())
    @settings(
        max_examples=READS if method == "GET" else WRITES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy())
        is_known = data.draw(st.booleans())
        known = {name: KNOWN[name] for name in case.path_parameters or {} if name in KNOWN}
        if known and is_known and method != "DELETE":
            case.path_parameters = known
        if is_known and method == "GET":
            wanted = data.draw(st.sets(st.sampled_from(sorted(query)))) if query else set()
            case.query = {name: query[name] for name in query if name in wanted | must}
        answer = case.call_and_validate(headers=headers, checks=CHECKS)
        succeeded.append(answer.status_code < 400)

    ask()
    assert any(succeeded) or method != "GET" or path in NEVER_READ, "no request was answered"


def _known_query(path: str, parameters: Any) -> dict[str, Any]:
    """What finds something, for each parameter that takes any text."""
    found: dict[str, Any] = {}
    for one in parameters:
        name, schema = one["name"], one["schema"]
        if one["in"] != "query" or name not in KNOWN_QUERY or "enum" in str(schema):
            continue
        value = AS_TEXT.get(path, {}).get(name, KNOWN_QUERY[name])
        is_one = isinstance(value, list) and schema.get("type") != "array"
        found[name] = value[0] if is_one else value
    return found


def _paged() -> list[str]:
    paths = create_app(settings_in(Path())).openapi()["paths"]
    return [
        path
        for path in paths
        if path.startswith("/admin/")
        and "get" in paths[path]
        and _takes(paths[path]["get"], "cursor")
    ]


def _takes(operation: Any, name: str) -> bool:
    return any(one["name"] == name for one in operation.get("parameters", ()))


@pytest.mark.parametrize("path", _paged())
def test_the_second_page_is_as_it_is_described_too(described: Any, path: str) -> None:
    operation = described[path]["GET"]
    is_grouped = _takes(operation.definition.raw, "group_by")
    query = {"limit": 1} | ({"group_by": ["team"]} if is_grouped else {})
    headers = AUDITOR if path.endswith("/content") else ADMIN
    named = {name: KNOWN[name] for name in re.findall(r"{(\w+)", path)}
    first = operation.Case(path_parameters=named, query=query)
    following = first.call_and_validate(headers=headers, checks=CHECKS).json()
    cursor = following.get("next") or following.get("next_cursor")
    assert cursor is not None or path in ONE_PAGE
    if cursor is not None:
        second = operation.Case(path_parameters=named, query={**query, "cursor": cursor})
        answer = second.call_and_validate(headers=headers, checks=CHECKS)
        assert answer.status_code == 200, answer.text
