"""`gatehouse doctor` on a good installation, and on one that is broken in one place at a time."""

import asyncio
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from policy_service.adapters.sql import schema
from policy_service.cli import app
from policy_service.cli.doctor.findings import State
from policy_service.cli.doctor.neighbours import clock_finding
from policy_service.cli.kong import PLUGINS, config_lines
from tests.fixtures.services import free_port

SECRET = "internal-0123456789abcdef"
ROOT = Path(__file__).parents[4]


class Answering(BaseHTTPRequestHandler):
    """A provider's host, and a policy service that is ready and knows one secret."""

    checks: dict[str, str] = {}  # noqa: RUF012 - each test's server has a class of its own

    def do_GET(self) -> None:
        is_ready = self.path == "/readyz"
        self._answer(200, {"checks": self.checks} if is_ready else {})

    def do_POST(self) -> None:
        is_known = self.headers["authorization"] == f"Bearer {SECRET}"
        self._answer(200 if is_known else 401, {})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        said = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)


@contextmanager
def answering(**checks: str) -> Iterator[str]:
    handler = type("Handler", (Answering,), {"checks": checks})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Installation:
    """Files and settings of a small installation, good until a test breaks it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.models: dict[str, Any] = {
            "models": [
                {
                    "alias": "gpt-4o-mini",
                    "deployments": [
                        {
                            "id": "openai-us",
                            "provider": "openai",
                            "model": "gpt-4o-mini",
                            "base_url": f"{url}/v1",
                            "credential": "openai",
                        }
                    ],
                }
            ]
        }
        self.environment: dict[str, str] = {
            "POLICY_INTERNAL_SECRET": SECRET,
            "POLICY_TICKET_SECRET": "ticket-0123456789abcdef",
            "POLICY_MODELS_FILE": str(folder / "models.yaml"),
            "POLICY_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/gatehouse.db",
            "POLICY_CREDENTIALS__OPENAI": "sk-never-shown",
        }
        self.conf = config_lines(folder, Path(sys.executable))
        self.declared = yaml.safe_load((ROOT / "kong.yaml").read_text())
        asyncio.run(schema.migrate(self.environment["POLICY_DATABASE_URL"]))

    @property
    def deployment(self) -> dict[str, Any]:
        one: dict[str, Any] = self.models["models"][0]["deployments"][0]
        return one

    def examined(self, *words: str) -> tuple[int, list[dict[str, str]]]:
        (self.folder / "models.yaml").write_text(yaml.safe_dump(self.models))
        (self.folder / "kong.conf").write_text(self.conf)
        (self.folder / "kong.yaml").write_text(yaml.safe_dump(self.declared))
        kong = ("--kong-conf", "kong.conf", "--kong-yaml", "kong.yaml")
        places = [str(self.folder / word) if word.startswith("kong.") else word for word in kong]
        done = CliRunner().invoke(
            app,
            ["doctor", "--policy-url", self.url, *places, "--json", *words],
            env=self.environment,
        )
        assert "never-shown" not in done.output
        assert "0123456789abcdef" not in done.output
        found: list[dict[str, str]] = json.loads(done.stdout)
        return done.exit_code, found


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with answering(database="ok", limits="ok") as url, _plugin_servers(tmp_path):
        yield Installation(tmp_path, url)


@contextmanager
def _plugin_servers(folder: Path) -> Iterator[None]:
    sockets = [socket.socket(socket.AF_UNIX) for _ in PLUGINS]
    for listener, plugin in zip(sockets, PLUGINS, strict=True):
        listener.bind(str(folder / f"{plugin}.sock"))
        listener.listen()
    yield
    for listener in sockets:
        listener.close()


def _no_secret(it: Installation) -> None:
    del it.environment["POLICY_INTERNAL_SECRET"]


def _odd_models(it: Installation) -> None:
    it.deployment["provider"] = "opnai"


def _no_price(it: Installation) -> None:
    it.deployment["model"] = "gpt-nobody-knows"


def _no_credential(it: Installation) -> None:
    it.deployment["credential"] = "other"


def _odd_policy(it: Installation) -> None:
    it.environment["POLICY_REGO_DIR"] = str(it.folder)


def _no_database(it: Installation) -> None:
    it.environment["POLICY_DATABASE_URL"] = f"sqlite+aiosqlite:///{it.folder}/none/gatehouse.db"


def _old_database(it: Installation) -> None:
    it.environment["POLICY_DATABASE_URL"] = f"sqlite+aiosqlite:///{it.folder}/new.db"


def _no_redis(it: Installation) -> None:
    it.environment["POLICY_REDIS_URL"] = f"redis://:never-shown@127.0.0.1:{free_port()}/0"


def _no_opa(it: Installation) -> None:
    it.environment["POLICY_OPA_URL"] = f"http://127.0.0.1:{free_port()}"


def _no_provider(it: Installation) -> None:
    it.deployment["base_url"] = f"http://127.0.0.1:{free_port()}/v1"


def _no_plugin_in_conf(it: Installation) -> None:
    it.conf = it.conf.replace("bundled,llm-auth,", "bundled,")


def _no_python(it: Installation) -> None:
    it.conf = it.conf.replace(sys.executable, "/opt/nothing/bin/python")


def _dead_plugin_server(it: Installation) -> None:
    (it.folder / "llm-token-meter.sock").unlink()


def _no_plugin_in_yaml(it: Installation) -> None:
    plugins = it.declared["services"][0]["plugins"]
    plugins[:] = [one for one in plugins if one["name"] != "llm-auth"]


def _plugin_off(it: Installation) -> None:
    it.declared["services"][0]["plugins"][0]["enabled"] = False


def _other_secret_in_yaml(it: Installation) -> None:
    it.declared["services"][0]["plugins"][0]["config"]["policy_secret"] = "never-shown"


def _no_service(it: Installation) -> None:
    it.url = f"http://127.0.0.1:{free_port()}"


def _other_secret_in_service(it: Installation) -> None:
    it.environment["POLICY_INTERNAL_SECRET"] = "another-0123456789abcdef"


def test_a_good_installation_has_nothing_broken(installation: Installation) -> None:
    code, found = installation.examined()
    assert [one for one in found if one["state"] == "broken"] == []
    assert code == 0
    parts = {one["part"] for one in found if one["state"] == "ok"}
    assert {"settings", "models", "prices", "credentials", "policy", "policy service"} <= parts
    assert {"kong.conf", "kong.yaml", "plugin server llm-auth"} <= parts


@pytest.mark.parametrize(
    ("breakage", "part", "what", "remedy"),
    [
        (_no_secret, "settings", "POLICY_INTERNAL_SECRET is not set", "docs/settings.md"),
        (_odd_models, "models", "provider", "POLICY_MODELS_FILE"),
        (_no_price, "deployment openai-us", "gpt-nobody-knows has no price", "POLICY_PRICES_DIR"),
        (_no_credential, "credential other", "openai-us", "POLICY_CREDENTIALS__OTHER"),
        (_odd_policy, "policy", "no policy bundle", "gatehouse policy test"),
        (_no_database, "database", "unable to open database file", "POLICY_DATABASE_URL"),
        (_old_database, "database", "tables", "gatehouse migrate"),
        (_no_redis, "redis", "cannot be used: connection refused", "POLICY_REDIS_URL"),
        (_no_opa, "opa", "connection refused", "POLICY_OPA_URL"),
        (_no_provider, "provider 127.0.0.1", "connection refused. Deployments", "base_url"),
        (_no_plugin_in_conf, "kong.conf", "llm-auth", "gatehouse kong config"),
        (_no_python, "kong.conf", "/opt/nothing", "gatehouse kong config"),
        (_dead_plugin_server, "plugin server llm-token-meter", "no such file", "error log"),
        (_no_plugin_in_yaml, "kong.yaml", "llm-auth", "kong.yaml that ships"),
        (_plugin_off, "kong.yaml", "`enabled: false`", "reload Kong"),
        (_other_secret_in_yaml, "kong.yaml", "is not POLICY_INTERNAL_SECRET", "same value"),
        (_no_service, "policy service", "connection refused", "gatehouse serve"),
        (_other_secret_in_service, "policy service", "POLICY_INTERNAL_SECRET", "same"),
    ],
)
def test_each_breakage_is_named_with_its_remedy(
    installation: Installation,
    breakage: Callable[[Installation], None],
    part: str,
    what: str,
    remedy: str,
) -> None:
    breakage(installation)
    code, found = installation.examined()
    assert code == 1
    told = [one for one in found if one["state"] == "broken" and one["part"] == part]
    assert any(what in one["what"] and remedy in one["remedy"] for one in told), found


def test_a_service_that_is_not_ready_says_what_is_down(tmp_path: Path) -> None:
    with answering(database="ok", limits="down") as url, _plugin_servers(tmp_path):
        code, found = Installation(tmp_path, url).examined()
    assert code == 1
    assert any("not ready: limits" in one["what"] for one in found)


@pytest.mark.parametrize(
    ("ahead_s", "state", "what"),
    [
        (4.9, State.GOOD, "agree"),
        (-4.9, State.GOOD, "agree"),
        (90.0, State.BROKEN, "The database's is 90 s ahead of ours, "),
        (-90.0, State.BROKEN, "The database's is 90 s behind ours, "),
    ],
)
def test_clocks_that_differ_are_told(ahead_s: float, state: State, what: str) -> None:
    finding = clock_finding("the database's", ahead_s)
    assert finding.state is state
    assert what in finding.what


def test_the_report_for_people_has_each_remedy(installation: Installation) -> None:
    (installation.folder / "models.yaml").write_text(yaml.safe_dump(installation.models))
    done = CliRunner().invoke(
        app, ["doctor", "--skip-service", "--skip-providers"], env=installation.environment
    )
    assert done.exit_code == 0, done.output
    assert "Nothing is broken." in done.output
    assert "→ Name it with --kong-conf." in done.output
    assert "gatehouse kong check" in done.output
    assert "→ Use PostgreSQL for more" in done.output
    assert "POLICY_REDIS_URL is not set" in done.output
