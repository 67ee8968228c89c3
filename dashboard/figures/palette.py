"""Colours that colour-blind people tell apart too.

They are close to Okabe and Ito's, moved as little as it takes for each to stand out from its
ground and from all others (`tests/unit/dashboard/test_palette.py` says by how much); on a dark
ground they are lighter relatives.

Source:
    https://jfly.uni-koeln.de/color/ (checked 2026-11-20)
"""

from collections.abc import Sequence

import altair as alt

from dashboard.formats import Currency

Chart = alt.Chart | alt.LayerChart | alt.FacetChart
"""What the figures are."""

_LIGHT = ("#0072B2", "#D08300", "#079A6B", "#BF7CAD", "#2E9BE4", "#BE5A0E")
_DARK = ("#2293E3", "#F9C050", "#30C18F", "#E28AB8", "#9DD4F1", "#F07A30")
_MORE_LIGHT = ("#053361", "#613305")
_MORE_DARK = ("#26734D", "#95508A")
OTHER_COLOUR = "#8C8C8C"
# Light to dark on a light ground and the other way on a dark one, so that "more" stands out.
_HEAT_LIGHT = ("#F1F5F9", "#9CC7E6", "#0072B2", "#003A5C")
_HEAT_DARK = ("#1B222B", "#1F4E70", "#4FA3DB", "#CDE8FA")


def colours(is_dark: bool) -> tuple[str, ...]:
    """Six of them, for a ground."""
    return _DARK if is_dark else _LIGHT


def more_colours(is_dark: bool) -> tuple[str, ...]:
    """Two more, for what is seldom there."""
    return _MORE_DARK if is_dark else _MORE_LIGHT


def heat(is_dark: bool) -> tuple[str, ...]:
    """From nothing to most."""
    return _HEAT_DARK if is_dark else _HEAT_LIGHT


def ink(is_dark: bool) -> str:
    """For marks that belong to no group."""
    return "#EDEBE8" if is_dark else "#2F2D2B"


def scale(names: Sequence[str], is_dark: bool) -> alt.Scale:
    """A colour for each name, in their order; what comes after the sixth is grey."""
    known = colours(is_dark)
    given = [known[place] if place < len(known) else OTHER_COLOUR for place in range(len(names))]
    return alt.Scale(domain=list(names), range=given)


def legend(columns: int = 4) -> alt.Legend:
    """Above the figure, in as many columns."""
    return alt.Legend(title=None, orient="top", columns=columns, symbolType="square")


def money_axis(currency: Currency) -> alt.Axis:
    """Amounts along an axis."""
    symbol = currency.symbol.replace("'", "")
    return alt.Axis(
        labelExpr=f"'{symbol}' + format(datum.value, ',.2~f')",
        tickCount=5,
        domain=False,
        ticks=False,
    )


def plain_axis() -> alt.Axis:
    """Names along an axis."""
    return alt.Axis(labelLimit=220, ticks=False, domain=False, labelPadding=8, labelAngle=0)


def count_axis() -> alt.Axis:
    """Counts along an axis."""
    return alt.Axis(
        # d3 gives nought the unit of the others.
        labelExpr="datum.value ? format(datum.value, '~s') : '0'",
        tickCount=5,
        tickMinStep=1,
        domain=False,
        ticks=False,
    )
