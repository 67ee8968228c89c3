"""A Kong in use, as it is: nothing of its configuration is touched.

Set `KONG_PROXY_URL` to a Kong that has the plugins and kong.yaml, and `KONG_API_KEY` to a key that
may use `KONG_MODEL` (gpt-4o-mini by default). Without them these tests are skipped, and say so. The
other modules here take a Kong of their own, or devkong.
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from policy_service.cli.kong.proxied import comes_in_pieces

PROXY_URL = os.environ.get("KONG_PROXY_URL")  # noqa: TID251 - names the Kong to test
API_KEY = os.environ.get("KONG_API_KEY", "")  # noqa: TID251
MODEL = os.environ.get("KONG_MODEL", "gpt-4o-mini")  # noqa: TID251
HELLO: list[Any] = [{"role": "user", "content": "Count to twenty in words."}]

pytestmark = [
    pytest.mark.kong,
    pytest.mark.skipif(
        not (PROXY_URL and API_KEY), reason="set KONG_PROXY_URL and KONG_API_KEY to test your Kong"
    ),
]


@pytest.fixture
def client() -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{PROXY_URL}/v1", api_key=API_KEY, max_retries=0) as client:
        yield client


def test_a_whole_answer(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    assert raw.parse().choices[0].message.content
    assert raw.headers["x-gatehouse-decision-id"].startswith("dec_")


def test_a_stream_is_not_collected(client: openai.OpenAI) -> None:
    started = time.monotonic()
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    arrivals = [time.monotonic() for _ in stream]
    assert len(arrivals) > 5
    assert comes_in_pieces(started, arrivals), "the pieces came all at once, at the end"


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert MODEL in {model.id for model in client.models.list()}


def test_a_wrong_key_is_401(client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="gk-wrong").models.list()


def test_a_long_body_is_read_whole(client: openai.OpenAI) -> None:
    """Kong spools what is longer than its buffer to disk, and the plain PDK call then fails."""
    long = [{"role": "user", "content": "word " * 40_000}]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="no-such-model", messages=long)  # type: ignore[arg-type]
