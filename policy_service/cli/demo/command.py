"""`gatehouse demo start | status | stop`."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from policy_service.bundled import bundled
from policy_service.cli.demo import processes
from policy_service.cli.demo.layout import HOST, Folder, Ports, Secrets
from policy_service.cli.demo.more_settings import more_settings
from policy_service.cli.demo.providers import Offer, offered
from policy_service.cli.failures import fail, needs
from policy_service.cli.kong import config_lines

app = typer.Typer(no_args_is_help=True, help="The whole product on this machine, to try it out.")
_say = Console(highlight=False)
_Folder = Annotated[Path, typer.Option("--folder", help="Where the demo keeps its files.")]
_DEFAULT_FOLDER = Path(".demo")


@app.command()
def start(
    *,
    folder: _Folder = _DEFAULT_FOLDER,
    gateway_port: Annotated[int, typer.Option(help="The endpoint applications call.")] = 8000,
    policy_port: Annotated[int, typer.Option(help="The policy service.")] = 8100,
    sandbox_port: Annotated[int, typer.Option(help="The stand-ins for providers.")] = 8200,
    dashboard_port: Annotated[int, typer.Option(help="The dashboard.")] = 8501,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="POLICY_<NAME>=<VALUE>",
            help="Another setting of the policy service (docs/settings.md); may be repeated.",
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when all is ready.")] = False,
) -> None:
    """Start sandbox, policy service, gateway with its plugin servers, and dashboard.

    A provider whose key is set is the real one: OPENAI_API_KEY, ANTHROPIC_API_KEY,
    GEMINI_API_KEY, MISTRAL_API_KEY, COHERE_API_KEY; with an address AZURE_OPENAI_API_KEY and
    AZURE_OPENAI_ENDPOINT, BEDROCK_API_KEY and BEDROCK_RUNTIME_ENDPOINT.
    """
    place = Folder(folder.resolve())
    if _running(place):
        raise fail("the demo runs already; `gatehouse demo stop` ends it")
    ports = Ports(gateway_port, policy_port, sandbox_port, dashboard_port)
    ports.require_free()
    place.make()
    secrets = _prepare(place, ports)
    started = _start_all(place, ports, secrets, settings or ())
    pids = {name: process.pid for name, process in started.items()}
    try:
        asked_to_stop = threading.Event() if detach else _signals()
        state = _state(ports, secrets, pids)
        place.write_state(state)
    except BaseException:
        processes.stop(pids)
        raise
    _say.print(_welcome(place, state, offered(_url(ports.sandbox), os.environ)), soft_wrap=True)  # noqa: TID251
    if not detach:
        _watch(place, started, asked_to_stop)


@app.command()
def status(folder: _Folder = _DEFAULT_FOLDER) -> None:
    """Say what runs, and where."""
    place = Folder(folder.resolve())
    state = place.read_state()
    if state is None:
        raise fail("no demo has been started here; `gatehouse demo start` starts one")
    pids = _pids(state)
    for name, pid in pids.items():
        alive = processes.is_running(pid)
        _say.print(f"  {name:<10} pid {pid:<8} {'running' if alive else '[red]not running[/]'}")
    for name in ("gateway_url", "policy_url", "dashboard_url", "sandbox_url"):
        _say.print(f"  {name:<14} {state[name]}")
    if not all(processes.is_running(pid) for pid in pids.values()):
        raise typer.Exit(1)


@app.command()
def stop(folder: _Folder = _DEFAULT_FOLDER) -> None:
    """Stop the demo; its data stays for the next start."""
    place = Folder(folder.resolve())
    state = place.read_state()
    if state is None:
        _say.print("No demo runs here.")
        return
    processes.stop(_pids(state))
    place.state.unlink(missing_ok=True)
    _say.print("The demo is stopped.")


# --- starting ---------------------------------------------------------------------------------


def _prepare(place: Folder, ports: Ports) -> Secrets:
    """Write the configuration; make and fill the database at the first start."""
    with needs("service"):
        from policy_service.cli.demo.seed import seed

    secrets = Secrets.kept(place)
    offer = offered(_url(ports.sandbox), os.environ)  # noqa: TID251 - the demo's own settings
    (place.root / "models.yaml").write_text(yaml.safe_dump(offer.models), encoding="utf-8")
    (place.root / "kong.yaml").write_text(_kong_yaml(place, ports), encoding="utf-8")
    (place.root / "kong.conf").write_text(_kong_conf(place), encoding="utf-8")
    if not secrets.keys:
        with _say.status("Making a company and a month of its usage ..."):
            keys = asyncio.run(seed(_database_url(place), Decimal(30), datetime.now(UTC)))
        secrets = Secrets(
            secrets.internal_secret, secrets.ticket_secret, secrets.admin_token, dict(keys)
        )
        secrets.keep(place)
    return secrets


def _start_all(
    place: Folder, ports: Ports, secrets: Secrets, settings: Iterable[str]
) -> dict[str, "subprocess.Popen[bytes]"]:
    started: dict[str, subprocess.Popen[bytes]] = {}
    offer = offered(_url(ports.sandbox), os.environ)  # noqa: TID251 - the demo's own settings
    specs = _specs(place, ports, secrets, offer, settings)
    try:
        for spec in specs:
            started[spec.name] = processes.start(spec, place.logs)
        with _say.status("Starting ...") as waiting:
            for spec in specs:
                waiting.update(f"Waiting for {spec.name} ...")
                processes.wait_ready(
                    spec,
                    started[spec.name],
                    place.logs,
                    lambda name: _say.print(f"  [green]ready[/] {name}"),
                )
    except BaseException:
        processes.stop({name: process.pid for name, process in started.items()})
        raise
    return started


def _specs(
    place: Folder, ports: Ports, secrets: Secrets, offer: Offer, settings: Iterable[str]
) -> tuple[processes.Spec, ...]:
    policy_url = _url(ports.policy)
    service = {
        "POLICY_INTERNAL_SECRET": secrets.internal_secret,
        "POLICY_TICKET_SECRET": secrets.ticket_secret,
        "POLICY_ADMIN_TOKEN": secrets.admin_token,
        "POLICY_MODELS_FILE": str(place.root / "models.yaml"),
        "POLICY_DATABASE_URL": _database_url(place),
        **{f"POLICY_CREDENTIALS__{name.upper()}": key for name, key in offer.credentials.items()},
    }
    service |= more_settings(settings, service)
    vault = {
        "GATEHOUSE_INTERNAL_SECRET": secrets.internal_secret,
        **{f"{name.upper()}_API_KEY": key for name, key in offer.credentials.items()},
    }
    return (
        processes.Spec(
            "sandbox",
            ("-m", "sandbox", "--port", str(ports.sandbox), "--tokens-per-s", "40"),
            {},
            f"{_url(ports.sandbox)}/_sandbox/health",
        ),
        processes.Spec(
            "policy",
            ("-m", "policy_service", "serve", "--port", str(ports.policy)),
            service,
            f"{policy_url}/readyz",
        ),
        processes.Spec(
            "gateway",
            (
                "-m",
                "devkong",
                "--port",
                str(ports.gateway),
                "--prefix",
                str(place.prefix),
                "--kong-yaml",
                str(place.root / "kong.yaml"),
                "--kong-conf",
                str(place.root / "kong.conf"),
            ),
            vault,
            f"{_url(ports.gateway)}/v1/models",
        ),
        processes.Spec(
            "dashboard",
            ("-m", "dashboard", "--port", str(ports.dashboard)),
            {
                "DASHBOARD_POLICY_URL": policy_url,
                "DASHBOARD_GATEWAY_URL": _url(ports.gateway),
                "DASHBOARD_ADMIN_TOKEN": secrets.admin_token,
            },
            f"{_url(ports.dashboard)}/_stcore/health",
        ),
    )


def _kong_yaml(place: Folder, ports: Ports) -> str:
    """The shipped kong.yaml, with this demo's policy service and journal."""
    shipped = yaml.safe_load(bundled("kong.yaml").read_text(encoding="utf-8"))
    policy_url = _url(ports.policy)
    for service in shipped["services"]:
        service["url"] = f"{policy_url}/relay"
        plugins = [*service["plugins"], *(p for r in service["routes"] for p in r["plugins"])]
        for plugin in plugins:
            if "policy_url" in plugin["config"]:
                plugin["config"]["policy_url"] = policy_url
            if plugin["name"] == "llm-token-meter":
                plugin["config"]["journal_path"] = str(place.prefix / "usage-journal.jsonl")
    text: str = yaml.safe_dump(shipped, sort_keys=False)
    return text


def _kong_conf(place: Folder) -> str:
    return config_lines(place.prefix, Path(sys.executable)) + "\n"


# --- running ----------------------------------------------------------------------------------


def _signals() -> threading.Event:
    """Set by Ctrl-C, and by whoever else asks the demo to end."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    return asked


def _watch(
    place: Folder, started: dict[str, "subprocess.Popen[bytes]"], asked: threading.Event
) -> None:
    """Wait for Ctrl-C, or for a process that ends by itself; then stop everything."""
    dead = None
    while not asked.wait(0.5):
        dead = next((name for name, one in started.items() if one.poll() is not None), None)
        if dead is not None:
            break
    _say.print("\nStopping ...")
    processes.stop({name: process.pid for name, process in started.items()})
    place.state.unlink(missing_ok=True)
    if dead is not None:
        raise fail(f"{dead} ended by itself:\n{processes.last_words(dead, place.logs)}")


def _running(place: Folder) -> bool:
    state = place.read_state()
    return state is not None and any(processes.is_running(pid) for pid in _pids(state).values())


def _pids(state: dict[str, object]) -> dict[str, int]:
    pids = state.get("pids")
    return {str(name): int(pid) for name, pid in pids.items()} if isinstance(pids, dict) else {}


def _state(ports: Ports, secrets: Secrets, pids: dict[str, int]) -> dict[str, object]:
    return {
        "gateway_url": _url(ports.gateway),
        "policy_url": _url(ports.policy),
        "dashboard_url": _url(ports.dashboard),
        "sandbox_url": _url(ports.sandbox),
        "keys": secrets.keys,
        "admin_token": secrets.admin_token,
        "pids": pids,
    }


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _database_url(place: Folder) -> str:
    return f"sqlite+aiosqlite:///{place.database}"


def _welcome(place: Folder, state: dict[str, object], offer: Offer) -> str:
    keys = state["keys"]
    assert isinstance(keys, dict)  # noqa: S101 - we wrote it
    gateway = f"{state['gateway_url']}/v1"
    real = (
        f"Real providers: {', '.join(offer.real)}."
        if offer.real
        else (
            "Providers are stand-ins; set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, "
            "MISTRAL_API_KEY or COHERE_API_KEY for real ones."
        )
    )
    curl = (
        (
            f"curl -s {gateway}/chat/completions -H 'Authorization: Bearer {{key}}' \\\n"
            '    -d \'{{{{"model": "{model}", "messages": '
            '[{{{{"role": "user", "content": "Hello"}}}}]{more}}}}}\''
        )
        .replace("{{{{", "{")
        .replace("}}}}", "}")
    )

    hello = '\\[{"role": "user", "content": "Hello"}]'

    def line(key: str, model: str, more: str = "") -> str:
        return curl.replace("{key}", keys[key]).replace("{model}", model).replace("{more}", more)

    return f"""
[bold]Gatehouse is running.[/]

  gateway    {gateway}   (devkong, a stand-in for Kong: not for production)
  dashboard  {state["dashboard_url"]}
  policy     {state["policy_url"]}/docs
  sandbox    {state["sandbox_url"]}

  key        {keys["search"]}   (team search; all keys: {place.state})
  {real}

[bold]An allowed call[/]
  {line("search", "gpt-4o-mini")}
[bold]Another provider, streamed[/]
  {line("search", "claude-sonnet-4-6", ', "stream": true').replace("curl -s ", "curl -sN ")}
[bold]A model this team may not use: 403[/]
  {line("helpdesk", "gpt-4o")}
[bold]An exhausted budget: 429 insufficient_quota[/]
  {line("campaigns", "claude-sonnet-4-6")}

[bold]Anthropic's API, answered by another provider[/]
  curl -s {gateway}/messages -H 'x-api-key: {keys["search"]}' \\
    -d '{{"model": "gemini-2.5-flash", "max_tokens": 100, "messages": {hello}}}'
[bold]Embeddings[/]
  curl -s {gateway}/embeddings -H 'Authorization: Bearer {keys["search"]}' \\
    -d '{{"model": "text-embedding-3-small", "input": "Hello"}}'

[bold]Who am I, and what is left[/]
  curl -s {gateway}/me -H 'Authorization: Bearer {keys["search"]}'

[bold]With the SDK[/] (pip install openai)
  from openai import OpenAI
  client = OpenAI(base_url="{gateway}", api_key="{keys["search"]}")
  answer = client.chat.completions.create(
      model="gpt-4o-mini", messages=\\[{{"role": "user", "content": "Hello"}}])
  print(answer.choices\\[0].message.content)
"""
