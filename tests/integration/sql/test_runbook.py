"""What the runbook has people ask PostgreSQL, Redis and Prometheus can be asked."""

import shlex
import subprocess
from pathlib import Path

import pytest
import redis
import yaml

from tests.fixtures.pages import PAGES, ROOT, blocks
from tests.fixtures.postgres_server import PostgresServer
from tests.fixtures.promtool import promtool_binary
from tests.fixtures.redis_server import RedisServer

pytestmark = pytest.mark.integration


def asked(language: str) -> list[str]:
    """One a line, on whatever page."""
    shown = [one.text for page in PAGES for one in blocks(page) if one.language == language]
    return [line for text in shown for line in text.splitlines() if line]


@pytest.mark.parametrize("statement", asked("sql"))
async def test_postgresql_takes_a_statement(
    postgres_server: PostgresServer, statement: str
) -> None:
    assert statement.startswith("SELECT ")
    assert statement.endswith(";")
    postgres_server.psql(statement)


@pytest.mark.parametrize("command", asked("redis"))
def test_redis_takes_a_command(redis_server: RedisServer, command: str) -> None:
    words = shlex.split(command)
    with redis.Redis.from_url(redis_server.url) as client:
        [known] = client.execute_command("COMMAND", "INFO", words[0]).values()
        assert known
        if "write" not in known["flags"]:
            client.execute_command(*words)


def test_prometheus_takes_what_is_asked(tmp_path: Path) -> None:
    rules = [
        {"record": f"asked:{number}", "expr": one} for number, one in enumerate(asked("promql"))
    ]
    assert rules
    file = tmp_path / "asked.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}), "utf-8")
    ran = subprocess.run(
        [promtool_binary(), "check", "rules", str(file)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_redis_knows_the_settings_that_are_shown(redis_server: RedisServer) -> None:
    [shown] = [one.text for one in blocks(ROOT / "docs" / "scaling.md") if one.language == "ini"]
    with redis.Redis.from_url(redis_server.url) as client:
        for line in shown.splitlines():
            name, value = line.split()
            assert name in client.config_get(name)
            assert int(value) > 0
