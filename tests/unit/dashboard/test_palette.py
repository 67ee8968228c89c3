"""Colour-blind people tell the figures' colours apart, and everybody sees them on either ground."""

from itertools import combinations, pairwise

import pytest

from dashboard.figures import palette
from tests.fixtures.colour_vision import DEFICIENCIES, Triple, ciede2000, contrast, difference

LEAST_DIFFERENCE = 10.0
"""CIEDE2000, of areas that lie apart; side by side 1 is just to be seen."""
LEAST_CONTRAST = 3.0
"""WCAG 2.1's for graphics, criterion 1.4.11."""
GROUNDS = {False: "#FFFFFF", True: "#0E1117"}
"""Streamlit's own, which our theme leaves as they are."""


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("is_dark", GROUNDS)
def test_any_two_colours_are_told_apart(is_dark: bool, deficiency: str) -> None:
    every = (*palette.colours(is_dark), *palette.more_colours(is_dark), palette.OTHER_COLOUR)
    alike = {
        pair: round(difference(*pair, deficiency), 1)
        for pair in combinations(every, 2)
        if difference(*pair, deficiency) < LEAST_DIFFERENCE
    }
    assert not alike


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("is_dark", GROUNDS)
def test_steps_of_heat_are_told_apart(is_dark: bool, deficiency: str) -> None:
    steps = palette.heat(is_dark)
    for one, next_ in pairwise(steps):
        assert difference(one, next_, deficiency) >= LEAST_DIFFERENCE, (one, next_)


@pytest.mark.parametrize("is_dark", GROUNDS)
def test_every_colour_stands_out_from_its_ground(is_dark: bool) -> None:
    named = (*palette.colours(is_dark), *palette.more_colours(is_dark))
    every = (*named, palette.OTHER_COLOUR, palette.ink(is_dark))
    faint = {one: round(contrast(one, GROUNDS[is_dark]), 2) for one in every}
    assert not {one: ratio for one, ratio in faint.items() if ratio < LEAST_CONTRAST}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
        ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
        ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_difference_is_that_of_the_papers_test_data(
    one: Triple, other: Triple, expected: float
) -> None:
    assert ciede2000(one, other) == pytest.approx(expected, abs=5e-5)
    assert ciede2000(other, one) == pytest.approx(expected, abs=5e-5)
