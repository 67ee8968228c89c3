"""What plugins hand each other through `kong.ctx.shared`: declared here, and nowhere else.

| Key | Type | Written by | Read by |
|---|---|---|---|
| `gatehouse_caller` | `HandedCaller` | llm-auth, access | llm-token-meter, access |
| `gatehouse_decision` | `HandedDecision` | llm-token-meter, access | llm-provider-transform, access and response; llm-token-meter, log |
| `gatehouse_usage` | `UsageReport` | llm-provider-transform, response | llm-token-meter, log |

A client cannot forge these: Kong keeps them in the request's own Lua table. Every helper is one PDK
call. Values are JSON text; a request's body follows its decision after a line break (JSON has none),
as it is, for Lua strings hold any bytes and base64 would cost time and a third more space.
"""  # noqa: E501 - a table

from dataclasses import dataclass
from typing import Final

import msgspec

from kong_plugins._runtime.pdk import Kong
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller
from llm_core.policy.decision import Decision, UsageReport
from llm_core.policy.request_facts import RequestFacts

CALLER_KEY: Final = "gatehouse_caller"
DECISION_KEY: Final = "gatehouse_decision"
USAGE_KEY: Final = "gatehouse_usage"

MAX_HANDED_BODY_BYTES: Final = 64 * 1024
"""A longer body is read again where it is needed: that call costs less than carrying it along."""


@dataclass(frozen=True, slots=True)
class HandedCaller:
    """Who calls, and what their headers ask for.

    Args:
        facts: `traceparent` is what spans of this request are children of: llm-auth's own, where it
            is traced and nobody else has begun the trace.
        decision_id: Of the decision to come, when that trace has its id from it.
    """

    caller: Caller
    facts: RequestFacts = RequestFacts()  # noqa: RUF009 - frozen
    decision_id: str | None = None


@dataclass(frozen=True, slots=True)
class HandedDecision:
    """A decision and what was decided about.

    Args:
        call: The request's facts; `call.body_digest` names the body.
        body: The request as the client sent it; `None` when it is longer than
            `MAX_HANDED_BODY_BYTES`, or does not matter any more.
        started_monotonic_s: `time.monotonic()` when the meter began; the clock is the same one in
            every process of a host.
        traceparent: What spans of this request are children of.
    """

    decision: Decision
    call: Call
    body: bytes | None = None
    started_monotonic_s: float | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class _DecisionRecord:
    decision: Decision
    call: Call
    started_monotonic_s: float | None
    traceparent: str | None = None


_encode = msgspec.json.Encoder().encode
_decode_caller = msgspec.json.Decoder(HandedCaller).decode
_decode_decision = msgspec.json.Decoder(_DecisionRecord).decode
_decode_usage = msgspec.json.Decoder(UsageReport).decode


async def write_caller(kong: Kong, handed: HandedCaller) -> None:
    """Say who calls."""
    await kong.ctx.shared.set(CALLER_KEY, _encode(handed))


async def read_caller(kong: Kong) -> HandedCaller | None:
    """Who calls; `None` when llm-auth did not say.

    Raises:
        msgspec.MsgspecError: The value is none that `write_caller` writes.
    """
    value = await _read(kong, CALLER_KEY)
    return None if value is None else _decode_caller(value)


async def write_decision(kong: Kong, handed: HandedDecision) -> None:
    """Hand a decision on; a body that is too long stays behind."""
    record = _DecisionRecord(
        handed.decision, handed.call, handed.started_monotonic_s, handed.traceparent
    )
    value = _encode(record)
    if handed.body is not None and len(handed.body) <= MAX_HANDED_BODY_BYTES:
        value = b"%b\n%b" % (value, handed.body)
    await kong.ctx.shared.set(DECISION_KEY, value)


async def read_decision(kong: Kong) -> HandedDecision | None:
    """What was decided; `None` when llm-token-meter did not decide.

    Raises:
        msgspec.MsgspecError: The value is none that `write_decision` writes.
    """
    value = await _read(kong, DECISION_KEY)
    if value is None:
        return None
    text, line_break, body = value.partition(b"\n")
    record = _decode_decision(text)
    return HandedDecision(
        record.decision,
        record.call,
        body if line_break else None,
        record.started_monotonic_s,
        record.traceparent,
    )


async def write_usage(kong: Kong, report: UsageReport) -> None:
    """Say what the call consumed."""
    await kong.ctx.shared.set(USAGE_KEY, _encode(report))


async def read_usage(kong: Kong) -> UsageReport | None:
    """What the call consumed; `None` when llm-provider-transform's `response` did not run.

    Raises:
        msgspec.MsgspecError: The value is none that `write_usage` writes.
    """
    value = await _read(kong, USAGE_KEY)
    return None if value is None else _decode_usage(value)


async def _read(kong: Kong, key: str) -> bytes | None:
    """Kong sends every Lua string as text, whatever was written; give the bytes back."""
    value = await kong.ctx.shared.get(key)
    if value is None:
        return None
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
