"""`gatehouse kong config` and `dump`: what a Kong node must be told about this installation."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from policy_service.cli.failures import fail

PLUGINS = ("llm-auth", "llm-token-meter", "llm-provider-transform")
KONG_PREFIX = Path("/usr/local/kong")


def config(
    prefix: Annotated[
        Path, typer.Option(help="Kong's prefix; the sockets go there.")
    ] = KONG_PREFIX,
    python: Annotated[
        Path, typer.Option(help="The Python that has gatehouse-llm[kong] installed.")
    ] = Path(sys.executable),
) -> None:
    """Print the kong.conf lines for this installation."""
    typer.echo(config_lines(prefix, python))


def config_lines(prefix: Path, python: Path) -> str:
    """The kong.conf lines that make Kong start the three plugin servers."""
    names = ",".join(PLUGINS)
    lines = [f"plugins = bundled,{names}", f"pluginserver_names = {names}"]
    for name in PLUGINS:
        key = f"pluginserver_{name.replace('-', '_')}"
        start = f"{python} -m {_module(name)}"
        lines += [
            "",
            f"{key}_socket = {prefix / name}.sock",
            f"{key}_start_cmd = {start} --kong-prefix {prefix}",
            f"{key}_query_cmd = {start} --dump",
        ]
    lines += [
        "",
        "nginx_http_lua_socket_read_timeout = 3s",
        "nginx_http_client_body_buffer_size = 16m",
        "nginx_http_client_max_body_size = 32m",
    ]
    return "\n".join(lines)


def dump(
    folder: Annotated[Path, typer.Argument(help="Where the JSON files go; made when missing.")],
) -> None:
    """Write each plugin's description as JSON, for plugin servers that run as sidecars.

    Kong then needs no Python: `query_cmd = cat <folder>/llm-auth.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in PLUGINS:
        described = subprocess.run(  # noqa: S603 - our own interpreter and modules
            [sys.executable, "-m", _module(name), "--dump"],
            capture_output=True,
            check=False,
            text=True,
        )
        if described.returncode:
            raise fail(f"{name} cannot be described: {described.stderr.strip()[-500:]}")
        path = folder / f"{name}.json"
        path.write_text(json.dumps(json.loads(described.stdout), indent=1) + "\n", encoding="utf-8")
        typer.echo(f"wrote {path}")


def _module(plugin: str) -> str:
    return f"kong_plugins.{plugin.replace('-', '_')}"
