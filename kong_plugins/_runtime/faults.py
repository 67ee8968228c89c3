"""Exceptions in a form that is safe to write down.

An exception's message may quote what it failed on: a prompt, a header, a key. So only its type and
the places it went through are told.
"""

import traceback
from types import FrameType
from typing import Final

_MAX_PLACES: Final = 8
_MAX_CAUSES: Final = 3


def told_safely(fault: BaseException) -> str:
    """Name `fault`'s type and places, innermost first, and those of its causes; one line."""
    told: list[str] = []
    current: BaseException | None = fault
    while current is not None and len(told) < _MAX_CAUSES:
        told.append(_one(current))
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
    return "; after ".join(told)


def places_of(frame: FrameType | None) -> str:
    """The places of a running stack, innermost first; one line."""
    return _places(traceback.extract_stack(frame))


def _one(fault: BaseException) -> str:
    name = type(fault).__name__
    if isinstance(fault, BaseExceptionGroup):
        name = f"{name}({', '.join(type(inner).__name__ for inner in fault.exceptions)})"
    places = _places(traceback.extract_tb(fault.__traceback__))
    return f"{name} at {places}" if places else name


def _places(stack: traceback.StackSummary) -> str:
    innermost = list(reversed(stack))[:_MAX_PLACES]
    return " < ".join(
        f"{'/'.join(frame.filename.rsplit('/', 2)[-2:])}:{frame.lineno} {frame.name}"
        for frame in innermost
    )
