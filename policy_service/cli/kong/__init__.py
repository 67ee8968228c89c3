"""`gatehouse kong`: what Kong must be told, telling it, and seeing that it does it."""

import typer

from policy_service.cli.kong import checking, enabling, installing
from policy_service.cli.kong.installing import PLUGINS, config_lines

__all__ = ["PLUGINS", "app", "config_lines"]

app = typer.Typer(no_args_is_help=True, help="What Kong must be told about the plugins.")
app.command("config")(installing.config)
app.command("dump")(installing.dump)
app.command("declare")(enabling.declare)
app.command("enable")(enabling.enable)
app.command("disable")(enabling.disable)
app.command("check")(checking.check)
