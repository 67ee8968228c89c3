"""Middle and spread that a few wild days do not move."""

from collections.abc import Sequence
from statistics import median

_TO_SIGMA = 1.4826
"""Makes the median deviation of a normal distribution its standard deviation."""


def middle(figures: Sequence[float]) -> float:
    """The median; 0 of nothing."""
    return median(figures) if figures else 0.0


def spread(figures: Sequence[float]) -> float:
    """The median absolute deviation, scaled so that it compares with a standard deviation."""
    centre = middle(figures)
    return _TO_SIGMA * middle([abs(one - centre) for one in figures])
