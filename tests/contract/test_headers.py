"""docs/headers.md names every header that is read, set or taken away here, and no other."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiohttp import hdrs

from kong_plugins.llm_auth.credential import MAY_TRAVEL, MAY_TRAVEL_PREFIXES
from tests.fixtures.pages import ROOT

PAGE = (ROOT / "docs" / "headers.md").read_text(encoding="utf-8")
PACKAGES = ("llm_core", "kong_plugins", "policy_service")
_REGISTERED = {
    str(one).lower() for name, one in vars(hdrs).items() if re.match(r"(?!METH)[A-Z]", name)
}
_OURS = re.compile(r"x-[a-z-]*[a-z]|(api|idempotency|content-security)-[a-z]+|trace(parent|state)")
_FAMILY = re.compile(r"x-[a-z-]+-")
_OTHERS = {"x-gzip"}
"""A compression."""


def _modules() -> list[Path]:
    """Ours, without vendors' formats, and without the command line, which asks the service."""
    found = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    left_out = {"providers", "cli"}
    return [one for one in found if not left_out & set(one.parts) and one.name != "aws_signing.py"]


def _is_one(text: str, *, is_expected: bool = False) -> bool:
    """Whether a text names a header; one of a single word does only where one is expected."""
    return bool(_OURS.fullmatch(text)) or (text in _REGISTERED and ("-" in text or is_expected))


def _expected_in(node: ast.AST) -> Sequence[ast.expr | None]:
    """What names a header if it is a text, because of where it stands."""
    names: Sequence[ast.expr | None] = ()
    match node:
        case (
            ast.Subscript(value=of, slice=name)
            | ast.Call(func=ast.Attribute(value=of, attr="get" | "getlist"), args=[name, *_])
        ):
            names = [name] if ast.unparse(of).endswith("headers") else ()
        case (
            ast.Call(func=ast.Name(id="only"), args=[_, name])
            | ast.Call(func=ast.Attribute(attr="clear_header"), args=[name])
        ):
            names = [name]
        case ast.Call(func=ast.Attribute(attr="set_headers"), args=[ast.Dict(keys=keys)]) | (
            ast.keyword(arg="headers", value=ast.Dict(keys=keys))
        ):
            names = keys
        case ast.Dict(keys=keys):
            # One among them makes the others headers as well.
            texts = [one.value for one in keys if isinstance(one, ast.Constant)]
            names = keys if any(_is_one(str(one)) for one in texts) else ()
        case _:
            pass
    return names


def _named(tree: ast.Module) -> Iterator[str]:
    expected = {id(one) for node in ast.walk(tree) for one in _expected_in(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value.lower()
            if _is_one(text, is_expected=id(node) in expected):
                yield text
        elif isinstance(node, ast.arg) and node.annotation and "Header(" in ast.unparse(node):
            yield node.arg.replace("_", "-")  # FastAPI's way


def _families(tree: ast.Module) -> Iterator[str]:
    """Beginnings of names that are put together."""
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(values=[ast.Constant(value=str(first)), *_]) if _FAMILY.fullmatch(
                first
            ):
                yield first


SOURCES = [file.read_text("utf-8") for file in _modules()]
TREES = [ast.parse(source) for source in SOURCES if re.search("header|x-|trace", source, re.I)]
IN_CODE = {name for tree in TREES for name in _named(tree)} - _OTHERS
FAMILIES = {name for tree in TREES for name in _families(tree)}


def _in_tables() -> set[str]:
    """Every header that a table names; `-tokens` behind another one is short for its fellow."""
    found: set[str] = set()
    for line in PAGE.splitlines():
        before = ""
        for span in re.findall(r"`([^`]+)`", line) if line.startswith("|") else ():
            name = re.split(r"[ :]", span, maxsplit=1)[0].lower()
            if name.startswith("-"):
                name = before.rpartition("-")[0] + name
            if _is_one(name, is_expected=True):
                found.add(name)
                before = name
    return found


IN_TABLES = _in_tables()


def test_every_header_in_the_code_is_in_a_table() -> None:
    told = IN_TABLES | MAY_TRAVEL | set(MAY_TRAVEL_PREFIXES)
    assert IN_CODE - told == set()
    assert [one for one in FAMILIES if not any(name.startswith(one) for name in told)] == []


def test_every_header_in_a_table_is_in_the_code() -> None:
    made = {name for name in IN_TABLES if name.startswith(tuple(FAMILIES))}
    assert IN_TABLES - IN_CODE - made == set()


@pytest.mark.parametrize("name", ["x-gatehouse-ticket", "if-match", "etag", "location"])
def test_a_header_is_found_where_it_is_read_or_set(name: str) -> None:
    """The search itself: one of ours, FastAPI's way, and those of a single word."""
    assert name in IN_CODE
