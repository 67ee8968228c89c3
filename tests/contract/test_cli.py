"""The command line says what it does, completes what can be typed, and docs/cli.md is true."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from policy_service.cli import app
from policy_service.cli.failures import MISUSED, WOULD_CHANGE

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
ROOT: Any = typer.main.get_command(app)


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    if not hasattr(command, "commands"):
        yield " ".join(words), command
        return
    for name, one in command.commands.items():
        yield from leaves(one, (*words, name))


COMMANDS = dict(leaves(ROOT))


def options(command: Any) -> set[str]:
    return {name for one in command.params for name in one.opts}


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_and_each_of_its_words_say_what_they_are(words: str) -> None:
    command = COMMANDS[words]
    first = command.help.split("\n\n")[0]
    assert first.rstrip().endswith((".", "!")), first
    assert [one.name for one in command.params if not getattr(one, "help", None)] == []
    for example in re.findall(r"(?:^|: )gatehouse (.+)", command.help.replace("\n\n", "\r")):
        assert example.startswith(words), "an example is of its own command"
        named = re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", example)
        assert set(named) <= options(command)


def places() -> dict[str, int]:
    """Of each command that the page's table names, the row's number."""
    table = PAGE.split("<!-- places: begin -->")[1].split("<!-- places: end -->")[0]
    rows = table.strip().splitlines()[2:]
    return {
        name: number
        for number, row in enumerate(rows)
        for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])
    }


def test_the_page_says_of_every_command_where_it_works() -> None:
    assert places().keys() == ROOT.commands.keys()
    found: dict[str, set[str]] = {}
    for words, command in COMMANDS.items():
        place = options(command) & {"--server", "--database-url"}
        found.setdefault(words.split()[0], set()).update(place)
    row = places()
    both = {name for name, place in found.items() if len(place) == 2}
    assert both == {name for name in row if row[name] in {1, 2}}
    served = {name for name, place in found.items() if place == {"--server"}}
    assert served == {name for name in row if row[name] in {0, 4}}


def test_the_page_has_the_exit_codes() -> None:
    told = re.findall(r"^\| (\d) \|", PAGE, flags=re.MULTILINE)
    assert told == ["0", "1", str(MISUSED), str(WOULD_CHANGE)]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--version"], 0),
        (["keys", "--help"], 0),
        (["logout", "--server", "https://policy.acme.example"], 0),
        (["whoami", "--server", "https://policy.acme.example"], 1),
        (["nothing"], MISUSED),
        (["keys", "list", "--nothing"], MISUSED),
        (["usage"], MISUSED),
        (["limits", "raise", "team:search", "beans", "5"], MISUSED),
    ],
)
def test_a_command_ends_as_the_page_says(
    words: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GATEHOUSE_SERVER", "GATEHOUSE_TOKEN", "POLICY_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code, done.output
    if words[0] == "whoami":
        told = "run `gatehouse login --server https://policy.acme.example`"
        assert told in done.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("gatehouse ke", ["keys"]),
        ("gatehouse approvals re", ["request", "refuse", "revoke"]),
        ("gatehouse limits raise team:search usd_per_m", ["usd_per_month"]),
        ("gatehouse keys issue --ne", ["--network"]),
    ],
)
def test_the_shell_completes_what_can_be_typed(line: str, completed: list[str]) -> None:
    asked = {
        "_GATEHOUSE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    done = CliRunner().invoke(app, [], env=asked, prog_name="gatehouse")
    assert done.output.split() == completed
