"""What goes wrong and when, fixed by a seed: data only."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

_FIRST_S = 6.0
"""Nothing goes wrong so long: it is seen that all is well without faults."""
_LASTS_S = (1.0, 4.0)
_LONG_S = (10.0, 25.0)
"""Longer than a call may take, or than a lease."""
_IS_LONG = 0.08
_PAUSE_S = (3.0, 9.0)
_TOGETHER = 0.2
"""So often the next fault does not wait for the end of the one before."""
_SLOWED_S = (0.05, 0.4)


class Part(StrEnum):
    """What can be struck; wires are the ways between parts."""

    AUTH = "llm-auth"
    METER = "llm-token-meter"
    TRANSFORM = "llm-provider-transform"
    POLICY_1 = "policy-1"
    POLICY_2 = "policy-2"
    POLICY_WIRE = "policy-wire"
    REDIS = "redis"
    REDIS_WIRE = "redis-wire"
    POSTGRES = "postgres"
    POSTGRES_WIRE = "postgres-wire"
    OPA = "opa"
    OPA_WIRE = "opa-wire"
    SANDBOX_1 = "sandbox-1"
    SANDBOX_1_WIRE = "sandbox-1-wire"
    SANDBOX_2 = "sandbox-2"
    SANDBOX_2_WIRE = "sandbox-2-wire"


class Blow(StrEnum):
    """What is done to it."""

    KILL = "killed"
    PAUSE = "paused"
    SLOW = "slowed"
    """Every piece of data comes later by `slowed_s`."""
    CUT = "cut off"
    """Connections break, and no new one is taken."""
    SILENCE = "silenced"
    """Connections stay, and nothing comes through."""


PLUGINS = frozenset({Part.AUTH, Part.METER, Part.TRANSFORM})
_WIRES = frozenset(part for part in Part if part.endswith("-wire"))
EVERY: tuple[tuple[Part, Blow], ...] = tuple(
    (part, blow)
    for part in Part
    for blow in ((Blow.SLOW, Blow.CUT, Blow.SILENCE) if part in _WIRES else (Blow.KILL, Blow.PAUSE))
)
"""Everything that can go wrong."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Args:
        at_s: Since the start of the run.
        lasts_s: Until it is mended; what is killed is started again then. A plugin server is
            started again by Kong, at once.
        slowed_s: For `Blow.SLOW`.
    """

    at_s: float
    part: Part
    blow: Blow
    lasts_s: float
    slowed_s: float = 0.0

    @property
    def until_s(self) -> float:
        """When it is mended."""
        return self.at_s + self.lasts_s

    def __str__(self) -> str:
        slowed = f" by {self.slowed_s * 1000:.0f} ms" if self.slowed_s else ""
        return f"{self.part} {self.blow}{slowed} for {self.lasts_s:.1f} s"


def schedule(seed: int, length_s: float) -> tuple[Fault, ...]:
    """The faults of a run, in the order in which they begin; all are over before its end.

    Every kind of fault comes once before one comes again. No part is struck twice at once.
    """
    dice = random.Random(f"faults/{seed}")
    faults: list[Fault] = []
    kinds = _shuffled_for_ever(dice)
    at_s = _FIRST_S
    while True:
        part, blow = next(kinds)
        free_s = [before.until_s + _PAUSE_S[0] for before in faults if before.part is part]
        at_s = max([at_s, *free_s])
        fault = Fault(
            at_s=at_s,
            part=part,
            blow=blow,
            lasts_s=_length_s(dice, part, blow),
            slowed_s=dice.uniform(*_SLOWED_S) if blow is Blow.SLOW else 0.0,
        )
        if fault.until_s > length_s:
            return tuple(faults)
        faults.append(fault)
        is_together = dice.random() < _TOGETHER
        step_s = fault.lasts_s / 2 if is_together else fault.lasts_s + dice.uniform(*_PAUSE_S)
        at_s += step_s


def _length_s(dice: random.Random, part: Part, blow: Blow) -> float:
    is_long = dice.random() < _IS_LONG
    is_back_at_once = part in PLUGINS and blow is Blow.KILL
    return dice.uniform(*(_LONG_S if is_long and not is_back_at_once else _LASTS_S))


def _shuffled_for_ever(dice: random.Random) -> Iterator[tuple[Part, Blow]]:
    while True:
        kinds = list(EVERY)
        dice.shuffle(kinds)
        yield from kinds


@dataclass(frozen=True, slots=True)
class Trouble:
    """A time in which something is or was just out of order; in seconds of one clock.

    Args:
        part: What; `None` while all of it has just been started.
    """

    from_s: float
    until_s: float
    part: Part | None


def is_troubled(troubles: Sequence[Trouble], from_s: float, until_s: float) -> bool:
    """Whether one of them falls into a time."""
    return any(one.from_s <= until_s and from_s <= one.until_s for one in troubles)
