"""Vector search: on a Redis that has it, and the word of one that has not."""

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.redis_neighbours import RedisNeighbours
from tests.fixtures.redis_server import RedisServer, start_redis, start_redis_with_vectors

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def redis8() -> Iterator[RedisServer]:
    with start_redis_with_vectors() as server:
        yield server


@pytest.fixture
async def neighbours(redis8: RedisServer) -> AsyncIterator[RedisNeighbours]:
    with redis.Redis.from_url(redis8.url) as client:
        client.flushall()
    made = RedisNeighbours(redis8.url, most_names=20, command_timeout_s=5)
    yield made
    await made.close()


async def test_a_redis_without_vector_sets_is_refused_and_says_what_is_needed(
    redis_server: RedisServer,
) -> None:
    if redis_server.version >= 8:
        pytest.skip("this redis-server has vector sets")
    made = RedisNeighbours(redis_server.url, command_timeout_s=5)
    with pytest.raises(ValueError, match="use Redis 8 or newer"):
        await made.check()
    await made.close()


async def test_a_redis_with_vector_sets_is_good(neighbours: RedisNeighbours) -> None:
    await neighbours.check()


async def test_a_redis_that_is_not_there_cannot_be_checked() -> None:
    with start_redis() as server:
        made = RedisNeighbours(server.url)
        server.stop()
        with pytest.raises(PolicyUnavailable):
            await made.check()
        with pytest.raises(PolicyUnavailable):
            await made.nearest("g", [1.0])
        await made.close()


async def test_similarity_is_the_cosine_and_the_nearest_comes_first(
    neighbours: RedisNeighbours,
) -> None:
    await neighbours.add("g", "east", [2.0, 0.0], 60)
    await neighbours.add("g", "north", [0.0, 1.0], 60)
    await neighbours.add("g", "west", [-1.0, 0.0], 60)
    found = await neighbours.nearest("g", [3.0, 4.0])
    assert [name for name, _ in found] == ["north", "east", "west"]
    assert [nearness for _, nearness in found] == pytest.approx([0.8, 0.6, -0.6], abs=0.02)
    [(same, nearness), *_] = await neighbours.nearest("g", [5.0, 0.0])
    assert same == "east"
    assert nearness == pytest.approx(1, abs=0.001)


async def test_groups_and_lengths_are_kept_apart(neighbours: RedisNeighbours) -> None:
    await neighbours.add("g", "a", [1.0, 0.0], 60)
    await neighbours.add("g", "b", [1.0, 0.0, 0.0], 60)
    await neighbours.add("h", "c", [1.0, 0.0], 60)
    assert [name for name, _ in await neighbours.nearest("g", [1.0, 0.0])] == ["a"]
    assert [name for name, _ in await neighbours.nearest("g", [1.0, 0.0, 0.0])] == ["b"]
    assert list(await neighbours.nearest("none", [1.0, 0.0])) == []


async def test_what_is_forgotten_is_found_no_more(neighbours: RedisNeighbours) -> None:
    await neighbours.add("g", "a", [1.0, 0.0], 60)
    await neighbours.add("g", "b", [0.9, 0.1], 60)
    await neighbours.forget("g", "a", [1.0, 0.0])
    assert [name for name, _ in await neighbours.nearest("g", [1.0, 0.0])] == ["b"]


async def test_a_group_has_an_end_and_a_most(
    neighbours: RedisNeighbours, redis8: RedisServer
) -> None:
    for number in range(50):
        await neighbours.add("g", f"n{number}", [1.0, float(number)], 60)
    with redis.Redis.from_url(redis8.url) as client:
        [key] = client.keys("*")
        assert 0 < client.ttl(key) <= 60
        assert client.execute_command("VCARD", key) <= 20
