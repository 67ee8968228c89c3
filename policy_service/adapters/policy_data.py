"""Reads compliance's lists so that they cannot mean one thing here and another in OPA.

OPA reads YAML 1.2 with leftovers of 1.1, PyYAML reads 1.1: a country `no`, a date, `010` or `1e3`
written without quotes differ between them. A list that two engines read differently is a hole, so
whatever is not plainly the same in both has to be quoted.
"""

import json
import re
from typing import Any

import yaml

_JSON_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_PLAIN = {"true": True, "false": False, "null": None, "~": None, "": None}
_TEXT_TAG = "tag:yaml.org,2002:str"


def from_json(text: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: It is none, or a key stands in it twice.
    """
    return _an_object(json.loads(text, object_pairs_hook=_once))


def from_yaml(text: str) -> dict[str, Any]:
    """Read a YAML object that has only JSON's types.

    Raises:
        ValueError: It is none, a key stands in it twice, or a value has to be quoted; the message
            has the line.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return _an_object({} if root is None else _value(root))
    except yaml.YAMLError as error:
        raise ValueError(f"is no YAML: {error}") from error
    except RecursionError:
        raise ValueError("an anchor contains itself") from None


def _an_object(content: object) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError("must hold one object")  # noqa: TRY004 - the content is at fault
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(
            f"the key {next(k for k in keys if keys.count(k) > 1)!r} stands there twice"
        )
    return content


def _value(node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return _once([(_key(key), _value(value)) for key, value in node.value])
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    return _scalar(node)


def _key(node: yaml.Node) -> str:
    key = _scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if not isinstance(key, str):
        raise _must_be_quoted(node)
    return key


def _scalar(node: yaml.Node) -> object:
    text = str(node.value)
    if getattr(node, "style", None) is not None:
        return text
    is_number = _JSON_NUMBER.fullmatch(text) is not None
    if node.tag == _TEXT_TAG and not is_number:
        return text
    if text in _PLAIN:
        return _PLAIN[text]
    if node.tag == _TEXT_TAG or not is_number:
        raise _must_be_quoted(node)
    return int(text) if _JSON_INTEGER.fullmatch(text) else float(text)


def _must_be_quoted(node: yaml.Node) -> ValueError:
    line = node.start_mark.line + 1
    return ValueError(f"line {line}: {node.value!r} has to be quoted, or written as JSON does")
