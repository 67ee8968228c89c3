from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.server import running
from sandbox.settings import SandboxSettings
from tests.soak.served import read_records, tokens_of

MARK = "soak-1-7-end"


def test_a_record_is_read_by_the_questions_mark(tmp_path: Path) -> None:
    file = tmp_path / "record.jsonl"
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"{MARK} word"}]}
    key = {"authorization": "Bearer sk-sandbox"}
    with running(SandboxSettings(record=file)) as url:
        told = httpx.post(f"{url}/openai/v1/chat/completions", json=body, headers=key).json()
        httpx.post(f"{url}/openai/v1/chat/completions", json={}, headers=key)
    with file.open("a") as lines:  # as a killed process leaves it
        lines.write(f'{{"call": "1-1", "provider": "openai", "path": "/", "body": "{MARK}"}}\n')
    record = read_records([file])
    served, open_one = record.by_mark[MARK]
    assert served.is_whole
    assert served.tokens == (told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"])
    assert not open_one.is_whole
    assert (record.unmarked, record.calls) == (1, 3)


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        ({"usage": {"prompt_tokens": 3, "completion_tokens": 4}}, (3, 4)),
        ({"usage": {"input_tokens": 3, "output_tokens": 4}}, (3, 4)),
        ({"usage": {"inputTokens": 3, "outputTokens": 4}}, (3, 4)),
        ({"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}, (3, 4)),
        (
            {"usage": {"billed_units": {"input_tokens": 3, "output_tokens": 4}, "tokens": {}}},
            (3, 4),
        ),
        ({"meta": {"billed_units": {"input_tokens": 3}}}, (3, 0)),
        ({}, (0, 0)),
    ],
)
def test_every_vendors_words_for_tokens_are_known(
    told: dict[str, Any], tokens: tuple[int, int]
) -> None:
    assert tokens_of(told) == tokens
