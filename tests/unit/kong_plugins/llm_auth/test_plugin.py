"""llm-auth against a policy service on a real socket."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from kong_plugins._runtime.shared_context import HandedCaller
from kong_plugins.llm_auth.plugin import Plugin
from llm_core.policy.caller import Caller
from tests.fakes.kong import Answered, FakeKong
from tests.fakes.policy_service import SECRET, FakePolicyService
from tests.fakes.samples import CALLER

KEY = "gk-0123456789"
BEARER = {"authorization": [f"Bearer {KEY}"]}


@pytest.fixture
async def service() -> AsyncIterator[FakePolicyService]:
    async with FakePolicyService(callers={KEY: CALLER}).running() as running:
        yield running


@asynccontextmanager
async def auth(service: FakePolicyService, **config: Any) -> AsyncIterator[Plugin]:
    given = {"policy_url": service.url, "policy_secret": SECRET, "timeout_ms": 5000, **config}
    plugin = Plugin({**given, "__plugin_id": "kong's own"})
    try:
        yield plugin
    finally:
        await plugin.close()


@asynccontextmanager
async def listening(service: FakePolicyService, **config: Any) -> AsyncIterator[Plugin]:
    """A plugin that hears of changes already."""
    async with auth(service, **config) as plugin:
        plugin._listening.start()
        async with asyncio.timeout(10):
            await plugin._listening.connected.wait()
        yield plugin


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - the condition asks the plugin
            await asyncio.sleep(0.01)


def request(headers: dict[str, list[str]], **answers: Any) -> FakeKong:
    return FakeKong({"request.get_headers": headers, **answers})


def caller_in(kong: FakeKong) -> Caller:
    return handed_in(kong).caller


def handed_in(kong: FakeKong) -> HandedCaller:
    return msgspec.json.decode(kong.shared["gatehouse_caller"], type=HandedCaller)


def code_of(answered: Answered | None) -> tuple[int, str]:
    assert answered is not None
    return answered.status, answered.body["error"]["code"]


async def test_a_known_key_hands_its_caller_on(service: FakePolicyService) -> None:
    async with auth(service) as plugin:
        kong = request(BEARER)
        assert await kong.run(plugin.access) is None
    assert caller_in(kong) == CALLER
    assert service.asked == [("/v1/callers/identify", {"api_key": KEY})]


async def test_what_the_client_asks_of_the_cache_is_handed_on(service: FakePolicyService) -> None:
    async with auth(service) as plugin:
        kong = request({**BEARER, "cache-control": ["no-store"]})
        await kong.run(plugin.access)
    facts = handed_in(kong).facts
    assert (facts.reads_cache, facts.fills_cache) == (True, False)


@pytest.mark.parametrize("name", ["api-key", "x-api-key"])
async def test_a_key_in_another_header_works_and_does_not_travel_on(
    service: FakePolicyService, name: str
) -> None:
    async with auth(service) as plugin:
        kong = request({name: [KEY]})
        assert await kong.run(plugin.access) is None
    assert caller_in(kong) == CALLER
    assert kong.arguments("service.request.clear_header") == [name]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ["Basic dXNlcjpwdw=="]},
        {"authorization": [f"Bearer {KEY}", f"Bearer {KEY}"]},
    ],
    ids=["none", "basic", "twice"],
)
async def test_without_a_key_the_answer_is_401_and_nobody_is_asked(
    service: FakePolicyService, headers: dict[str, list[str]]
) -> None:
    async with auth(service) as plugin:
        kong = request(headers)
        assert code_of(await kong.run(plugin.access)) == (401, "invalid_api_key")
    assert kong.answered
    assert kong.answered.headers["www-authenticate"].startswith("Bearer")
    assert kong.shared == {}
    assert service.asked == []


async def test_an_unknown_key_is_401_and_is_remembered_for_a_moment(
    service: FakePolicyService,
) -> None:
    async with listening(service, negative_cache_ttl_s=60) as plugin:
        for _ in range(2):
            kong = request({"authorization": ["Bearer gk-wrong"]})
            assert code_of(await kong.run(plugin.access)) == (401, "invalid_api_key")
    assert len(service.asked) == 1
    assert "gk-wrong" not in str(kong.answered)


async def test_bytes_that_are_no_text_are_a_bad_key_and_no_fault(
    service: FakePolicyService,
) -> None:
    """The runtime reads headers with `surrogateescape`, and JSON has no lone surrogates."""
    async with auth(service) as plugin:
        for key in (b"gk-\xff".decode("utf-8", "surrogateescape"), "gk-ключ"):
            kong = request({"authorization": [f"Bearer {key}"]})
            assert code_of(await kong.run(plugin.access)) == (401, "invalid_api_key")
    assert service.asked == []


async def test_a_fresh_caller_is_not_asked_about_again(service: FakePolicyService) -> None:
    async with listening(service, cache_ttl_s=60) as plugin:
        for _ in range(3):
            assert await request(BEARER).run(plugin.access) is None
    assert len(service.asked) == 1


async def test_a_revoked_key_is_out_as_soon_as_it_is_not_fresh(service: FakePolicyService) -> None:
    async with auth(service, cache_ttl_s=0, negative_cache_ttl_s=0) as plugin:
        assert await request(BEARER).run(plugin.access) is None
        service.callers.clear()
        assert code_of(await request(BEARER).run(plugin.access)) == (401, "invalid_api_key")
        service.is_down = True
        assert code_of(await request(BEARER).run(plugin.access)) == (503, "policy_unavailable")


async def test_in_an_outage_a_known_caller_stays_known_and_an_unknown_one_gets_503(
    service: FakePolicyService,
) -> None:
    async with auth(service, cache_ttl_s=0, stale_if_error_s=60) as plugin:
        assert await request(BEARER).run(plugin.access) is None
        service.is_down = True
        kong = request(BEARER)
        assert await kong.run(plugin.access) is None
        assert caller_in(kong) == CALLER
        stranger = request({"authorization": ["Bearer gk-other"]})
        assert code_of(await stranger.run(plugin.access)) == (503, "policy_unavailable")
    assert stranger.answered
    assert stranger.answered.headers["retry-after"] == "1"
    assert stranger.shared == {}


async def test_a_service_that_is_not_there_is_503_as_well() -> None:
    async with auth(FakePolicyService(url="http://127.0.0.1:9")) as plugin:
        kong = request(BEARER)
        assert code_of(await kong.run(plugin.access)) == (503, "policy_unavailable")


async def test_a_wrong_internal_secret_is_our_fault_and_not_the_callers(
    service: FakePolicyService,
) -> None:
    async with auth(service, policy_secret="another-secret-0123456789") as plugin:
        assert code_of(await request(BEARER).run(plugin.access)) == (503, "policy_unavailable")


# --- Kong's own consumers


async def test_kongs_consumer_counts_only_where_the_admin_says_so(
    service: FakePolicyService,
) -> None:
    async with auth(service) as plugin:
        kong = request({})
        assert code_of(await kong.run(plugin.access)) == (401, "invalid_api_key")
    assert "client.get_consumer" not in kong.methods


async def test_a_bound_consumer_is_a_caller(service: FakePolicyService) -> None:
    bound = replace(CALLER, team="bound")
    service.callers["consumer:c-1:shop"] = bound
    consumer = {"id": "uuid", "username": "shop", "custom_id": "c-1", "tags": None}
    async with auth(service, use_kong_consumer=True) as plugin:
        for headers in ({}, {"authorization": ["Bearer not-a-gatehouse-key"]}):
            kong = request(headers, **{"client.get_consumer": consumer})
            assert await kong.run(plugin.access) is None
            assert caller_in(kong) == bound


@pytest.mark.parametrize("consumer", [None, {}], ids=["none", "empty"])
async def test_without_key_and_consumer_the_answer_is_401(
    service: FakePolicyService, consumer: dict[str, Any] | None
) -> None:
    async with auth(service, use_kong_consumer=True) as plugin:
        kong = request({}, **{"client.get_consumer": consumer})
        assert code_of(await kong.run(plugin.access)) == (401, "invalid_api_key")


async def test_an_unbound_consumer_is_told_so(service: FakePolicyService) -> None:
    consumer = {"username": "shop", "custom_id": None}
    async with auth(service, use_kong_consumer=True) as plugin:
        kong = request({}, **{"client.get_consumer": consumer})
        assert code_of(await kong.run(plugin.access)) == (401, "invalid_api_key")
    assert kong.answered
    assert "'shop' is not bound" in kong.answered.body["error"]["message"]


async def test_consumers_with_similar_names_are_not_taken_for_each_other(
    service: FakePolicyService,
) -> None:
    """("a:b", "c") and ("a", "b:c") have shared a place in the cache."""
    service.callers["consumer:a:b:c"] = CALLER
    async with auth(service, use_kong_consumer=True, cache_ttl_s=60) as plugin:
        first = {"custom_id": "a:b", "username": "c"}
        assert await request({}, **{"client.get_consumer": first}).run(plugin.access) is None
        service.callers.clear()
        second = {"custom_id": "a", "username": "b:c"}
        kong = request({}, **{"client.get_consumer": second})
        assert code_of(await kong.run(plugin.access)) == (401, "invalid_api_key")


# --- long bodies


async def test_a_body_that_says_it_is_too_long_is_refused_before_anybody_reads_it(
    service: FakePolicyService,
) -> None:
    async with auth(service, max_body_bytes=1000) as plugin:
        at_the_limit = request({**BEARER, "content-length": ["1000"]})
        assert await at_the_limit.run(plugin.access) is None
        kong = request({**BEARER, "content-length": ["1001"]})
        assert code_of(await kong.run(plugin.access)) == (413, "request_too_large")
    assert kong.methods == ["request.get_headers"]


@pytest.mark.parametrize("length", ["", "-5", "1e9", "many"])
async def test_a_length_that_is_no_number_is_left_to_who_reads_the_body(
    service: FakePolicyService, length: str
) -> None:
    async with auth(service, max_body_bytes=1000) as plugin:
        assert await request({**BEARER, "content-length": [length]}).run(plugin.access) is None


async def test_no_key_is_kept_in_memory_as_it_is(service: FakePolicyService) -> None:
    async with auth(service) as plugin:
        await request(BEARER).run(plugin.access)
        [digest] = plugin._cache._known
    assert digest == hashlib.sha256(repr(("key", KEY)).encode()).hexdigest()


# --- what somebody is told whom nobody knows


@pytest.mark.parametrize(
    ("unknown", "status", "code", "word"),
    [
        ("mistyped", 401, "invalid_api_key", "Copy it again"),
        ("unknown", 401, "invalid_api_key", "nobody knows it"),
        ("revoked", 401, "invalid_api_key", "was revoked"),
        ("expired", 401, "invalid_api_key", "has expired"),
        ("inactive", 403, "permission_denied", "switched off"),
        ("unplaced", 403, "permission_denied", "Ask the platform team"),
        ("something_newer", 401, "invalid_api_key", "not valid"),
        (None, 401, "invalid_api_key", "nobody knows it"),
    ],
)
async def test_who_is_refused_is_told_what_is_wrong_and_what_to_do(
    service: FakePolicyService, unknown: str | None, status: int, code: str, word: str
) -> None:
    service.refusals["gk-other"] = {"unknown": unknown}
    async with auth(service) as plugin:
        kong = request({"authorization": ["Bearer gk-other"]})
        assert code_of(await kong.run(plugin.access)) == (status, code)
    assert kong.answered
    assert word in kong.answered.body["error"]["message"]
    assert "gk-other" not in str(kong.answered)


@pytest.mark.parametrize("token", ["eyJh.eyJz.c2ln", "eyJh.eyJz."])
async def test_what_looks_like_a_token_is_asked_about_as_one(
    service: FakePolicyService, token: str
) -> None:
    service.callers[token] = CALLER
    service.refusals["a.b.c"] = {"unknown": "no_proof", "detail": "wrong audience"}
    async with auth(service) as plugin:
        kong = request({"authorization": [f"Bearer {token}"]})
        assert await kong.run(plugin.access) is None
        forged = request({"authorization": ["Bearer a.b.c"]})
        assert code_of(await forged.run(plugin.access)) == (401, "invalid_api_key")
    assert service.asked[0] == ("/v1/callers/identify", {"token": token})
    assert forged.answered
    assert "proves nothing" in forged.answered.body["error"]["message"]
    assert "wrong audience" in forged.answered.body["error"]["message"]


async def test_nobody_is_known_longer_than_the_credential_is_good_in_an_outage_neither(
    service: FakePolicyService,
) -> None:
    service.ends[KEY] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    async with auth(service, cache_ttl_s=60, stale_if_error_s=60) as plugin:
        assert await request(BEARER).run(plugin.access) is None
        service.is_down = True
        assert code_of(await request(BEARER).run(plugin.access)) == (503, "policy_unavailable")


# --- networks


async def test_a_key_for_some_networks_is_refused_elsewhere(service: FakePolicyService) -> None:
    service.callers[KEY] = replace(CALLER, networks=("10.0.0.0/8",))
    async with auth(service) as plugin:
        inside = request(BEARER, **{"client.get_forwarded_ip": "10.1.2.3"})
        assert await inside.run(plugin.access) is None
        outside = request(BEARER, **{"client.get_forwarded_ip": "192.0.2.1"})
        assert code_of(await outside.run(plugin.access)) == (403, "permission_denied")
    assert inside.methods == ["request.get_headers", "client.get_forwarded_ip", "ctx.shared.set"]
    assert outside.shared == {}


async def test_the_address_is_handed_on_where_the_route_says_so(service: FakePolicyService) -> None:
    async with auth(service, sends_source_ip=True) as plugin:
        kong = request(BEARER, **{"client.get_forwarded_ip": "192.0.2.1"})
        assert await kong.run(plugin.access) is None
    assert kong.methods == ["request.get_headers", "client.get_forwarded_ip", "ctx.shared.set"]
    assert handed_in(kong).facts.source_ip == "192.0.2.1"
    async with auth(service) as plugin:
        silent = request(BEARER)
        assert await silent.run(plugin.access) is None
    assert handed_in(silent).facts.source_ip is None


# --- the groups that Kong's own plugins have authenticated


async def test_kongs_groups_count_only_where_the_admin_says_so(service: FakePolicyService) -> None:
    bound = replace(CALLER, team="bound")
    service.callers["consumer:None:None:admins,staff"] = bound
    shared = {"authenticated_groups": ["staff", "admins"]}
    async with auth(service) as plugin:
        without = FakeKong({"request.get_headers": {}}, dict(shared))
        assert code_of(await without.run(plugin.access)) == (401, "invalid_api_key")
    assert "ctx.shared.get" not in without.methods
    async with auth(service, use_kong_groups=True) as plugin:
        kong = FakeKong({"request.get_headers": {}}, dict(shared))
        assert await kong.run(plugin.access) is None
        assert caller_in(kong) == bound
        stranger = FakeKong({"request.get_headers": {}}, {"authenticated_groups": ["other"]})
        assert code_of(await stranger.run(plugin.access)) == (403, "permission_denied")
    assert "client.get_consumer" not in kong.methods


async def test_a_consumer_and_its_groups_are_asked_about_together(
    service: FakePolicyService,
) -> None:
    service.callers["consumer:None:shop:staff"] = CALLER
    async with auth(service, use_kong_groups=True, use_kong_consumer=True) as plugin:
        kong = FakeKong(
            {"request.get_headers": {}, "client.get_consumer": {"username": "shop"}},
            {"authenticated_groups": ["staff"]},
        )
        assert await kong.run(plugin.access) is None


# --- hearing of changes


async def test_a_revoked_key_is_out_at_once_though_it_was_fresh_and_the_service_went_away(
    service: FakePolicyService,
) -> None:
    async with listening(service, cache_ttl_s=300, negative_cache_ttl_s=0) as plugin:
        assert await request(BEARER).run(plugin.access) is None
        service.callers.clear()
        service.refusals[KEY] = {"unknown": "revoked"}
        assert await request(BEARER).run(plugin.access) is None
        await service.tell(event="key", key_id="key-1")

        async def is_refused() -> bool:
            return await request(BEARER).run(plugin.access) is not None

        await until(is_refused)
        service.is_down = True
        assert code_of(await request(BEARER).run(plugin.access)) == (503, "policy_unavailable")


@pytest.mark.parametrize("event", ["all", "something-newer"])
async def test_when_anybody_may_have_changed_they_are_asked_about_and_outages_are_bridged(
    service: FakePolicyService, event: str
) -> None:
    async with listening(service, cache_ttl_s=300, stale_if_error_s=300) as plugin:
        assert await request(BEARER).run(plugin.access) is None
        await service.tell(event=event)

        async def is_asked_again() -> bool:
            assert await request(BEARER).run(plugin.access) is None
            return len(service.asked) > 1

        await until(is_asked_again)
        await service.tell(event="heartbeat")
        await service.tell(event="all")
        service.is_down = True
        assert await request(BEARER).run(plugin.access) is None


async def test_calls_that_want_to_know_the_same_at_once_ask_once(
    service: FakePolicyService,
) -> None:
    async with listening(service, cache_ttl_s=60) as plugin:
        kongs = [request(BEARER) for _ in range(50)]
        assert set(await asyncio.gather(*(kong.run(plugin.access) for kong in kongs))) == {None}
        assert len(service.asked) == 1
        assert {caller_in(kong) for kong in kongs} == {CALLER}


async def test_one_that_gives_up_while_it_asks_for_all_spoils_it_for_nobody(
    service: FakePolicyService,
) -> None:
    async with listening(service, cache_ttl_s=60) as plugin:
        first = asyncio.create_task(request(BEARER).run(plugin.access))
        second = asyncio.create_task(request(BEARER).run(plugin.access))
        while not plugin._asking._open:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)
        first.cancel()
        assert await second is None
    assert len(service.asked) == 1


async def test_who_calls_after_a_change_does_not_wait_for_an_answer_from_before(
    service: FakePolicyService,
) -> None:
    async with listening(service, cache_ttl_s=60) as plugin:
        early = asyncio.create_task(request(BEARER).run(plugin.access))
        while not plugin._asking._open:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)
        plugin._cache.forget_key("key_another", time.monotonic())
        assert await request(BEARER).run(plugin.access) is None
        assert await early is None
        assert len(service.asked) == 2
        assert plugin._asking._open == {}


async def test_who_waits_for_an_answer_when_the_plugin_is_closed_gets_503(
    service: FakePolicyService,
) -> None:
    async with auth(service) as plugin:
        waiting = asyncio.create_task(request(BEARER).run(plugin.access))
        while not plugin._asking._open:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)
        await plugin.close()
        assert code_of(await waiting)[0] == 503


async def test_in_an_outage_all_who_wait_for_one_answer_are_treated_alike(
    service: FakePolicyService,
) -> None:
    async with listening(service, cache_ttl_s=0) as plugin:
        await request(BEARER).run(plugin.access)
        service.is_down = True
        kongs = [request(BEARER) for _ in range(5)]
        assert set(await asyncio.gather(*(kong.run(plugin.access) for kong in kongs))) == {None}
        wrong = [request({"authorization": ["Bearer gk-wrong"]}) for _ in range(5)]
        answers = await asyncio.gather(*(kong.run(plugin.access) for kong in wrong))
        assert {code_of(answer)[0] for answer in answers} == {503}


async def test_a_stream_that_broke_is_begun_anew_and_everybody_asked_about_again(
    service: FakePolicyService,
) -> None:
    async with listening(service, cache_ttl_s=300, negative_cache_ttl_s=0) as plugin:
        assert await request(BEARER).run(plugin.access) is None
        service.cut_streams()
        service.callers.clear()  # nobody hears of it

        async def is_refused() -> bool:
            return await request(BEARER).run(plugin.access) is not None

        await until(is_refused)
        assert plugin._listening.connected.is_set()


async def test_without_a_stream_the_caches_seconds_hold(service: FakePolicyService) -> None:
    service.has_stream = False
    async with auth(service, cache_ttl_s=60) as plugin:
        for _ in range(3):
            assert await request(BEARER).run(plugin.access) is None
    assert len(service.asked) == 1
    assert not plugin._listening.connected.is_set()


async def test_an_address_that_has_tried_too_many_keys_is_told_to_wait(
    service: FakePolicyService,
) -> None:
    service.refusals["gk-wrong"] = {"unknown": "too_many_failures"}
    wrong = {"authorization": ["Bearer gk-wrong"]}
    async with auth(service, sends_source_ip=True) as plugin:
        kong = request(wrong, **{"client.get_forwarded_ip": "192.0.2.1"})
        refused = await kong.run(plugin.access)
    assert code_of(refused) == (429, "rate_limit_exceeded")
    assert refused is not None
    assert refused.headers["retry-after"] == "60"
    [asked] = service.bodies("/identify")
    assert asked == {"api_key": "gk-wrong", "source_ip": "192.0.2.1"}


async def test_that_an_address_must_wait_says_nothing_of_the_key(
    service: FakePolicyService,
) -> None:
    noisy = {"client.get_forwarded_ip": "192.0.2.1"}
    quiet = {"client.get_forwarded_ip": "192.0.2.2"}
    async with auth(
        service, sends_source_ip=True, negative_cache_ttl_s=60, cache_ttl_s=0, stale_if_error_s=60
    ) as plugin:
        service.refusals[KEY] = {"unknown": "too_many_failures"}
        caller = service.callers.pop(KEY)
        refused = await request(BEARER, **noisy).run(plugin.access)
        assert code_of(refused) == (429, "rate_limit_exceeded")
        service.callers[KEY] = caller
        assert await request(BEARER, **quiet).run(plugin.access) is None
        del service.callers[KEY]
        # It was good a moment ago, so whoever holds it goes on.
        assert await request(BEARER, **noisy).run(plugin.access) is None
