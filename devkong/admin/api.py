"""Kong's Admin API over HTTP.

Source:
    https://developer.konghq.com/api/gateway/admin-oss/3.9/ and kong/api/endpoints.lua
    (checked 2026-11-29)
"""

import json
import socket
import uuid
from typing import Any
from urllib.parse import quote, unquote

from devkong.admin.kinds import KINDS, Entity, Kind
from devkong.admin.refusals import Refused, no_json, not_allowed, not_found
from devkong.admin.store import Store
from devkong.conf import KongConf
from devkong.context import ClientRequest
from devkong.headers import Headers
from devkong.http_server import Responder
from devkong.plugins import PluginSet
from devkong.query import query_values
from devkong.version import KONG_VERSION, SERVER

_DEFAULT_SIZE = 100
_MOST = 1000
_NODE_ID = str(uuid.uuid4())

Answer = tuple[int, Any]


class AdminApi:
    """Answers the Admin API's requests.

    Args:
        store: The entities.
        plugins: What is enabled.
        conf: Shown at `/`.
    """

    def __init__(self, store: Store, plugins: PluginSet, conf: KongConf) -> None:
        self._store = store
        self._plugins = plugins
        self._conf = conf

    async def handle(self, request: ClientRequest, responder: Responder) -> None:
        """Answer one request."""
        try:
            status, body = self._answer(request)
        except Refused as refused:
            status, body = refused.status, refused.body
        content = b"" if body is None else json.dumps(body).encode()
        headers = Headers([("Content-Type", "application/json; charset=utf-8"), ("Server", SERVER)])
        responder.send(status, headers, content)

    def _answer(self, request: ClientRequest) -> Answer:
        parts = [unquote(part) for part in request.path.strip("/").split("/") if part]
        if parts and parts[0] in KINDS:
            return self._entities(request, KINDS[parts[0]], parts[1:])
        if parts[:2] == ["schemas", "plugins"] and len(parts) == 3:  # noqa: PLR2004 - /a/b/c
            return self._schema(request, parts[2])
        if parts == ["config"]:
            return self._config(request)
        if request.method != "GET":
            raise not_allowed() if not parts or parts == ["status"] else not_found()
        if not parts:
            return 200, self._node()
        if parts == ["status"]:
            return 200, {"database": {"reachable": True}, "server": {"total_requests": 0}}
        raise not_found()

    def _entities(self, request: ClientRequest, kind: Kind, rest: list[str]) -> Answer:
        if kind.name == "plugins" and rest == ["enabled"]:
            return 200, {"enabled_plugins": sorted(self._plugins.enabled)}
        if not rest:
            return self._collection(request, kind)
        if len(rest) == 1:
            return self._one(request, kind, rest[0])
        nested = KINDS.get(rest[1])
        field = kind.name.removesuffix("s")
        if len(rest) > 2 or nested is None or field not in nested.references:  # noqa: PLR2004
            raise not_found()
        if request.method != "GET":
            raise not_allowed()
        owner = self._store.get(kind, rest[0])["id"]
        found = [each for each in self._store.all(nested) if (each[field] or {}).get("id") == owner]
        return 200, _page(request, found, request.path)

    def _collection(self, request: ClientRequest, kind: Kind) -> Answer:
        if request.method == "GET":
            found = _tagged(self._store.all(kind), _argument(request, "tags"))
            return 200, _page(request, found, f"/{kind.name}")
        if request.method == "POST":
            return 201, self._store.put(kind, None, _sent(request))[0]
        raise not_allowed()

    def _one(self, request: ClientRequest, kind: Kind, key: str) -> Answer:
        match request.method:
            case "GET":
                return 200, self._store.get(kind, key)
            case "PUT":
                return 200, self._store.put(kind, key, _sent(request))[0]
            case "PATCH":
                return 200, self._store.patch(kind, key, _sent(request))
            case "DELETE":
                self._store.delete(kind, key)
                return 204, None
            case _:
                raise not_allowed()

    def _config(self, request: ClientRequest) -> Answer:
        if request.method != "POST":
            raise not_allowed()
        content = _sent(request).get("config")
        if not isinstance(content, str):
            raise Refused(400, {"message": "expected a declarative configuration"})
        self._store.load(content)
        return 201, {}

    def _schema(self, request: ClientRequest, name: str) -> Answer:
        if request.method != "GET":
            raise not_allowed()
        if name not in self._plugins.enabled:
            raise Refused(404, {"message": f"No plugin named '{name}'"})
        _, fields = self._plugins.described(name)
        return 200, {"fields": [{"config": {"type": "record", "fields": fields}}]}

    def _node(self) -> dict[str, Any]:
        names = sorted(self._plugins.enabled)
        available = {}
        for name in names:
            plugin, _ = self._plugins.described(name)
            available[name] = {"version": KONG_VERSION, "priority": plugin.priority}
        in_use = {each["name"]: True for each in self._store.all(KINDS["plugins"])}
        directives = self._conf.http_directives
        return {
            "tagline": "Welcome to kong",
            "version": KONG_VERSION,
            "hostname": socket.gethostname(),
            "node_id": _NODE_ID,
            "plugins": {"available_on_server": available, "enabled_in_cluster": list(in_use)},
            "configuration": {
                "database": "postgres" if self._store.is_writable else "off",
                "role": "traditional",
                "plugins": list(self._conf.plugins),
                # Lua cannot tell an empty list from an empty object.
                "pluginserver_names": [each.name for each in self._conf.plugin_servers] or {},
                "nginx_http_directives": [
                    {"name": name, "value": value} for name, value in directives
                ],
                **{f"nginx_http_{name}": value for name, value in directives},
            },
        }


def _sent(request: ClientRequest) -> Entity:
    try:
        sent = json.loads(request.body or b"{}")
    except ValueError:
        raise no_json() from None
    if not isinstance(sent, dict):
        raise no_json()
    return sent


def _argument(request: ClientRequest, name: str) -> str | None:
    found = query_values(request.query).get(name, [])
    return str(found[0]) if found else None


def _tagged(entities: list[Entity], tags: str | None) -> list[Entity]:
    """Those with all of `a,b`, or with one of `a/b`."""
    if tags is None:
        return entities
    wanted = set(tags.replace("/", ",").split(","))
    if "/" in tags:
        return [each for each in entities if wanted & set(each["tags"] or ())]
    return [each for each in entities if wanted <= set(each["tags"] or ())]


def _page(request: ClientRequest, entities: list[Entity], path: str) -> dict[str, Any]:
    try:
        size = int(_argument(request, "size") or _DEFAULT_SIZE)
        begin = int(_argument(request, "offset") or 0)
    except ValueError:
        raise Refused(400, {"message": "size must be a number"}) from None
    if not 1 <= size <= _MOST:
        problem = f"size must be an integer between 1 and {_MOST}"
        raise Refused(400, {"code": 9, "name": "invalid size", "message": problem})
    page: dict[str, Any] = {"data": entities[begin : begin + size], "next": None}
    if begin + size < len(entities):
        page["offset"] = str(begin + size)
        tags = _argument(request, "tags")
        more = f"&tags={quote(tags)}" if tags else ""
        page["next"] = f"{path}?offset={begin + size}{more}&size={size}"
    return page
