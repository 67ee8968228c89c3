import json
from pathlib import Path

import httpx
import pytest

from sandbox.server import running
from sandbox.settings import SandboxSettings

KEY = {"authorization": "Bearer sk-sandbox"}


def test_what_was_served_is_on_disk_with_its_usage(tmp_path: Path):
    record = tmp_path / "record.jsonl"
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "one two"}]}
    with running(SandboxSettings(record=record)) as url:
        httpx.post(f"{url}/openai/v1/chat/completions", json=body, headers=KEY).raise_for_status()
        httpx.post(f"{url}/openai/v1/chat/completions", json=body)
    # A client can have its answer before the end of it is written down.
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    by_call = {
        one["call"]: [line for line in lines if line["call"] == one["call"]] for one in lines
    }
    (came, ended), (_, refused) = by_call.values()
    assert json.loads(came["body"]) == body
    assert (came["provider"], came["path"]) == ("openai", "/openai/v1/chat/completions")
    assert (ended["status"], ended["ended"]) == (200, "complete")
    assert ended["usage"]["usage"]["prompt_tokens"] == 8
    assert (refused["status"], refused["usage"]) == (401, None)


def test_a_stream_is_recorded_with_the_usage_of_the_whole_answer(tmp_path: Path):
    record = tmp_path / "record.jsonl"
    body = {
        "model": "gpt-4o-mini--fault-cut_mid_stream-2",
        "messages": [{"role": "user", "content": "one two"}],
        "stream": True,
    }
    with (
        running(SandboxSettings(record=record)) as url,
        httpx.stream("POST", f"{url}/openai/v1/chat/completions", json=body, headers=KEY) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        answer.read()
    _, ended = map(json.loads, record.read_text().splitlines())
    assert (ended["ended"], ended["sent_events"]) == ("cut", 2)
    assert ended["usage"]["usage"]["completion_tokens"] == 24
