"""How long `gatehouse policy replay` takes over a decision log, and that it finds what it should.

Run with `python -m tests.load.policy_replay [decisions] [engine]`; 100,000 on `opa` by default. The
log lies in an SQLite file; GATEHOUSE_BENCH_DATABASE_URL names an empty PostgreSQL database instead.
"""

import asyncio
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from policy_service.adapters.policies.stamp import stamped
from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.adapters.sql.decision_log import SqlDecisionLog
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.schema import upgrade
from tests.fixtures.logged_decisions import QUESTIONS, answered, logged
from tests.fixtures.policies import BARRED, REGO, add_denial, policy_folder

START = datetime(2026, 11, 20, tzinfo=UTC)
TEAMS = 100
_ROWS = 1000


async def _fill(url: str, decisions: int) -> None:
    engine = open_engine(url)
    await upgrade(engine)
    log = SqlDecisionLog(engine)
    live = RegopyPolicy(stamped(load_bundle(REGO)))
    rows = logged(await answered(live, START), decisions, teams=TEAMS)
    await live.close()
    while some := list(itertools.islice(rows, _ROWS)):
        await log.record(some)
    await engine.dispose()


def main(decisions: int, engine: str) -> None:
    """Fill a log, and replay a policy that bars a model for one team of a hundred."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        url = os.environ.get("GATEHOUSE_BENCH_DATABASE_URL")  # noqa: TID251 - a benchmark's
        url = url or f"sqlite+aiosqlite:///{folder / 'gatehouse.db'}"
        asyncio.run(_fill(url, decisions))
        changed = policy_folder(folder / "changed")
        condition = f'input.call.asked_model == "{BARRED}"\n\tinput.caller.team == "team-3"'
        add_denial(changed, condition)
        start = time.monotonic()
        command = ["policy", "replay", str(changed), "--since", "2026-11-20", "--json"]
        command += ["--engine", engine]
        done = subprocess.run(
            [Path(sys.executable).with_name("gatehouse"), *command, "--database-url", url],
            check=True,
            capture_output=True,
            text=True,
        )
        took_s = time.monotonic() - start
        # The command's and OPA's, which it has waited for; the filling was done in this process.
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(done.stdout)
    rate = found["decisions"] / took_s
    print(
        f"{found['decisions']:,} decisions in {took_s:.1f} s on {engine}, {rate:,.0f}/s, "
        f"{used.ru_utime + used.ru_stime:.1f} s of processor time; "
        f"{found['changed']} would change, {decisions // len(QUESTIONS) // TEAMS} were seeded"
    )


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    main(int(arguments.get(1, 100_000)), arguments.get(2, "opa"))
