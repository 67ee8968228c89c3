"""How identifying and deciding grow with the company: 10 to 10,000 teams, 100 to 100,000 keys.

Starts PostgreSQL, Redis, OPA and the policy service for real, fills the organisation, and asks as
the plugins ask, each time for another key or team out of 500:

    python -m tests.load.many_teams [--seconds 2] [--rounds 3] [--teams 10 1000 10000]

Every team has ten keys, limits in requests, tokens and USD, and lies in one of a hundred
departments with a budget each.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import insert, text

from policy_service.adapters.sql.engine import open_engine, writing
from policy_service.adapters.sql.tables import Base
from policy_service.ids import new_id
from policy_service.keys import digest_of, new_key, prefix_of
from tests.fixtures.gateway import SECRETS, Gateway, start_gateway
from tests.load.decision_endpoint import CALL
from tests.load.figures import load, machine, percentile_ms
from tests.load.gateway_latency import models, real_services
from tests.load.lean_http import Crowd, Question, client, crowd, question

KEYS_A_TEAM = 10
DEPARTMENTS = 100
SAMPLE = 500
N_CLIENTS = (1, 16, 64)
COMPANY = {"id": "acme", "allowed_models": ["*"], "limits": {"usd_per_month": 10_000_000}}
_TEAM_LIMITS = {
    "usd_per_month": Decimal(100_000),
    "requests_per_minute": Decimal(1_000_000),
    "tokens_per_minute": Decimal(1_000_000_000),
}
_AT_ONCE = 1000


@dataclass
class Row:
    """One line of the table."""

    teams: int
    title: str
    asked: Iterator[Question]
    n_clients: int
    rounds: list[Crowd] = field(default_factory=list)


async def fill(database_url: str, teams: int) -> list[str]:
    """Make departments, teams, limits and keys; gives the keys' texts."""
    engine = open_engine(database_url)
    tables = Base.metadata.tables
    departments = [f"department-{number}" for number in range(min(DEPARTMENTS, teams))]
    names = [f"team-{number}" for number in range(teams)]
    texts = [new_key() for _ in range(teams * KEYS_A_TEAM)]
    rows: dict[str, list[dict[str, Any]]] = {
        "departments": [{"id": one, "organisation_id": "acme", "name": one} for one in departments],
        "teams": [
            {"id": name, "department_id": departments[number % len(departments)], "name": name}
            for number, name in enumerate(names)
        ],
        "limits": [
            {"node": f"team:{name}", "measure": measure, "amount": amount}
            for name in names
            for measure, amount in _TEAM_LIMITS.items()
        ]
        + [
            {"node": f"department:{one}", "measure": "usd_per_month", "amount": Decimal(1_000_000)}
            for one in departments
        ],
        "api_keys": [
            {
                "id": new_id("key"),
                "name": f"key-{number}",
                "prefix": prefix_of(key),
                "digest": digest_of(key),
                "team_id": names[number // KEYS_A_TEAM],
                "roles": [],
                "groups": [],
                "created_at": datetime.now(UTC),
            }
            for number, key in enumerate(texts)
        ],
    }
    try:
        async with writing(engine) as connection:
            for table, values in rows.items():
                for start in range(0, len(values), _AT_ONCE):
                    await connection.execute(
                        insert(tables[table]), values[start : start + _AT_ONCE]
                    )
        async with writing(engine) as connection:
            await connection.execute(text("ANALYZE"))
    finally:
        await engine.dispose()
    return texts


def rows_of(teams: int, gateway: Gateway, texts: Sequence[str]) -> list[Row]:
    """Identify and decide, each by one client and by many."""
    secret = {"authorization": f"Bearer {SECRETS['POLICY_INTERNAL_SECRET']}"}

    def asked(path: str, body: object) -> Question:
        return question(gateway.policy_url + path, body, secret)

    step = max(1, len(texts) // SAMPLE)
    identify = [asked("/v1/callers/identify", {"api_key": key}) for key in texts[::step]]
    decide = []
    for one in identify:
        with client(one) as connection:
            connection.ask()
            _, _, answer = connection.answer.partition(b"\r\n\r\n")
        body = {"caller": msgspec.json.decode(answer)["caller"], "call": CALL}
        decide.append(asked("/v1/decisions", body))
        with client(decide[-1]) as connection:
            connection.ask()
            if b'"denial":null' not in connection.answer:
                raise SystemExit(f"the call is not allowed: {connection.answer.decode()}")
    return [
        Row(teams, title, itertools.cycle(questions), n_clients)
        for title, questions in (("decide", decide), ("identify", identify))
        for n_clients in N_CLIENTS
    ]


def report(rows: Sequence[Row]) -> None:
    """Print the table."""
    print("\n| | teams | keys | clients | p50 ms | p99 ms | answers/s |")
    print("|---|---|---|---|---|---|---|")
    for row in sorted(rows, key=lambda row: (row.title, row.n_clients, row.teams)):
        p50 = statistics.median(percentile_ms(seen.taken_s, 50) for seen in row.rounds)
        p99 = statistics.median(percentile_ms(seen.taken_s, 99) for seen in row.rounds)
        rate = statistics.median(seen.per_second for seen in row.rounds)
        print(
            f"| {row.title} | {row.teams:,} | {row.teams * KEYS_A_TEAM:,} | {row.n_clients} "
            f"| {p50:.2f} | {p99:.2f} | {rate:,.0f} |"
        )
    print("\nEach figure: the median of its rounds.")


def main() -> None:
    """Start, fill, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--teams", type=int, nargs="+", default=[10, 1000, 10_000])
    options = parser.parse_args()
    print(machine())
    measured: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as folder:
        for teams in options.teams:
            with ExitStack() as stack:
                settings = real_services(stack)
                place = Path(folder) / str(teams)
                place.mkdir()
                gateway = stack.enter_context(
                    start_gateway(place, company=COMPANY, models=models, settings=settings)
                )
                texts = asyncio.run(fill(settings["POLICY_DATABASE_URL"], teams))
                rows = rows_of(teams, gateway, texts)
                for _ in range(options.rounds):
                    for row in rows:
                        asked = row.asked
                        seen = crowd(
                            lambda asked=asked: next(asked), row.n_clients, options.seconds
                        )
                        row.rounds.append(seen)
                measured += rows
    report(measured)
    print(f"\nAt the end: {load()}")


if __name__ == "__main__":
    main()
