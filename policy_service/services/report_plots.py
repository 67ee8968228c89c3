"""Plots of a report. One colour that everybody can tell from its background; no network.

Pages have them as SVG. Most mail programs show no SVG, so a mail has them as PNG.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import vl_convert

from policy_service.ports.report_schedules import UsedBy

# The blue of Okabe and Ito's palette, https://jfly.uni-koeln.de/color/.
_COLOUR = "#0072B2"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_VERSION = "5.20"
_WIDTH = 600
_HEIGHT = 180
_MOST_BARS = 10
_PNG_SCALE = 2.0
"""For screens with many pixels; the picture is shown at half its size."""
_DRAWN_WIDTH = re.compile(r'<svg [^>]*?width="(\d+)')
_CONFIG = {"font": "sans-serif", "background": "white", "axis": {"labelFontSize": 11}}


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn plot.

    Args:
        title: What it shows.
    """

    title: str
    svg: str

    @property
    def width(self) -> int:
        """In pixels, as it is shown where there is room."""
        found = _DRAWN_WIDTH.search(self.svg)
        return int(found[1]) if found else _WIDTH

    def png(self) -> bytes:
        """The same as a picture."""
        drawn: bytes = vl_convert.svg_to_png(self.svg, scale=_PNG_SCALE)
        return drawn


def days_plot(days: Sequence[UsedBy]) -> Plot:
    """Spend by day, as bars."""
    marks = {
        "x": {"field": "name", "type": "ordinal", "title": None, "axis": {"labelAngle": -60}},
        "y": {"field": "usd", "type": "quantitative", "title": "USD"},
    }
    return _drawn("Spend by day", days, marks, {"height": _HEIGHT})


def ranking_plot(title: str, parts: Sequence[UsedBy]) -> Plot:
    """The largest of them, as bars with their names at the left."""
    marks = {
        "y": {
            "field": "name",
            "type": "nominal",
            "title": None,
            "sort": None,
            "axis": {"labelLimit": 220},
        },
        "x": {
            "field": "usd",
            "type": "quantitative",
            "title": "USD",
            "axis": {"tickCount": 6},
        },
    }
    return _drawn(title, parts[:_MOST_BARS], marks, {"height": {"step": 22}})


def _drawn(
    title: str, parts: Sequence[UsedBy], marks: dict[str, Any], size: dict[str, Any]
) -> Plot:
    spec = {
        "$schema": _SCHEMA,
        "description": title,
        # A plot shows heights; the exact figures are in the table beside it.
        "data": {"values": [{"name": one.name, "usd": float(one.usd)} for one in parts]},
        "mark": {"type": "bar", "color": _COLOUR},
        "encoding": marks,
        "width": _WIDTH,
        "config": _CONFIG,
        **size,
    }
    drawn = vl_convert.vegalite_to_svg(spec, vl_version=_VERSION, allowed_base_urls=[])
    styled = drawn.replace("<svg ", '<svg role="img" style="max-width:100%;height:auto" ', 1)
    return Plot(title, styled)
