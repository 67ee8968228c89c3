"""`docs/openapi.json` is what the service says of itself.

After a wanted change run this with `GATEHOUSE_GOLDEN=rewrite` in the environment, and
review the diff.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from starlette.routing import Route

from policy_service.app import create_app
from policy_service.settings import Settings
from tests.fixtures.pages import PAGES, ROOT

SNAPSHOT = ROOT / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def app() -> Any:
    return create_app(
        Settings(
            internal_secret="internal-0123456789abcdef",
            ticket_secret="ticket-0123456789abcdef",
            admin_token="admin-0123456789abcdef",
            models_file=Path("models.yaml"),
        )
    )


def test_the_snapshot_is_what_the_service_says(app: Any) -> None:
    text = json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("GATEHOUSE_GOLDEN") == "rewrite":  # noqa: TID251 - as in tests/golden
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert SNAPSHOT.read_text(encoding="utf-8") == text, __doc__


def test_every_route_is_described_or_meant_not_to_be(app: Any) -> None:
    own = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
    # Other spellings of the relay, and its refusals.
    relay = {"/relay", "/relay/{path:path}", "/{path:path}"}
    described = set(app.openapi()["paths"])
    relay |= {path.replace("/v1", "") for path in described if path.startswith("/relay/v1/")}
    routes = {route.path for route in _routes(app.routes) if isinstance(route, Route)}
    assert {path.replace(":path}", "}") for path in routes - own - relay} == described


def _routes(routes: Any) -> Any:
    for route in routes:
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if inner is not None:
            yield from _routes(inner.routes)
        else:
            yield route


def test_every_reference_leads_to_a_schema(app: Any) -> None:
    described = app.openapi()
    schemas = described["components"]["schemas"]
    references = set(_references(described))
    assert references
    assert {name.removeprefix("#/components/schemas/") for name in references} <= set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def _references(part: Any) -> Any:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def test_money_is_text_in_every_answer(app: Any) -> None:
    schemas = app.openapi()["components"]["schemas"]
    for name, field in (("SpendRow", "usd"), ("UsageRow", "usd"), ("BudgetRow", "used_usd")):
        assert schemas[name]["properties"][field] == {"type": "string", "format": "decimal"}


def test_everything_asks_for_a_proof_but_health_and_where_to_get_one(app: Any) -> None:
    open_to_all = ("/healthz", "/readyz", "/v1/sign-in")
    for path, item in app.openapi()["paths"].items():
        for operation in item.values():
            assert bool(operation.get("security")) is (path not in open_to_all), path


_REQUEST = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) (/[\w/{}.:~@-]*[\w}])")
_OF_KONG = ("POST", "/config")
_LEFT_OUT = ("", "/admin/v1", "/relay")
"""What a page may leave out before a path."""


def test_every_request_that_a_page_names_is_served() -> None:
    described = json.loads(SNAPSHOT.read_text("utf-8"))["paths"]
    served = [
        (method.upper(), re.compile(re.sub(r"\\{.*?\\}", "[^/]+", re.escape(path))))
        for path, item in described.items()
        for method in item
    ]
    for route in yaml.safe_load((ROOT / "kong.yaml").read_text("utf-8"))["services"][0]["routes"]:
        paths = [path.lstrip("~").rstrip("$") for path in route["paths"]]
        served += [(route["methods"][0], re.compile(path)) for path in paths]
    unknown = {
        f"{page.name}: {method} {path}"
        for page in PAGES
        for method, path in _REQUEST.findall(page.read_text("utf-8"))
        if (method, path) != _OF_KONG
        and not any(
            method == known and pattern.fullmatch(before + path)
            for known, pattern in served
            for before in _LEFT_OUT
        )
    }
    assert unknown == set()
