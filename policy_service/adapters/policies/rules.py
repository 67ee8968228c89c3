"""Finds the rule behind a reason: its file, its line, and what compliance wrote about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PACKAGE = re.compile(r"^package ([\w.]+)", re.MULTILINE)
_ANNOTATED = re.compile(r"(?:^#.*\n)+", re.MULTILINE)
_CODE = re.compile(r"^#\s+code:\s*(\S+)", re.MULTILINE)
_TITLE = re.compile(r"^# title:\s*(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RulePlace:
    """Where a rule stands.

    Args:
        file: Inside the bundle.
        line: Of the rule itself, counted from 1.
        title: From its annotations; empty without one.
    """

    file: str
    line: int
    title: str


def rule_of(modules: Mapping[str, str], package: str, code: str) -> RulePlace | None:
    """The rule of a package that gives a code; `None` when it cannot be found.

    Looked for by the code in a rule's annotations, which `tests/integration/policy` holds to what
    the rule says, and else by the code as a text in the package.
    """
    ours = {path: text for path, text in modules.items() if _package(text) == package}
    for path, text in ours.items():
        for block in _ANNOTATED.finditer(text):
            named = _CODE.search(block[0])
            if named and named[1].strip("\"'") == code:
                title = _TITLE.search(block[0])
                return RulePlace(path, _line(text, block.end()), title[1] if title else "")
    for path, text in ours.items():
        found = text.find(f'"{code}"')
        if found >= 0:
            return RulePlace(path, _line(text, found), "")
    return None


def _package(text: str) -> str:
    found = _PACKAGE.search(text)
    return found[1] if found else ""


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
