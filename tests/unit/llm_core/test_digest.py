import pytest

from llm_core.digest import canonical, sha256_hex
from llm_core.errors import MalformedRequest


def test_the_order_of_members_does_not_change_the_digest():
    one = canonical({"b": [{"y": 1, "x": 2}], "a": "é"})
    assert one == canonical({"a": "é", "b": [{"x": 2, "y": 1}]})
    assert one == '{"a":"é","b":[{"x":2,"y":1}]}'.encode()


def test_the_order_of_a_list_does():
    assert canonical({"a": [1, 2]}) != canonical({"a": [2, 1]})


def test_the_digest_is_sha_256_in_hex():
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_hex(b"") == empty


def test_a_body_that_is_too_deep_to_write_is_the_callers_fault():
    body: dict = {}
    for _ in range(100_000):
        body = {"a": body}
    with pytest.raises(MalformedRequest):
        canonical(body)
    while body:
        body = body["a"]  # unwound by hand: freeing it in one go recurses as well
