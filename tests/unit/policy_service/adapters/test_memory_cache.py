"""What only the cache in memory does: its bound, and a clock that can be moved."""

from policy_service.adapters.memory_cache import MemoryCache


async def test_the_least_recently_used_give_way() -> None:
    cache = MemoryCache(most_bytes=30)
    for name in ("a", "b", "c"):
        await cache.put(name, b"x" * 10, 60)
    await cache.get("a")
    await cache.put("d", b"x" * 10, 60)
    assert [name for name in "abcd" if await cache.get(name)] == ["a", "c", "d"]


async def test_what_is_longer_than_the_whole_cache_is_not_kept_and_drives_nothing_out() -> None:
    cache = MemoryCache(most_bytes=30)
    await cache.put("a", b"x" * 10, 60)
    await cache.put("b", b"x" * 31, 60)
    assert await cache.get("a")
    assert await cache.get("b") is None


async def test_an_answer_in_place_of_a_longer_one_gives_its_room_back() -> None:
    cache = MemoryCache(most_bytes=30)
    await cache.put("a", b"x" * 30, 60)
    await cache.put("a", b"x", 60)
    await cache.put("b", b"x" * 29, 60)
    assert await cache.get("a") == b"x"
    assert await cache.get("b")


async def test_an_answer_ends_with_its_time() -> None:
    now_s = [100.0]
    cache = MemoryCache(30, lambda: now_s[0])
    await cache.put("a", b"x" * 30, 60)
    now_s[0] = 159.9
    assert await cache.get("a")
    now_s[0] = 160.0
    assert await cache.get("a") is None
    await cache.put("b", b"x" * 30, 60)
    assert await cache.get("b")


async def test_a_claim_ends_with_its_time_and_its_old_holder_has_no_say_then() -> None:
    now_s = [100.0]
    cache = MemoryCache(30, lambda: now_s[0])
    assert await cache.claim("k", "one", 10)
    now_s[0] = 110.0
    assert await cache.claim("k", "two", 10)
    await cache.release("k", "one")
    assert not await cache.claim("k", "three", 10)
