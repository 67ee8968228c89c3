"""The cases of tests/kong reach a Kong that somebody else has started: here a devkong is one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from policy_service.cli.kong import config_lines
from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import Gateway, eventually, start_gateway
from tests.fixtures.real_kong import RealKong

ROOT = Path(__file__).parents[3]
# Of three gateways that this Kong stands before one after the other, the first one again in
# between. All of tests/kong takes minutes; docs/install/kong.md says how to run it.
CASES = (
    "test_apis.py::test_a_response_streamed_is_the_whole_one[embedded-claude-sonnet-4-5]",
    "test_closed.py::test_nothing_undecided_reaches_a_provider_while_a_plugin_server_is_gone"
    "[killed-llm-token-meter]",
    "test_closed.py::test_a_route_without_a_plugin_serves_nobody[all]",
    "test_leaving.py::test_who_leaves_a_whole_answer_is_charged_for_it_and_nothing_stays_reserved"
    "[direct-provider-complete]",
    "test_ledger.py::test_the_cost_header_is_what_the_ledger_says[embedded]",
    "test_refusals.py::test_a_long_body_is_served_and_a_too_long_one_is_413[embedded]",
    "test_sdk.py::test_chunks_arrive_as_they_are_sent[embedded-slow-openai]",
    "test_smuggling.py::test_what_can_be_read_in_two_ways_is_one_request_or_none"
    "[length, then chunked-embedded]",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("in-a-kongs-place")


@pytest.fixture(scope="module")
def kong(folder: Path) -> Iterator[RealKong]:
    """One that has the plugins and nothing else, as docs/install/kong.md starts it."""
    prefix, ready = folder / "kong", folder / "ready.json"
    prefix.mkdir()
    (folder / "kong.conf").write_text(config_lines(prefix, Path(sys.executable)) + "\n")
    (folder / "kong.yaml").write_text("_format_version: '3.0'\n")
    files = ("--kong-conf", str(folder / "kong.conf"), "--kong-yaml", str(folder / "kong.yaml"))
    ports = ("--port", "0", "--admin-port", "0", "--ready-file", str(ready))
    command = (sys.executable, "-m", "devkong", "--prefix", str(prefix), *files, *ports)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            told = json.loads(eventually(lambda: ready.exists() and ready.read_text(), 60))
            proxy, admin = (f"http://127.0.0.1:{told[name]}" for name in ("port", "admin_port"))
            yield RealKong(proxy, admin, prefix)
        finally:
            process.terminate()


@pytest.fixture
def gateway(kong: RealKong, tmp_path: Path) -> Iterator[Gateway]:
    with start_gateway(tmp_path, company=COMPANY, models=models, kong=kong) as running:
        yield running


def run_cases(folder: Path, cases: Sequence[str], **named: str) -> str:
    """How pytest sums up some of tests/kong, with variables that name a Kong."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--basetemp", str(folder), *(f"tests/kong/{case}" for case in cases)),
        ],
        env={**os.environ, **named},  # noqa: TID251 - another process's environment
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.splitlines()[-1].partition(" in ")[0]


@pytest.mark.e2e
def test_a_kong_that_runs_already_is_given_the_tests_routes_and_asked_as_it_is_then(
    gateway: Gateway, tmp_path: Path
) -> None:
    before = gateway.plugin_server_pid("llm-auth")
    assert before is not None
    os.kill(before, signal.SIGKILL)
    eventually(lambda: gateway.plugin_server_pid("llm-auth") not in (None, before))
    gateway.take_the_kong()
    # Slow, so that however busy the machine is most of the time goes by between the pieces.
    told = {
        "PROXY_URL": gateway.gateway_url,
        "API_KEY": gateway.keys["team"],
        "MODEL": "slow-openai",
    }
    named = {f"KONG_{name}": value for name, value in told.items()}
    assert run_cases(tmp_path / "pytest", ["test_installed_kong.py"], **named) == "5 passed"


@pytest.mark.e2e
def test_the_cases_of_tests_kong_run_on_the_kong_that_the_environment_names(
    kong: RealKong, tmp_path: Path
) -> None:
    named = {
        "KONG_PROXY_URL": kong.proxy_url,
        "KONG_ADMIN_URL": kong.admin_url,
        "KONG_PREFIX": str(kong.prefix),
    }
    assert run_cases(tmp_path / "pytest", CASES, **named) == f"{len(CASES)} passed"
