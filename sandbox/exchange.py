"""From a request to what is sent back, the same for every vendor."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from sandbox.calls import Call
from sandbox.delivery import Plan
from sandbox.refusal import Refusal
from sandbox.settings import SandboxSettings
from sandbox.wire import Event, Received, Reply, Sent, Wire
from sandbox.wishes import (
    STATUS_FAULTS,
    Fault,
    FaultKind,
    UnknownWish,
    Wishes,
    wishes_from,
)

_EVENTS_BEFORE_BREAK = 3
_SAYS_USAGE = ("usage", "usageMetadata", "meta", "inputTextTokenCount")


def plan_for(
    wire: Wire,
    call: Call,
    *,
    headers: Mapping[str, str],
    deployment: str | None,
    sent: Sent,
    settings: SandboxSettings,
) -> Plan:
    """Decide what is sent, and note on `call` what is known about it.

    Args:
        wire: The vendor.
        call: The record's entry.
        headers: The request's, lower-case names.
        deployment: Azure's, from the path; with other vendors the model, where it stands there.
        sent: The request.
        settings: The process's.
    """
    payload = _decoded(sent.body)
    call.is_streaming = wire.is_streaming(payload, sent.path)
    call.model = wire.asked_model(payload, deployment)
    call.messages = payload.get("messages")
    call.parameters = {key: value for key, value in payload.items() if key != "messages"}
    wishes = Wishes(call.model)
    try:
        wire.authenticate(headers, sent)
        call.is_credential_ok = True
        if not payload:
            raise wire.not_json()
        wishes = wishes_from(call.model, headers)
        received = Received(headers, call.query, deployment, payload, wishes)
        return _planned(wire, received, call, settings)
    except UnknownWish as wish:
        refusal = wire.invalid(str(wish))
    except Refusal as raised:
        refusal = raised
    answer_headers = {**wire.headers(call.number, wishes), **refusal.headers}
    document = dict(refusal.body)
    if "request-id" in answer_headers:
        document["request_id"] = answer_headers["request-id"]
    return _whole(refusal.status, answer_headers, document)


def _planned(wire: Wire, received: Received, call: Call, settings: SandboxSettings) -> Plan:
    wishes = received.wishes
    fault = wishes.fault
    if fault and fault.kind in STATUS_FAULTS:
        raise wire.failure(int(fault.kind), fault.value, wishes.model)
    try:
        reply = wire.reply(received)
    except (AttributeError, KeyError, TypeError, ValueError):
        # A member of a wrong type, deeper than the checks look; the vendors answer 400 as well.
        raise wire.invalid("The request body is not valid: a value has the wrong type.") from None
    if fault and fault.kind is FaultKind.ERROR_MID_STREAM and not call.is_streaming:
        raise wire.failure(500, None, wishes.model)
    if settings.record is not None:
        whole = reply.whole(has_usage=True)
        call.usage = {name: whole[name] for name in _SAYS_USAGE if name in whole}
    headers = wire.headers(call.number, wishes)
    pace = wishes.tokens_per_s or settings.tokens_per_s
    if call.is_streaming:
        return _stream_plan(wire, reply, fault, headers, pace)
    return _whole_plan(reply, fault, headers, pace)


def _stream_plan(
    wire: Wire, reply: Reply, fault: Fault | None, headers: dict[str, str], pace: float | None
) -> Plan:
    kind = fault.kind if fault else None
    events = list(reply.events(has_usage=kind is not FaultKind.NO_USAGE))
    value = fault.value if fault else None
    kept = events[: math.ceil(value or _EVENTS_BEFORE_BREAK)]
    match kind:
        case FaultKind.CUT_MID_STREAM:
            events = kept
        case FaultKind.ERROR_MID_STREAM:
            events = [*kept, wire.error_event()]
        case FaultKind.MALFORMED_JSON:
            events = [*kept[:-1], wire.malformed(kept[-1])]
        case _:
            pass
    return Plan(
        status=200,
        headers={
            **headers,
            "content-type": wire.stream_type,
            "cache-control": "no-cache",
        },
        parts=events,
        is_cut=kind is FaultKind.CUT_MID_STREAM,
        is_hanging=kind is FaultKind.HANG,
        delay_s=_delay_s(fault),
        tokens_per_s=pace,
    )


def _whole_plan(
    reply: Reply, fault: Fault | None, headers: dict[str, str], pace: float | None
) -> Plan:
    kind = fault.kind if fault else None
    document = reply.whole(has_usage=kind is not FaultKind.NO_USAGE)
    encoded = msgspec.json.encode(document)
    sent = encoded
    if kind is FaultKind.MALFORMED_JSON:
        sent = encoded = encoded[: len(encoded) // 2]
    if kind is FaultKind.CUT_MID_STREAM:
        sent = encoded[: len(encoded) // 2]
    return Plan(
        status=200,
        headers={**headers, "content-type": "application/json"},
        parts=[Event(sent)],
        content_length=len(encoded),
        is_cut=kind is FaultKind.CUT_MID_STREAM,
        is_hanging=kind is FaultKind.HANG,
        # A whole answer takes as long as its tokens would, when a pace was asked for.
        delay_s=_delay_s(fault) + (reply.output_tokens / pace if pace else 0),
    )


def _delay_s(fault: Fault | None) -> float:
    if fault is None or fault.kind is not FaultKind.SLOW_FIRST_BYTE:
        return 0.0
    return 1.0 if fault.value is None else fault.value


def _whole(status: int, headers: dict[str, str], document: Mapping[str, Any]) -> Plan:
    encoded = msgspec.json.encode(document)
    return Plan(
        status=status,
        headers={**headers, "content-type": "application/json"},
        parts=[Event(encoded)],
        content_length=len(encoded),
    )


def _decoded(body: bytes) -> dict[str, Any]:
    """The body's object; empty when there is none, which no vendor takes either."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return document if isinstance(document, dict) else {}
