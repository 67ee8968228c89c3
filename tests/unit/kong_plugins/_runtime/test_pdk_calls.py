import asyncio
from decimal import Decimal
from typing import Any

import pytest
from kong_pdk.exception import PDKException

from kong_plugins._runtime.pdk_calls import PdkPath, arguments, result


def test_a_path_of_names_becomes_a_call():
    made: list[tuple[str, list[Any]]] = []

    def dispatch(method: str, args: list[Any]) -> None:
        made.append((method, args))

    kong = PdkPath("kong", dispatch)
    kong.ctx.shared.set("key", b"value")
    kong.response.exit(403, headers={"a": "b"})
    assert made == [
        ("kong.ctx.shared.set", ["key", b"value"]),
        ("kong.response.exit", [403, "", {"a": "b"}]),
    ]


def test_private_names_and_text_are_no_calls():
    kong = PdkPath("kong", lambda _method, _args: asyncio.get_running_loop().create_future())
    with pytest.raises(AttributeError):
        kong._private  # noqa: B018
    assert repr(kong.request) == "<PDK kong.request>"
    assert str(kong) == "<PDK kong>"


def test_none_at_the_end_is_left_out_for_lua_has_no_use_for_it():
    assert arguments("kong.response.exit", (200, None, None), {}) == [200]
    assert arguments("kong.response.exit", (200,), {"body": "x"}) == [200, "x"]
    assert arguments("kong.response.exit", (200, None, {"a": "b"}), {}) == [200, "", {"a": "b"}]
    assert arguments("kong.ctx.shared.set", ("key", None), {}) == ["key"]


def test_an_unknown_name_is_a_type_error():
    with pytest.raises(TypeError, match="takes no colour by name"):
        arguments("kong.response.exit", (200,), {"colour": "red"})
    with pytest.raises(TypeError, match="takes no name by name"):
        arguments("kong.request.get_header", (), {"name": "x"})


def test_log_calls_take_anything():
    assert arguments("kong.log.err", ("a", 1, Decimal("1.5")), {}) == ["a", 1, "1.5"]


@pytest.mark.parametrize(
    "method", ["kong.request.get_raw_body", "kong.service.response.get_raw_body"]
)
def test_a_raw_body_is_bytes_or_an_error(method: str):
    assert result(method, b"\xff") == b"\xff"
    assert result(method, "\udcff") == b"\xff"
    with pytest.raises(PDKException):
        result(method, None)


def test_serialized_log_data_is_decoded():
    assert result("kong.log.serialize", '{"a": 1}') == {"a": 1}
    assert result("kong.log.serialize", {"a": 1}) == {"a": 1}
    with pytest.raises(PDKException):
        result("kong.log.serialize", "no json")


def test_other_results_pass_unchanged():
    assert result("kong.request.get_header", "x") == "x"
    assert result("kong.request.get_headers", {"a": ["b"]}) == {"a": ["b"]}
