"""What both caches do alike."""

import asyncio

from policy_service.ports.cache import ResponseCache

LONG_S = 60


async def test_what_was_put_is_there_as_it_was(cache: ResponseCache) -> None:
    value = b'\x00\xff{"text":"caf\xc3\xa9"}'
    await cache.put("k", value, LONG_S)
    assert await cache.get("k") == value
    assert await cache.get("other") is None


async def test_a_second_put_replaces_the_first(cache: ResponseCache) -> None:
    await cache.put("k", b"one", LONG_S)
    await cache.put("k", b"two", LONG_S)
    assert await cache.get("k") == b"two"


async def test_what_is_kept_is_forgotten_in_time(cache: ResponseCache) -> None:
    await cache.put("k", b"one", 1)
    await cache.put("long", b"two", LONG_S)
    async with asyncio.timeout(20):
        while await cache.get("k") is not None:  # noqa: ASYNC110 - only time ends it
            await asyncio.sleep(0.05)
    assert await cache.get("long") == b"two"


async def test_one_claims_and_the_others_do_not(cache: ResponseCache) -> None:
    claims = await asyncio.gather(*(cache.claim("k", f"h{n}", LONG_S) for n in range(50)))
    assert claims.count(True) == 1
    assert await cache.claim("other", "h", LONG_S)


async def test_only_who_claimed_releases(cache: ResponseCache) -> None:
    assert await cache.claim("k", "mine", LONG_S)
    await cache.release("k", "yours")
    assert not await cache.claim("k", "yours", LONG_S)
    await cache.release("k", "mine")
    assert await cache.claim("k", "yours", LONG_S)


async def test_a_claim_whose_holder_died_ends_by_itself(cache: ResponseCache) -> None:
    assert await cache.claim("k", "dead", 0.05)
    assert await cache.wait("k", LONG_S) is None
    async with asyncio.timeout(20):
        while not await cache.claim("k", "next", LONG_S):  # noqa: ASYNC110 - only time ends it
            await asyncio.sleep(0.01)
    await cache.release("k", "dead")
    assert not await cache.claim("k", "third", LONG_S)


async def test_all_who_wait_get_the_answer(cache: ResponseCache) -> None:
    assert await cache.claim("k", "h", LONG_S)
    waiting = [asyncio.create_task(cache.wait("k", LONG_S)) for _ in range(20)]
    await asyncio.sleep(0)
    await cache.put("k", b"answer", LONG_S)
    await cache.release("k", "h")
    async with asyncio.timeout(20):
        assert await asyncio.gather(*waiting) == [b"answer"] * 20


async def test_who_waits_for_a_failure_goes_on_with_nothing(cache: ResponseCache) -> None:
    assert await cache.claim("k", "h", LONG_S)
    waiting = asyncio.create_task(cache.wait("k", LONG_S))
    await asyncio.sleep(0)
    await cache.release("k", "h")
    async with asyncio.timeout(20):
        assert await waiting is None


async def test_nobody_waits_longer_than_they_said(cache: ResponseCache) -> None:
    assert await cache.claim("k", "h", LONG_S)
    async with asyncio.timeout(20):
        assert await cache.wait("k", 0.05) is None


async def test_who_comes_after_the_end_does_not_wait(cache: ResponseCache) -> None:
    assert await cache.wait("k", LONG_S) is None
    await cache.put("k", b"answer", LONG_S)
    assert await cache.wait("k", LONG_S) == b"answer"
