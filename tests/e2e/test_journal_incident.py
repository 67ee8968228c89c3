"""A journal that cannot be written, from Kong's host to the incident and its end."""

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import Gateway, eventually, start_gateway


def ask(gateway: Gateway, model: str) -> httpx.Response:
    asked = {"model": model, "max_tokens": 25, "messages": [{"role": "user", "content": "Hello"}]}
    return gateway.post(json.dumps(asked).encode())


def said(gateway: Gateway, text: str) -> bool:
    """In the log of devkong, or of a real Kong."""
    logs = [*gateway.logs.iterdir(), *(gateway.prefix / "logs").glob("*.log")]
    return any(text in one.read_text(errors="replace") for one in logs)


def incidents(gateway: Gateway) -> list[dict[str, Any]]:
    found = gateway.admin("/incidents", state="all")["rows"]
    return [one for one in found if one["kind"] == "journal_growing"]


@pytest.mark.e2e
def test_a_journal_that_cannot_be_written_is_an_incident_until_it_can(tmp_path: Path) -> None:
    with start_gateway(tmp_path, company=COMPANY, models=models) as gateway:
        journal = gateway.prefix / "usage-journal.jsonl"
        journal.mkdir(parents=True)
        calling = threading.Thread(target=lambda: ask(gateway, "slow-openai"))
        calling.start()
        eventually(gateway.calls)
        gateway.stop("policy")
        calling.join()
        eventually(lambda: said(gateway, "usage could not be kept"))
        gateway.start("policy")
        eventually(lambda: ask(gateway, "gpt-4o-mini").status_code == 200)
        [incident] = eventually(lambda: incidents(gateway), 90)
        assert (incident["severity"], incident["recovered_at"]) == ("critical", None)
        [full] = incident["facts"]["full"]
        assert full.endswith(f":{journal}")
        journal.rmdir()
        eventually(journal.is_file)  # the next round of tries finds that it can be written
        assert ask(gateway, "gpt-4o-mini").status_code == 200
        eventually(lambda: incidents(gateway)[0]["recovered_at"], 90)
        assert len(incidents(gateway)) == 1
