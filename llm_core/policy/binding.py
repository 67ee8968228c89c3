"""Which limits one call meets, and how urgent it is."""

from dataclasses import replace
from datetime import datetime

from llm_core.policy.call import Call
from llm_core.policy.caller import Caller
from llm_core.policy.limits import Priority, in_force


def priority_of(caller: Caller, call: Call) -> Priority:
    """How urgent a call is: batch when the caller's key or the call itself says so."""
    if Priority.BATCH in (caller.priority, call.priority):
        return Priority.BATCH
    return Priority.INTERACTIVE


def bound(caller: Caller, call: Call, now: datetime) -> tuple[Caller, Call]:
    """The caller with exactly the limits that this call meets, and the call with its true priority.

    What is bound already stays as it is: shares and raises are worked in once.
    """
    priority = priority_of(caller, call)
    limits = in_force(caller.limits, asked_model=call.asked_model, priority=priority, now=now)
    return replace(caller, limits=limits), replace(call, priority=priority)
