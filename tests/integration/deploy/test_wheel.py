"""What `pip install` brings works away from the checkout: commands, plugins, files, migrations."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from devkong.conf import parse_conf
from policy_service.cli.kong import PLUGINS
from tests.contract.test_kong_files import ENVIRONMENT
from tests.fixtures.services import REQUIRE_SERVICES

ROOT = Path(__file__).parents[3]
PACKAGES = ("llm_core", "kong_plugins", "policy_service", "dashboard", "devkong", "sandbox")
BUNDLED = ("rego", "prices", "kong.yaml", "kong.conf")
_WAIT_S = 60.0


@dataclass
class Installed:
    """An environment of its own that has the wheel, and sees what it depends on."""

    folder: Path
    wheel: Path

    @property
    def bin(self) -> Path:
        return self.folder / "venv" / "bin"

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.bin}:{os.defpath}", "HOME": str(self.folder), "COLUMNS": "200"}

    def run(self, *command: str) -> str:
        ran = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Built as a release is, without a network: the source archive, and the wheel from that."""
    folder = tmp_path_factory.mktemp("installed")
    _build(ROOT, "sdist", folder)
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "source", filter="data")
    [source] = (folder / "source").iterdir()
    _build(source, "wheel", folder)
    [wheel] = folder.glob("*.whl")
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps"),
            *("--python", str(venv / "bin" / "python"), str(wheel)),
        ],
        check=True,
    )
    # Files that end in .pth are read in an environment's own folder only, so of what is installed
    # here everything is seen but this project, which is installed to be edited.
    [packages] = (venv / "lib").glob("*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return Installed(folder, wheel)


@pytest.fixture(scope="module")
def on_kongs_host(installed: Installed) -> Installed:
    """With what `[kong]` names and nothing else, from the package index, as a host of Kong has."""
    folder = installed.folder / "kongs-host"
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    alone = Installed(folder, installed.wheel)
    ran = subprocess.run(
        [
            *(str(alone.bin / "python"), "-m", "pip", "install", "--quiet"),
            *("--disable-pip-version-check", f"{installed.wheel}[kong]"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode and os.getenv(REQUIRE_SERVICES) != "1":
        pytest.skip(f"the package index cannot be asked: {ran.stderr[-300:]}")
    assert ran.returncode == 0, ran.stderr
    return alone


def test_a_host_of_kong_needs_only_what_its_extra_names(on_kongs_host: Installed) -> None:
    conf = parse_conf(on_kongs_host.run("gatehouse", "kong", "config", "--prefix", "/k"))
    for server in conf.plugin_servers:
        assert server.query_cmd is not None
        [described] = json.loads(on_kongs_host.run(*server.query_cmd.split()))
        assert described["Name"] == server.name
    traced = (
        "from kong_plugins._runtime.otel import open_tracer\n"
        "tracer = open_tracer('llm-auth', 'http://127.0.0.1:9')\n"
        "import opentelemetry.exporter.otlp.proto.http.trace_exporter\n"
        "tracer.close(5.0)"
    )
    on_kongs_host.run("python", "-c", traced)
    assert "--admin-url" in on_kongs_host.run("gatehouse", "kong", "check", "--help")
    missing = (
        "import importlib.util as u; print([m for m in ('redis', 'sqlalchemy') if u.find_spec(m)])"
    )
    assert on_kongs_host.run("python", "-c", missing).strip() == "[]"


def _build(source: Path, target: str, folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
        cwd=source,
        check=True,
        capture_output=True,
    )


def test_the_wheel_has_every_file_of_the_packages_and_no_others(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for name in BUNDLED:
        paths = [ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*")
        wanted |= {
            f"policy_service/_bundled/{path.relative_to(ROOT)}" for path in paths if path.is_file()
        }
    assert found == wanted
    # Of each kind of file one that a forgotten pattern would leave out.
    kinds = {Path(name).suffix for name in found}
    assert {".py", ".lua", ".rego", ".json", ".yaml", ".css", ".svg", ".conf"} <= kinds


def test_nothing_of_the_checkout_is_used(installed: Installed) -> None:
    told = installed.run(
        *("python", "-c"),
        "import importlib.metadata as m, policy_service, llm_core, kong_plugins, dashboard\n"
        "print(policy_service.__file__, m.version('gatehouse-llm'))",
    )
    place, version = told.split()
    assert place.startswith(str(installed.folder))
    assert installed.run("gatehouse", "--version").split()[-1] == version


def test_the_printed_configuration_starts_the_installed_plugins(installed: Installed) -> None:
    conf = parse_conf(installed.run("gatehouse", "kong", "config", "--prefix", "/usr/local/kong"))
    assert [server.name for server in conf.plugin_servers] == list(PLUGINS)
    for server in conf.plugin_servers:
        assert server.start_cmd is not None
        assert server.start_cmd.startswith(str(installed.bin / "python"))
        assert server.query_cmd is not None
        described = json.loads(installed.run(*server.query_cmd.split()))
        [plugin] = [described] if isinstance(described, dict) else described
        assert plugin["Name"] == server.name


def test_the_shipped_routes_load_in_devkong_without_an_edit(installed: Installed) -> None:
    folder = installed.folder
    prefix = folder / "kong"
    prefix.mkdir()
    (folder / "kong.conf").write_text(
        installed.run("gatehouse", "kong", "config", "--prefix", str(prefix))
    )
    [bundled] = (folder / "venv" / "lib").glob("*/site-packages/policy_service/_bundled")
    ready = folder / "ready.json"
    process = subprocess.Popen(
        [
            *(str(installed.bin / "python"), "-m", "devkong", "--port", "0"),
            *("--kong-yaml", str(bundled / "kong.yaml"), "--kong-conf", str(folder / "kong.conf")),
            *("--prefix", str(prefix), "--ready-file", str(ready)),
        ],
        cwd=folder,
        env={**installed.environment, **ENVIRONMENT},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        ends_s = time.monotonic() + _WAIT_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > ends_s:
                process.kill()
                raise AssertionError(process.communicate()[1])
            time.sleep(0.05)
        url = f"http://127.0.0.1:{json.loads(ready.read_text())['port']}"
        # The plugins run, and nobody is behind them: closed, in OpenAI's shape.
        answer = httpx.post(f"{url}/v1/chat/completions", json={"model": "m"}, timeout=30)
        assert answer.status_code in (401, 503), answer.text
        assert answer.json()["error"]["code"]
    finally:
        process.terminate()
        process.communicate()


def test_the_migrations_and_the_policy_are_in_it(installed: Installed) -> None:
    made = installed.run("gatehouse", "migrate", "--database-url", "sqlite:///made.db")
    assert "up to date" in made
    back = installed.run(
        *("gatehouse", "migrate", "--database-url", "sqlite:///made.db"),
        *("--down-to", "0016", "--yes"),
    )
    assert "schema 0016" in back
    told = installed.run(
        *("python", "-c"),
        "from policy_service.bundled import bundled\n"
        "from policy_service.adapters.policy_bundle import load_bundle\n"
        "from policy_service.adapters.price_list import PriceList, price_files\n"
        "print(load_bundle(bundled('rego')).revision)\n"
        "PriceList(price_files(bundled('prices')))",
    )
    assert told.strip()
