"""The totality: a phase comes to an answer whatever happens in it, and that answer is closed.

Kong takes an external plugin's failure for "nothing to do" and proxies the request. So nothing is
left to Kong: a fault, a deadline passed, a lost event are answered with `kong.response.exit` and
OpenAI's error shape. Only `log`, which has no response any more, is simply ended.
"""

import asyncio
import json
import logging
from typing import Any

from kong_plugins._runtime import measures, spans
from kong_plugins._runtime.events import RETURN, Event, PhaseEnded
from kong_plugins._runtime.faults import told_safely
from kong_plugins._runtime.instances import Phase
from kong_plugins._runtime.pdk_calls import PdkPath
from llm_core.errors import (
    AccessError,
    GatewayError,
    GatewayFault,
    PolicyUnavailable,
    RequestError,
    error_body,
    error_headers,
)

_log = logging.getLogger(__name__)


async def run_phase(event: Event, phase: Phase) -> None:
    """Run a phase; afterwards `event` has its final answer. Raises nothing."""
    with measures.phase(event.phase):
        await _run(event, phase)


async def _run(event: Event, phase: Phase) -> None:
    try:
        with spans.phase(event.phase):
            await phase(PdkPath("kong", event.call))
    except PhaseEnded:
        pass
    except GatewayError as error:
        refuse(event, error)
    except asyncio.CancelledError:
        # At its deadline, or with nobody waiting, the event has been answered before.
        refuse(event, _not_in_time(event.phase))
    except BaseException as fault:  # noqa: BLE001 - the last stop before Kong
        _meet(event, fault)
    else:
        event.finish(RETURN)
    event.phase_has_left = True


def refuse(event: Event, error: GatewayError) -> None:
    """Answer the event with `error`, unless it has its final answer already."""
    if event.has_final_answer:
        return
    measures.refused(event.phase, error.code)
    told = f"{event.phase}: {error.code} ({error.http_status})"
    if isinstance(error, RequestError | AccessError):
        _log.debug("%s", told)
    elif error.__cause__ is not None:
        _log.warning("%s, %s", told, told_safely(error.__cause__))
    else:
        _log.warning("%s", told)
    if event.phase == "log":
        event.finish(RETURN)
        return
    try:
        event.finish(exit_call(error))
    except Exception as fault:  # noqa: BLE001 - an error whose own answer cannot be given
        _log.error("%s: %s cannot be told: %s", event.phase, error.code, told_safely(fault))
        event.finish(exit_call(GatewayFault("The gateway failed.")))


def expire(event: Event) -> None:
    """Answer an event whose deadline has passed."""
    if event.has_final_answer:
        return
    if event.reply is None:
        _log.warning("%s: abandoned, Kong sent no Step within the deadline", event.phase)
    else:
        _log.warning("%s: the phase did not end within the deadline", event.phase)
    refuse(event, _not_in_time(event.phase))


def lost_event(*, was_log: bool) -> object:
    """What to answer to a Step of an event that is not here any more."""
    return RETURN if was_log else exit_call(_not_in_time("access"))


def exit_call(error: GatewayError) -> dict[str, Any]:
    """The PDK call that answers the client with `error`."""
    headers = {"content-type": "application/json", **error_headers(error)}
    body = json.dumps(error_body(error), ensure_ascii=True, default=str)
    return {"Method": "kong.response.exit", "Args": [error.http_status, body, headers]}


def _meet(event: Event, fault: BaseException) -> None:
    if isinstance(fault, BaseExceptionGroup):
        if fault.split(PhaseEnded)[1] is None:
            return
        inner = fault.subgroup(GatewayError)
        if inner is not None and fault.split(GatewayError)[1] is None:
            refuse(event, _first(inner))
            return
    when = " after its answer" if event.has_final_answer else ""
    _log.error("%s%s: %s", event.phase, when, told_safely(fault))
    refuse(event, GatewayFault("The gateway failed."))


def _first(group: BaseExceptionGroup[GatewayError]) -> GatewayError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _not_in_time(phase: str) -> GatewayError:
    if phase == "response":
        return GatewayFault("The gateway did not finish with the provider's answer in time.")
    return PolicyUnavailable("The gateway did not come to a decision in time.")
