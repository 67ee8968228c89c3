"""Values on their way through Lua, and headers."""

from typing import Any

import pytest

from devkong.headers import Headers, header_block, header_values
from devkong.lua import lua_value, new_unpacker, pack


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text", "text"),
        (1.0, 1),
        (1.5, 1.5),
        (True, True),
        (2**53 + 1, 2**53),
        ({}, []),
        ({"a": None, "b": {}}, {"b": []}),
        ({1: "x", 2: "y"}, ["x", "y"]),
        ((1, b"a"), [1, "a"]),
        (["a", None, "c"], {1: "a", 3: "c"}),
    ],
)
def test_lua_forgets_what_it_cannot_tell(value: Any, expected: Any):
    assert lua_value(value) == expected


def test_bytes_that_are_no_utf_8_survive_as_a_lua_string():
    unpacker = new_unpacker()
    unpacker.feed(pack([lua_value(b"\xff"), b"\xff"]))
    text, binary = next(unpacker)
    assert text.encode("utf-8", "surrogateescape") == b"\xff"
    assert binary == b"\xff"


def test_headers_are_found_in_any_case_and_with_underscores():
    headers = Headers([("X-One", "a"), ("x-one", "b"), ("Y", "c")])
    assert headers.values_of("x_one") == ["a", "b"]
    assert headers.as_map() == {"x-one": ["a", "b"], "y": ["c"]}
    assert headers.as_map(1) == {"x-one": ["a"]}
    assert headers.as_record() == {"x-one": ["a", "b"], "y": "c"}
    assert list(headers.pairs()) == [("X-One", "a"), ("X-One", "b"), ("Y", "c")]


def test_header_values_are_written_as_kong_writes_them():
    assert header_values("") == [" "]
    assert header_values(True) == ["true"]
    assert header_values(3) == ["3"]
    assert header_values([b"a", ""]) == ["a", " "]


def test_a_line_break_in_a_header_cannot_start_another_header():
    assert header_block([("a", "b\r\nx: y")]) == b"a: b  x: y\r\n"
