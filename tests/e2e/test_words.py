"""What policy obliges about words, from compliance's lists to the provider and the content log."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec
import openai
import pytest
from sqlalchemy import MetaData, select

from policy_service.adapters.content_keys import new_content_key
from policy_service.adapters.sql.engine import open_engine, reading
from tests.fixtures.company import models
from tests.fixtures.gateway import Gateway, eventually, start_gateway
from tests.fixtures.opa_server import start_opa
from tests.fixtures.policy_folder import with_places
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis

pytestmark = pytest.mark.e2e

MODEL = "claude-sonnet-4-5"
EMAIL = "marked.person@acme-example.com"
QUESTION = f"Write to {EMAIL}"
TEAMS = ("replaced", "stopped", "silent", "redacted", "usual")
COMPANY = {
    "id": "acme",
    "allowed_models": ["*"],
    "users": [{"id": f"user-{team}", "team": team} for team in TEAMS],
    "departments": [
        {
            "id": "engineering",
            "teams": [
                {"id": team, "keys": [{"name": team, "user": f"user-{team}"}]} for team in TEAMS
            ],
        }
    ],
}
PLACES = {
    "default": {"log": {"level": "digest", "keep_days": 30}},
    "reading": {"log": "override"},
    "teams": {
        "replaced": {
            "pii": {"input": "redact", "output": "redact", "restore": True, "kinds": []},
            "log": {"level": "full", "keep_days": 7},
        },
        "stopped": {"pii": {"input": "block", "output": "off", "restore": False, "kinds": []}},
        "silent": {"log": {"level": "none", "keep_days": 0}},
        "redacted": {"log": {"level": "redacted", "keep_days": 7}},
    },
}


@pytest.fixture(scope="module", params=["embedded", "full"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """SQLite and the embedded engine; and PostgreSQL, Redis and OPA."""
    folder = tmp_path_factory.mktemp("words")
    rego = with_places(folder, PLACES)
    settings = {
        "POLICY_REGO_DIR": str(rego),
        "POLICY_CONTENT_KEYS__DEFAULT": "content",
        "POLICY_CREDENTIALS__CONTENT": new_content_key(),
    }
    with ExitStack() as stack:
        if request.param == "full":
            postgres = stack.enter_context(start_postgres())
            settings |= {
                "POLICY_DATABASE_URL": postgres.create_database(),
                "POLICY_REDIS_URL": stack.enter_context(start_redis()).url,
                "POLICY_OPA_URL": stack.enter_context(start_opa(rego)).url,
            }
        gateway = stack.enter_context(
            start_gateway(folder / "run", company=COMPANY, models=models, settings=settings)
        )
        key_file = gateway.prefix.parent / "content.key"
        key_file.write_text(settings["POLICY_CREDENTIALS__CONTENT"], encoding="ascii")
        yield gateway


def ask(gateway: Gateway, team: str, *, is_streaming: bool = False) -> tuple[str, str]:
    """Make a call; its decision's id, and what was answered."""
    calls = gateway.client(team).chat.completions.with_raw_response
    question: list[Any] = [{"role": "user", "content": QUESTION}]
    raw: Any = calls.create(model=MODEL, messages=question, stream=is_streaming)
    answer: Any = raw.parse()
    if is_streaming:
        pieces = [one.choices[0].delta.content or "" for one in answer if one.choices]
        words = "".join(pieces)
    else:
        words = answer.choices[0].message.content
    return raw.headers["x-gatehouse-decision-id"], words


def sent(gateway: Gateway) -> str:
    """All that reached the providers."""
    return msgspec.json.encode(gateway.calls()).decode()


def kept(gateway: Gateway, decision_id: str) -> dict[str, Any]:
    """The content log's line, read as an operator reads it who has the key."""
    environment = gateway.specs["policy"].environment
    command = [
        *(sys.executable, "-c", "from policy_service.cli import main; main()"),
        *("content", "show", decision_id, "--reason", "a test of what is kept"),
        *("--key-file", str(gateway.prefix.parent / "content.key")),
    ]

    def look() -> str:
        done = subprocess.run(
            command, env={**environment}, capture_output=True, text=True, check=False
        )
        return done.stdout

    found: dict[str, Any] = msgspec.json.decode(eventually(look))
    return found


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "streamed"])
def test_personal_data_is_replaced_on_its_way_and_put_back(
    gateway: Gateway, is_streaming: bool
) -> None:
    gateway.forget_calls()
    decision_id, words = ask(gateway, "replaced", is_streaming=is_streaming)
    assert EMAIL in words
    assert EMAIL not in sent(gateway)
    assert "<EMAIL_ADDRESS_1>" in sent(gateway)
    line = kept(gateway, decision_id)
    assert line["facts"]["level"] == "full"
    # The question as it went to the provider, the answer as the client was given it.
    assert "<EMAIL_ADDRESS_1>" in msgspec.json.encode(line["question"]).decode()
    assert EMAIL in msgspec.json.encode(line["answer"]).decode()
    event = eventually(
        lambda: gateway.admin("/audit/chain", kind="screening", subject=f"decision:{decision_id}")[
            "rows"
        ]
    )[0]
    assert event["payload"]["findings"]["input.EMAIL_ADDRESS"] == 1


def test_personal_data_stops_a_call_before_anything_is_sent(gateway: Gateway) -> None:
    gateway.forget_calls()
    with pytest.raises(openai.BadRequestError) as refused:
        ask(gateway, "stopped")
    assert refused.value.code == "content_blocked"
    assert EMAIL not in str(refused.value)
    assert gateway.calls() == []


def test_a_team_keeps_no_more_than_its_level(gateway: Gateway) -> None:
    silent, _ = ask(gateway, "silent")
    usual, _ = ask(gateway, "usual")
    redacted, _ = ask(gateway, "redacted")
    assert gateway.row(silent)["request_digest"] is None
    assert gateway.row(usual)["request_digest"]
    words = msgspec.json.encode(kept(gateway, redacted)).decode()
    assert "<EMAIL_ADDRESS_1>" in words
    assert EMAIL not in words
    url = gateway.specs["policy"].environment["POLICY_DATABASE_URL"]
    lines = asyncio.run(everything_in(url, ("content_log",)))
    assert redacted in lines
    assert silent not in lines
    assert usual not in lines


def test_the_marked_person_is_in_no_log_and_not_in_the_database(gateway: Gateway) -> None:
    for team in ("replaced", "redacted", "usual", "silent"):
        ask(gateway, team)
    with pytest.raises(openai.BadRequestError):
        ask(gateway, "stopped")
    eventually(lambda: len(gateway.rows()) >= 5)
    for file in gateway.logs.iterdir():
        if not file.name.startswith("sandbox"):
            assert EMAIL not in file.read_text(encoding="utf-8", errors="replace"), file.name
    url = gateway.specs["policy"].environment["POLICY_DATABASE_URL"]
    assert EMAIL not in asyncio.run(everything_in(url))


async def everything_in(url: str, tables: Sequence[str] = ()) -> str:
    """Every row of these tables, or of all, as text."""
    engine = open_engine(url)
    try:
        async with reading(engine) as connection:
            metadata = MetaData()
            await connection.run_sync(metadata.reflect)
            rows = [
                str(tuple(row))
                for table in metadata.sorted_tables
                if not tables or table.name in tables
                for row in await connection.execute(select(table))
            ]
    finally:
        await engine.dispose()
    assert rows
    return "\n".join(rows)
