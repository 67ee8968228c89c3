"""`gatehouse alerts` at a policy service."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from llm_core.alerts.incident import IncidentKind, Severity, Trouble
from llm_core.alerts.routing import Routes
from policy_service.adapters.sql import schema
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.incidents import SqlIncidents
from policy_service.cli import app
from policy_service.settings import Settings
from tests.fakes.clock import NOON
from tests.fakes.running_service import MODELS
from tests.fixtures.services import free_port
from tests.unit.policy_service.cli.test_company_at_a_server import serving

ROOT = "admin-0123456789abcdef"
Run = Callable[..., Result]


async def seed(url: str) -> None:
    await schema.migrate(url)
    engine = open_engine(url)
    store = SqlIncidents(engine)
    # Of kinds that nobody watches without Redis, so that they stay as they are.
    for n, severity in enumerate(Severity):
        trouble = Trouble(IncidentKind.PROVIDER_DOWN, f"deployment:{n}", severity, f"{n} is down")
        made = await store.see([trouble], NOON, Routes())
        if n == 0:
            await store.recover(made, NOON, Routes())
    await engine.dispose()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    (tmp_path / "models.yaml").write_text(yaml.safe_dump(MODELS))
    (tmp_path / "alerts.yaml").write_text(
        "channels: [{name: chat, kind: slack, url_secret: slack, kinds: [budget]}]\n"
        "rules: {provider_down: {is_on: false}}\n"
    )
    settings = Settings.model_validate(
        {
            "internal_secret": "internal-0123456789abcdef",
            "ticket_secret": "ticket-0123456789abcdef",
            "admin_token": ROOT,
            "models_file": tmp_path / "models.yaml",
            "alerts_file": tmp_path / "alerts.yaml",
            "database_url": f"sqlite+aiosqlite:///{tmp_path}/service.db",
            "credentials": {"slack": f"http://127.0.0.1:{free_port()}/s3cret"},
        }
    )
    asyncio.run(seed(settings.database_url))
    monkeypatch.setenv("GATEHOUSE_TOKEN", ROOT)
    with serving(settings) as url:
        yield lambda *words: CliRunner().invoke(app, ["alerts", *words, "--server", url])


def test_incidents_and_channels_are_listed_and_a_channel_is_tried(run: Run) -> None:
    found = run("list")
    assert found.exit_code == 0, found.output
    assert "1 is down" in found.output
    assert "0 is down" not in found.output
    assert "0 is down" in run("list", "--all").output
    channels = run("channels").output
    assert "chat" in channels
    assert "budget" in channels
    tried = run("test", "chat")
    assert tried.exit_code == 1
    assert "could not be reached" in tried.output
    assert "s3cret" not in tried.output + channels
    assert "no channel of that name" in run("test", "none").output
