"""Who calls? Finds out, or answers 401 or 403; never lets an unknown caller pass."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kong_plugins._runtime import shared_context, spans
from kong_plugins._runtime.pdk import Kong
from kong_plugins._runtime.policy_client import Identity, PolicyClient
from kong_plugins._runtime.shared_context import HandedCaller
from kong_plugins.llm_auth.asking import Asking
from kong_plugins.llm_auth.cache import CallerCache, Freshness
from kong_plugins.llm_auth.credential import to_clear_in
from kong_plugins.llm_auth.kong_groups import KONG_GROUPS, groups_in
from kong_plugins.llm_auth.listening import Listening
from kong_plugins.llm_auth.refusals import refused_consumer, refused_key, refused_token
from kong_plugins.llm_auth.schema import Config
from llm_core.errors import (
    BodyTooLarge,
    GatewayError,
    InvalidKey,
    MalformedRequest,
    PolicyUnavailable,
)
from llm_core.policy.caller import Caller
from llm_core.policy.credential import Credential, KongConsumer
from llm_core.policy.key_networks import require_network
from llm_core.policy.presented import NO_KEY, TOO_MANY_FAILURES, api_key_in, is_token
from llm_core.policy.request_facts import facts_in, traceparent_in

_MOST_ASKED_FOR = 1000
"""Kong's own most; by default it would give the first 100 and say nothing of the rest."""
_MOST_HEADERS = 100
_NOBODY = KongConsumer()


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
        self._asking = Asking(self._policy, self._cache)
        self._listening = Listening(self._policy, self._cache)

    async def access(self, kong: Kong) -> None:
        """Identify the caller for the plugins that follow."""
        self._listening.start()
        headers = await kong.request.get_headers(_MOST_ASKED_FOR)
        trace = spans.enter(traceparent_in(headers))
        if len(headers) > _MOST_HEADERS:
            raise MalformedRequest(f"Send at most {_MOST_HEADERS} headers.")
        _refuse_too_long(headers, self._config.max_body_bytes)
        address = await kong.client.get_forwarded_ip() if self._config.sends_source_ip else None
        caller = await self._caller(kong, headers, address)
        facts = replace(facts_in(headers), source_ip=address, traceparent=trace.parent)
        if caller.networks:
            found = address or await kong.client.get_forwarded_ip()
            require_network(found, caller.networks)
        for name in to_clear_in(headers):
            await kong.service.request.clear_header(name)
        handed = HandedCaller(caller, facts, trace.decision_id)
        await shared_context.write_caller(kong, handed)

    async def close(self) -> None:
        """Let go of connections."""
        await self._listening.close()
        await self._policy.close()
        await self._asking.close()

    async def _caller(
        self, kong: Kong, headers: Mapping[str, list[str]], address: str | None
    ) -> Caller:
        refusal: GatewayError = InvalidKey(NO_KEY)
        credential = api_key_in(headers)
        if credential is not None:
            found = await self._by_credential(credential, address)
            if isinstance(found, Caller):
                return found
            refusal = found
        if self._config.use_kong_consumer or self._config.use_kong_groups:
            consumer = await self._consumer(kong)
            if consumer != _NOBODY:
                name = ("consumer", consumer.custom_id, consumer.username, *consumer.groups)
                identity = await self._known(name, Credential(consumer=consumer))
                if identity.caller is not None:
                    return identity.caller
                refusal = refused_consumer(identity, consumer)
        raise refusal

    async def _by_credential(self, text: str, address: str | None) -> Caller | GatewayError:
        """Who is behind a key or a token of the client's, or what to tell them."""
        # Both are plain ASCII; other bytes could not even be asked about in JSON.
        if not text.isascii():
            return refused_key(Identity(unknown="mistyped"))
        if is_token(text):
            asked = Credential(token=text, source_ip=address)
            identity = await self._known(("token", text), asked)
            return identity.caller or refused_token(identity)
        identity = await self._known(("key", text), Credential(api_key=text, source_ip=address))
        return identity.caller or refused_key(identity)

    async def _consumer(self, kong: Kong) -> KongConsumer:
        """Whom Kong's own plugins have recognised, as far as the admin lets that count."""
        found: Mapping[str, Any] = {}
        groups: tuple[str, ...] = ()
        if self._config.use_kong_consumer:
            found = await kong.client.get_consumer() or {}
        if self._config.use_kong_groups:
            groups = groups_in(await kong.ctx.shared.get(KONG_GROUPS))
        return KongConsumer(found.get("username"), found.get("custom_id"), groups)

    async def _known(self, name: tuple[str | None, ...], credential: Credential) -> Identity:
        # `repr` keeps the parts apart: ("a:b", "c") is not ("a", "b:c").
        digest = hashlib.sha256(repr(name).encode()).hexdigest()
        freshness, remembered = self._cache.look_up(digest, time.monotonic())
        if freshness is Freshness.FRESH and remembered is not None:
            return remembered
        known = remembered if freshness is Freshness.STALE else None
        try:
            found = await self._asking.identity(digest, credential)
        except PolicyUnavailable:
            if known is None:
                raise
            return known
        # Others have tried too many keys from this address; this one was good a moment ago.
        return known if known and found.unknown == TOO_MANY_FAILURES else found


def _refuse_too_long(headers: Mapping[str, list[str]], longest: int) -> None:
    """Turn a long body away before anybody reads it."""
    lengths = headers.get("content-length") or []
    if any(length.isdigit() and int(length) > longest for length in lengths):
        raise BodyTooLarge(f"The body is longer than {longest} bytes.")
