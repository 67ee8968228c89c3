"""Whose spend changed most."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Moved(Generic[K]):
    """One part of the company, in a time and in the time of the same length before."""

    key: K
    usd: Decimal
    before_usd: Decimal

    @property
    def change_usd(self) -> Decimal:
        """More than zero: it grew."""
        return self.usd - self.before_usd


def movers(now: Mapping[K, Decimal], before: Mapping[K, Decimal], most: int) -> list[Moved[K]]:
    """The largest changes first, whichever way they go; what stayed as it was is left out."""
    keys: Iterable[K] = dict.fromkeys((*now, *before))
    zero = Decimal(0)
    moved = [Moved(key, now.get(key, zero), before.get(key, zero)) for key in keys]
    changed = [one for one in moved if one.change_usd]
    return sorted(changed, key=lambda one: (-abs(one.change_usd), str(one.key)))[:most]
