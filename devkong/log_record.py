"""`kong.log.serialize`: the record of a finished request, as Kong's log plugins write it."""

import json
import time
from typing import Any

from devkong.context import Context
from devkong.query import query_record

_REDACTED = ("authorization", "proxy-authorization")


def serialize(context: Context) -> str:
    """The record as JSON text: an external plugin gets it as a string."""
    return json.dumps(log_record(context), separators=(",", ":"))


def log_record(context: Context) -> dict[str, Any]:
    """The record. Latencies and times are in milliseconds; secrets in headers are redacted.

    Source:
        https://docs.konghq.com/gateway/latest/plugin-development/pdk/kong.log/ (checked 2026-11-20)
    """
    request = context.request
    headers = request.headers.as_record()
    for name in _REDACTED:
        if name in headers:
            headers[name] = "REDACTED"
    record: dict[str, Any] = {
        "request": {
            "id": context.request_id,
            "uri": request.uri,
            "url": f"http://{request.host}:{request.server_port}{request.uri}",
            "querystring": query_record(request.query),
            "method": request.method,
            "headers": headers,
            "size": request.size_bytes,
        },
        "upstream_uri": _upstream_uri(context),
        "response": {
            "status": context.status,
            "headers": context.headers.as_record(),
            "size": context.bytes_sent,
        },
        "tries": context.tries,
        "latencies": _latencies(context),
        "client_ip": request.client_ip,
        "started_at": round(context.started_at * 1000),
        "workspace": "default",
        "source": "upstream" if context.source == "service" else "kong",
    }
    if context.upstream_status is not None:
        record["upstream_status"] = str(context.upstream_status)
    if context.route:
        record["route"] = context.route.as_record()
    if context.service:
        record["service"] = context.service.as_record()
    if context.consumer_record:
        record["consumer"] = dict(context.consumer_record)
    if context.credential_record:
        record["authenticated_entity"] = {"id": context.credential_record.get("id")}
    return record


def _latencies(context: Context) -> dict[str, int]:
    known = context.latencies
    kong_ms = known.proxy_ms if known.proxy_ms is not None else known.response_ms
    return {
        "request": round((time.time() - context.started_at) * 1000),
        "kong": kong_ms or 0,
        "proxy": known.waiting_ms if known.waiting_ms is not None else -1,
        "receive": known.receive_ms or 0,
    }


def _upstream_uri(context: Context) -> str:
    if not context.match:
        return ""
    query = context.request.query
    return f"{context.target.path}?{query}" if query else context.target.path
