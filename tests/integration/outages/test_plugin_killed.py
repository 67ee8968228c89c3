"""The meter's process is killed between an answer and its report: the call is in the ledger."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.company import COMPANY
from tests.fixtures.gateway import deployment, eventually, start_gateway

BODY = b'{"model": "slow", "messages": [{"role": "user", "content": "one two three"}]}'
SETTINGS = {"POLICY_LEASE_S": "6", "POLICY_SWEEP_INTERVAL_S": "0.2"}


def models(sandbox_url: str) -> dict[str, Any]:
    """A model that lets one wait for a while."""
    slow = deployment("openai", sandbox_url, "gpt-4o-mini--fault-slow_first_byte-3")
    return {"models": [{"alias": "slow", "deployments": [slow]}]}


@pytest.mark.e2e
def test_a_report_that_died_with_its_plugin_is_charged_as_an_estimate(tmp_path: Path) -> None:
    with (
        start_gateway(tmp_path, company=COMPANY, models=models, settings=SETTINGS) as gateway,
        ThreadPoolExecutor(1) as thread,
    ):
        first = eventually(lambda: gateway.plugin_server_pid("llm-token-meter"))
        assert first is not None
        gateway.forget_calls()
        asking = thread.submit(gateway.post, BODY)
        eventually(gateway.calls)  # it is decided, and the provider is at it
        os.kill(first, signal.SIGSTOP)  # so that it cannot report before it is killed
        answer = asking.result(30)
        os.kill(first, signal.SIGKILL)
        assert answer.status_code == 200
        row = gateway.row(answer.headers["x-gatehouse-decision-id"])
        assert (row["source"], row["error_class"]) == ("estimated", "unreported")
        assert Decimal(row["usd"]) > 0
        # Kong starts it again, and the next report is heard.
        again = eventually(lambda: _served(gateway.post(BODY)))
        assert gateway.row(again)["source"] == "provider"
        rows = [one["decision_id"] for one in gateway.rows()]
        assert len(rows) == len(set(rows))


def _served(answer: Any) -> str | None:
    return answer.headers["x-gatehouse-decision-id"] if answer.status_code == 200 else None
