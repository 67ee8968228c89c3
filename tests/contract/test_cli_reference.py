"""`docs/cli-reference.md` is the commands' own help; `GATEHOUSE_GOLDEN=rewrite` writes it anew."""

import os
import sys

import typer
import typer.main
from typer.cli import get_docs_for_click

from policy_service.cli import app
from tests.fixtures.pages import ROOT

PAGE = ROOT / "docs" / "cli-reference.md"
HEAD = """# Reference of the command line

Made from the commands' own help (`tests/contract/test_cli_reference.py`). What they have in
common, such as where they work and their exit codes, is in [cli.md](cli.md).

"""


def reference() -> str:
    command = typer.main.get_command(app)
    docs = get_docs_for_click(
        obj=command, ctx=typer.Context(command, info_name="gatehouse"), name="gatehouse"
    )
    _, _, commands = docs.partition("\n## ")
    # Not lines to type, so not a console.
    commands = commands.replace("```console\n$ ", "```usage\n").replace(sys.executable, "this one")
    return f"{HEAD}## {commands.rstrip()}\n"


def test_the_reference_is_the_commands_own_help() -> None:
    if os.environ.get("GATEHOUSE_GOLDEN") == "rewrite":  # noqa: TID251
        PAGE.write_text(reference(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == reference()
