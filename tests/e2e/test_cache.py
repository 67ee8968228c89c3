"""The response cache through the whole path: asked twice, paid once."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from policy_service.bundled import bundled
from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import Gateway, eventually, start_gateway
from tests.fixtures.redis_server import start_redis, start_redis_with_vectors

pytestmark = pytest.mark.e2e

OFF = "seconds: 0"
ON = "seconds: 600"
PATHS = {
    "chat/completions": {"messages": [{"role": "user", "content": "one two three"}]},
    "responses": {"input": "one two three"},
    "messages": {"messages": [{"role": "user", "content": "one two three"}], "max_tokens": 50},
}


def policy(folder: Path) -> dict[str, str]:
    """The shipped policy, with the cache on for everybody."""
    rego = folder / "rego"
    shutil.copytree(bundled("rego"), rego)
    lists = rego / "data" / "places.yaml"
    text = lists.read_text(encoding="utf-8")
    assert OFF in text
    lists.write_text(text.replace(OFF, ON), encoding="utf-8")
    return {"POLICY_REGO_DIR": str(rego)}


@pytest.fixture(scope="module", params=["memory", "redis"])
def caching(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp(f"cache-{request.param}")
    with ExitStack() as stack:
        settings = policy(folder)
        if request.param == "redis":
            settings["POLICY_REDIS_URL"] = stack.enter_context(start_redis()).url
        yield stack.enter_context(
            start_gateway(folder / "run", company=COMPANY, models=models, settings=settings)
        )


def chat(gateway: Gateway, words: str, alias: str = "gpt-4o-mini", **more: Any) -> Any:
    return gateway.client().chat.completions.with_raw_response.create(
        model=alias, messages=[{"role": "user", "content": words}], **more
    )


def kept(gateway: Gateway, decision_id: str) -> None:
    """Wait until a call is booked; its answer is kept by then, or in the same moment."""
    gateway.row(decision_id)


def second(ask: Any) -> Any:
    """Ask until the answer comes from the cache: it is kept behind the client's back."""
    return eventually(
        lambda: found if (found := ask()).headers["x-gatehouse-cache"] == "hit" else None
    )


def test_the_second_answer_is_the_first_and_costs_nothing(caching: Gateway) -> None:
    first = chat(caching, "whole")
    assert first.headers["x-gatehouse-cache"] == "miss"
    again = second(lambda: chat(caching, "whole"))
    assert again.headers["x-gatehouse-cost-usd"] == "0"
    assert again.parse() == first.parse()
    miss = caching.row(first.headers["x-gatehouse-decision-id"])
    hit = caching.row(again.headers["x-gatehouse-decision-id"])
    assert (miss["cache"], hit["cache"], hit["transport"]) == ("miss", "hit", "answer")
    assert Decimal(hit["usd"]) == 0
    assert Decimal(hit["saved_usd"]) == Decimal(miss["usd"]) > 0


def test_a_streamed_answer_is_kept_and_comes_again_both_ways(caching: Gateway) -> None:
    def words(raw: Any) -> str:
        return "".join(
            choice.delta.content or "" for chunk in raw.parse() for choice in chunk.choices
        )

    first = words(chat(caching, "streamed", stream=True))
    whole = second(lambda: chat(caching, "streamed"))
    assert whole.parse().choices[0].message.content == first
    assert whole.parse().usage.total_tokens > 0
    streamed = chat(caching, "streamed", stream=True)
    assert streamed.headers["x-gatehouse-cache"] == "hit"
    assert words(streamed) == first


@pytest.mark.parametrize("alias", ["gpt-4o-mini", "claude-sonnet-4-5"])
@pytest.mark.parametrize("path", PATHS)
def test_every_api_gives_its_own_answer_again(caching: Gateway, path: str, alias: str) -> None:
    def ask(*, stream: bool = False) -> httpx.Response:
        return httpx.post(
            f"{caching.gateway_url}/v1/{path}",
            json={"model": alias, **PATHS[path], **({"stream": True} if stream else {})},
            headers={"authorization": f"Bearer {caching.keys['team']}"},
            timeout=60,
        )

    first = ask()
    assert first.status_code == 200, first.text
    again = second(ask)
    assert again.json() == first.json()
    streamed = ask(stream=True)
    assert streamed.headers["x-gatehouse-cache"] == "hit"
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text.startswith(("data: ", "event: "))


def test_another_team_and_a_client_that_says_so_are_answered_anew(caching: Gateway) -> None:
    chat(caching, "mine")
    second(lambda: chat(caching, "mine"))
    raw = caching.client("slow").chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "mine"}]
    )
    assert raw.headers["x-gatehouse-cache"] == "miss"
    fresh = chat(caching, "mine", extra_headers={"cache-control": "no-cache"})
    assert fresh.headers["x-gatehouse-cache"] == "bypass"


def test_what_may_not_be_stored_is_not(caching: Gateway) -> None:
    for _ in range(2):
        raw = chat(caching, "secret", extra_headers={"cache-control": "no-store"})
        assert raw.headers["x-gatehouse-cache"] == "miss"
        kept(caching, raw.headers["x-gatehouse-decision-id"])


async def test_many_who_ask_the_same_at_once_cost_one_call(caching: Gateway) -> None:
    caching.forget_calls()
    async with openai.AsyncOpenAI(
        base_url=f"{caching.gateway_url}/v1", api_key=caching.keys["team"], max_retries=0
    ) as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.with_raw_response.create(
                    model="slow-openai", messages=[{"role": "user", "content": "at once"}]
                )
                for _ in range(10)
            )
        )
    said = sorted(raw.headers["x-gatehouse-cache"] for raw in answers)
    assert said == ["hit"] * 9 + ["miss"]
    assert len({raw.text for raw in answers}) == 1
    assert len(caching.calls()) == 1
    rows = [caching.row(raw.headers["x-gatehouse-decision-id"]) for raw in answers]
    assert sum(Decimal(row["usd"]) > 0 for row in rows) == 1


def test_a_near_question_is_answered_where_the_route_says_so(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def near(kong: dict[str, Any]) -> None:
        for route in kong["services"][0]["routes"]:
            for plugin in route.get("plugins", ()):
                if plugin["name"] == "llm-token-meter":
                    plugin["config"]["cache_similarity"] = 0.7

    folder = tmp_path_factory.mktemp("near")
    with start_redis_with_vectors() as redis:
        settings = {
            **policy(folder),
            "POLICY_REDIS_URL": redis.url,
            "POLICY_SEMANTIC_CACHE_MODEL": "openai-embeddings",
        }
        with start_gateway(
            folder / "run", company=COMPANY, models=models, settings=settings, adjust_kong=near
        ) as gateway:
            first = chat(gateway, "how do I reset my password please")
            assert first.headers["x-gatehouse-cache"] == "miss"
            near_one = second(lambda: chat(gateway, "how do I reset my password now"))
            assert 0.7 <= float(near_one.headers["x-gatehouse-cache-similarity"]) < 1
            assert near_one.headers["x-gatehouse-cost-usd"] == "0"
            assert near_one.parse() == first.parse()
            streamed = chat(gateway, "how do I reset my password today", stream=True)
            assert streamed.headers["x-gatehouse-cache"] == "hit"
            assert list(streamed.parse())
            for words, more in (
                ("tell me a joke", {}),
                ("how do I reset my password", {"seed": 1}),
            ):
                assert chat(gateway, words, **more).headers["x-gatehouse-cache"] == "miss"
            row = gateway.row(near_one.headers["x-gatehouse-decision-id"])
            assert (row["cache"], Decimal(row["usd"])) == ("hit", 0)
            assert Decimal(row["saved_usd"]) > 0
            embedded = [row for row in gateway.rows() if row["operation"] == "embeddings"]
            assert len(embedded) >= 4
            assert {row["team"] for row in embedded} == {"search"}
            assert all(Decimal(row["usd"]) > 0 for row in embedded)
