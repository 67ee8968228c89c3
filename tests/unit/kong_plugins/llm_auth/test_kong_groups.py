import pytest

from kong_plugins.llm_auth.kong_groups import groups_in


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ()),
        ({}, ()),
        ([], ()),
        ("admins", ()),
        (7, ()),
        (["b", "a", "b"], ("a", "b")),
        ({"1": "a", "3": "b"}, ("a", "b")),
        (["a", 5, None, "", "x\n", ["b"], "y" * 201], ("a",)),
    ],
)
def test_groups_are_whatever_plain_texts_kong_hands_over(
    value: object, expected: tuple[str, ...]
) -> None:
    assert groups_in(value) == expected
