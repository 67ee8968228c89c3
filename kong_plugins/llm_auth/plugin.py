"""Who calls? Finds out, or answers 401; never lets an unknown caller pass."""

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from kong_plugins._runtime import shared_context
from kong_plugins._runtime.pdk import Kong
from kong_plugins._runtime.policy_client import KongConsumer, PolicyClient
from kong_plugins._runtime.shared_context import HandedCaller
from kong_plugins.llm_auth.cache import CallerCache, Freshness
from kong_plugins.llm_auth.credential import api_key_in, to_clear_in
from kong_plugins.llm_auth.request_facts import facts_in
from kong_plugins.llm_auth.schema import Config
from llm_core.errors import BodyTooLarge, InvalidKey, MalformedRequest, PolicyUnavailable
from llm_core.policy.caller import Caller

_MOST_ASKED_FOR = 1000
"""Kong's own most; by default it would give the first 100 and say nothing of the rest."""
_MOST_HEADERS = 100


class Plugin:
    """Kong builds one per configuration and calls its phases."""

    def __init__(self, raw_config: dict[str, Any]) -> None:
        config = Config.from_kong(raw_config)
        self._config = config
        self._policy = PolicyClient(
            config.policy_url, config.policy_secret, config.timeout_ms / 1000
        )
        self._cache = CallerCache(
            config.cache_ttl_s, config.negative_cache_ttl_s, config.stale_if_error_s
        )

    async def access(self, kong: Kong) -> None:
        """Identify the caller for the plugins that follow."""
        headers = await kong.request.get_headers(_MOST_ASKED_FOR)
        if len(headers) > _MOST_HEADERS:
            raise MalformedRequest(f"Send at most {_MOST_HEADERS} headers.")
        _refuse_too_long(headers, self._config.max_body_bytes)
        caller = await self._caller(kong, headers)
        for name in to_clear_in(headers):
            await kong.service.request.clear_header(name)
        await shared_context.write_caller(kong, HandedCaller(caller, facts_in(headers)))

    async def close(self) -> None:
        """Let go of connections."""
        await self._policy.close()

    async def _caller(self, kong: Kong, headers: Mapping[str, list[str]]) -> Caller:
        api_key = api_key_in(headers)
        # A key of ours is plain ASCII; other bytes could not even be asked about in JSON.
        if api_key is not None and api_key.isascii():
            caller = await self._known(("key", api_key), api_key=api_key)
            if caller is not None:
                return caller
        if self._config.use_kong_consumer:
            consumer = await kong.client.get_consumer()
            if consumer:
                return await self._bound(consumer)
        if api_key is None:
            raise InvalidKey(
                "No API key was sent. Send your gatehouse key as `Authorization: Bearer gk-...`."
            )
        raise InvalidKey("The API key is not valid: it is unknown, revoked or expired.")

    async def _bound(self, consumer: Mapping[str, Any]) -> Caller:
        username, custom_id = consumer.get("username"), consumer.get("custom_id")
        caller = await self._known(
            ("consumer", custom_id, username),
            consumer=KongConsumer(username, custom_id),
        )
        if caller is None:
            raise InvalidKey(
                f"The Kong consumer {custom_id or username!r} is not bound to a project. "
                "Ask the platform team to bind it."
            )
        return caller

    async def _known(
        self,
        name: tuple[str | None, ...],
        *,
        api_key: str | None = None,
        consumer: KongConsumer | None = None,
    ) -> Caller | None:
        # `repr` keeps the parts apart: ("a:b", "c") is not ("a", "b:c").
        digest = hashlib.sha256(repr(name).encode()).hexdigest()
        freshness, caller = self._cache.look_up(digest, time.monotonic())
        if freshness is Freshness.FRESH:
            return caller
        try:
            found = await self._policy.identify(api_key=api_key, consumer=consumer)
        except PolicyUnavailable:
            if freshness is Freshness.STALE:
                return caller
            raise
        self._cache.remember(digest, found, time.monotonic())
        return found


def _refuse_too_long(headers: Mapping[str, list[str]], longest: int) -> None:
    """Turn a long body away before anybody reads it."""
    lengths = headers.get("content-length") or []
    if any(length.isdigit() and int(length) > longest for length in lengths):
        raise BodyTooLarge(f"The body is longer than {longest} bytes.")
