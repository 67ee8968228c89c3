"""What the service says of its admin API: permissions, types, examples, and its page."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from policy_service.api.admin_description import SPOKEN, admin_kinds
from policy_service.api.description import FOR_ADMINS
from policy_service.api.examples import EXAMPLES
from policy_service.api.permissions import OPERATIONS
from policy_service.app import create_app
from policy_service.settings import Settings
from tests.fixtures.admin_routes import operations

PAGE = (Path(__file__).parents[2] / "docs" / "admin-api.md").read_text(encoding="utf-8")
WITHOUT_JSON = {("GET", "/admin/v1/audit/export")}
DESCRIBED_ELSEWHERE = {
    ("GET", "/admin/v1/budgets"),
    ("GET", "/admin/v1/usage/recent"),
    ("GET", "/admin/v1/usage/spend"),
}


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


def test_every_operation_says_what_it_answers(app: Any) -> None:
    described = app.openapi()["paths"]
    for method, path in set(operations(app)) - WITHOUT_JSON:
        item = described[path.replace(":path}", "}")][method.lower()]
        good = [one for span, one in item["responses"].items() if span.startswith("2")]
        assert good, (method, path)
        is_typed = all("content" in one or method == "DELETE" for one in good)
        assert is_typed, (
            f"{method} {path}: name its types in policy_service/api/admin_description.py"
        )


def test_every_operation_says_who_may_and_how_it_fails(app: Any) -> None:
    described = app.openapi()["paths"]
    for (method, path), asked in OPERATIONS.items():
        item = described[path.replace(":path}", "}")][method.lower()]
        assert f"Who may: {asked}." in item["description"]
        for span in ("4XX", "5XX"):
            assert list(item["responses"][span]["content"]) == ["application/problem+json"]


def test_examples_are_of_types_that_are_spoken() -> None:
    names = {kind.__name__: kind for kind in (*admin_kinds(), *FOR_ADMINS.values())}
    assert set(EXAMPLES) <= set(names)
    for name, example in EXAMPLES.items():
        assert msgspec.convert(example, names[name]) is not None


def test_examples_fit_their_schemas(app: Any) -> None:
    whole = app.openapi()
    for name, example in EXAMPLES.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": whole["components"]}
        Draft202012Validator(schema).validate(example)


def test_every_body_that_is_taken_has_an_example() -> None:
    taken = {one.asked.__name__ for one in SPOKEN.values() if one.asked not in (None, dict, bytes)}  # type: ignore[union-attr]
    assert taken <= set(EXAMPLES)


def test_every_answer_has_an_example(app: Any) -> None:
    lacking = [
        (method, path)
        for path, item in app.openapi()["paths"].items()
        for method, operation in item.items()
        if path.startswith("/admin/")
        for status, answer in operation["responses"].items()
        if status.startswith("2")
        for media, content in answer.get("content", {}).items()
        if media == "application/json" and "$ref" in content["schema"] and "example" not in content
    ]
    assert lacking == []


def test_the_page_lists_every_operation() -> None:
    lines = ["| Operation | Who may |", "|---|---|"]
    for (method, path), asked in OPERATIONS.items():
        lines.append(f"| `{method} {path.replace(':path}', '}')}` | {asked} |")
    table = "\n".join(lines) + "\n"
    assert f"<!-- operations: begin -->\n{table}<!-- operations: end -->" in PAGE, (
        f"docs/admin-api.md should hold:\n{table}"
    )
