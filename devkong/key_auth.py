"""Kong's own key-auth plugin, as far as a laptop needs it: keys in headers or the query.

Source:
    https://docs.konghq.com/hub/kong-inc/key-auth/ (checked 2026-11-20)
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from devkong.context import ACCESS, Context
from devkong.entities import Consumer, KeyCredential
from devkong.errors import LuaError, ResponseExit
from devkong.pdk.response import JSON_TYPE, error_body
from devkong.query import query_values


class KeyAuth:
    """Finds the consumer that a key belongs to."""

    name = "key-auth"
    priority = 1250
    phases = frozenset({ACCESS})
    fields: ClassVar[list[dict[str, Any]]] = [
        {
            "key_names": {
                "type": "array",
                "required": True,
                "elements": {"type": "string"},
                "default": ["apikey"],
            }
        },
        {"hide_credentials": {"type": "boolean", "required": True, "default": False}},
        {"anonymous": {"type": "string"}},
        {"key_in_header": {"type": "boolean", "required": True, "default": True}},
        {"key_in_query": {"type": "boolean", "required": True, "default": True}},
        {"key_in_body": {"type": "boolean", "required": True, "default": False, "one_of": [False]}},
        {"run_on_preflight": {"type": "boolean", "required": True, "default": True}},
        {"realm": {"type": "string"}},
    ]

    def __init__(self, consumers: Sequence[Consumer], credentials: Sequence[KeyCredential]) -> None:
        self._consumers = {consumer.id: consumer for consumer in consumers}
        self._consumers |= {c.username: c for c in consumers if c.username}
        self._credentials = {credential.key: credential for credential in credentials}

    async def run(self, phase: str, config: dict[str, Any], context: Context) -> None:
        """Recognise the caller; `phase` is always `access`.

        Raises:
            ResponseExit: 401, when no key or a wrong one was sent and nobody may be anonymous.
            LuaError: The anonymous consumer does not exist.
        """
        if not config["run_on_preflight"] and context.request.method == "OPTIONS":
            return
        anonymous = config.get("anonymous")
        if anonymous and context.credential_record is not None:
            return
        try:
            credential = self._credential(config, context)
        except ResponseExit:
            if not anonymous:
                raise
            consumer = self._consumers.get(anonymous)
            if consumer is None:
                raise LuaError(
                    f"anonymous consumer {anonymous} is configured but doesn't exist"
                ) from None
            self._recognise(context, consumer, None)
        else:
            self._recognise(context, credential.consumer, credential)

    def close(self) -> None:
        """Nothing to let go of."""

    def _credential(self, config: dict[str, Any], context: Context) -> KeyCredential:
        for name in config["key_names"]:
            keys = self._keys(name, config, context)
            if len(keys) > 1:
                raise self._unauthorized(config, context, "Duplicate API key found")
            if not keys:
                continue
            if config["hide_credentials"]:
                self._hide(name, context)
            credential = self._credentials.get(keys[0])
            if credential is None:
                raise self._unauthorized(config, context, "Unauthorized")
            return credential
        raise self._unauthorized(config, context, "No API key found in request")

    def _keys(self, name: str, config: dict[str, Any], context: Context) -> list[str]:
        keys = context.request.headers.values_of(name) if config["key_in_header"] else []
        if not keys and config["key_in_query"]:
            found = query_values(context.request.query).get(name, [])
            keys = [key for key in found if isinstance(key, str)]
        return [key for key in keys if key]

    def _hide(self, name: str, context: Context) -> None:
        context.request.headers.remove(name)
        parts = context.request.query.split("&")
        context.request.query = "&".join(p for p in parts if p.partition("=")[0] != name)

    def _unauthorized(self, config: dict[str, Any], context: Context, message: str) -> ResponseExit:
        realm = config.get("realm")
        headers = {
            "WWW-Authenticate": [f'Key realm="{realm}"' if realm else "Key"],
            "Content-Type": [JSON_TYPE],
        }
        return ResponseExit(401, error_body(401, context.request_id, message), headers)

    def _recognise(
        self, context: Context, consumer: Consumer, credential: KeyCredential | None
    ) -> None:
        context.set_consumer(consumer, credential)
        for name, value in (
            ("X-Consumer-ID", consumer.id),
            ("X-Consumer-Custom-ID", consumer.custom_id),
            ("X-Consumer-Username", consumer.username),
            ("X-Credential-Identifier", credential.id if credential else None),
            ("X-Anonymous-Consumer", None if credential else "true"),
        ):
            context.request.headers.replace(name, [value] if value else [])
