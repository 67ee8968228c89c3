import pytest

from policy_service.adapters.policy_data import from_json, from_yaml


def test_yaml_and_json_of_the_same_lists_are_the_same() -> None:
    lists = {"a": [1, -2.5, True, None, "x y", {"b": "é"}], "n": {"m": {}}, "e": 1000.0}
    assert from_json('{"a":[1,-2.5,true,null,"x y",{"b":"é"}],"n":{"m":{}},"e":1000.0}') == lists
    written = 'a: [1, -2.5, true, null, x y, {b: é}]\n"n":\n  m: {}\ne: 1000.0\n'
    assert from_yaml(written) == lists


def test_what_is_quoted_is_text() -> None:
    quoted = from_yaml("a: 'no'\nb: \"010\"\nc: '2026-11-20'\nd: |\n  12\n'on': '1e3'\n")
    assert quoted == {"a": "no", "b": "010", "c": "2026-11-20", "d": "12\n", "on": "1e3"}


def test_an_empty_file_holds_no_lists() -> None:
    assert from_yaml("# nothing yet\n") == {}


@pytest.mark.parametrize(
    "ambiguous",
    [
        *("no", "yes", "on", "True", "NULL", "010", "0x1f", "1_000", "1:30", "1e3", ".5", "+1"),
        *(".inf", "2026-11-20", "!!binary aGk="),
    ],
)
def test_what_two_readers_could_read_differently_has_to_be_quoted(ambiguous: str) -> None:
    with pytest.raises(ValueError, match=r"line 2: .* has to be quoted"):
        from_yaml(f"# a list\nallowed: {ambiguous}\n")


@pytest.mark.parametrize("key", ["no", "1", "true", "null", "2026-11-20", "[a]"])
def test_keys_are_text(key: str) -> None:
    with pytest.raises(ValueError, match=r"line 1: .* has to be quoted"):
        from_yaml(f"? {key}\n: 1\n")


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' stands there twice"):
        from_yaml("a: 1\nb: 2\na: 3\n")
    with pytest.raises(ValueError, match="'a' stands there twice"):
        from_json('{"x": {"a": 1, "a": 2}}')


@pytest.mark.parametrize(
    "text", ["- a\n", "just text\n", "a: [\n", "a: &x [*x]\n", "a: 1\n---\nb: 2\n"]
)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"one object|no YAML|contains itself"):
        from_yaml(text)


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"'])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"one object|Expecting"):
        from_json(text)
