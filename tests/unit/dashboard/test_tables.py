from decimal import Decimal

import pandas as pd  # type: ignore[import-untyped]
import pytest

from dashboard import tables
from dashboard.formats import Currency
from dashboard.tables import Column, Kind

COLUMNS = (
    Column("name", "Name"),
    Column("usd", "Spent", Kind.MONEY),
    Column("count", "Calls", Kind.COUNT),
    Column("part", "Part", Kind.SHARE),
    Column("status", "Status", Kind.STATUS),
)
FRAME = pd.DataFrame(
    {
        "name": ["a", "Total"],
        "usd": [Decimal("0.000000000001"), None],
        "count": [1234, 5],
        "part": [0.125, 1.0],
        "status": [429, 200],
        "left out": ["x", "y"],
    }
).astype({"usd": object})


def test_values_are_written_by_their_kind_and_totals_are_bold():
    html = tables.styled(FRAME, COLUMNS, Currency("EUR", Decimal(2))).to_html()
    for written in ("€0.000000000002", "1,234", "12.5%", "\N{EN DASH}", "font-weight: bold"):
        assert written in html
    assert "left out" not in html


def test_an_empty_frame_can_be_styled():
    assert "Name" not in tables.styled(FRAME.head(0), COLUMNS, Currency()).to_html()[:20]


def test_every_column_has_its_heading():
    assert list(tables.config(COLUMNS)) == ["name", "usd", "count", "part", "status"]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_a_name_that_looks_like_a_formula_is_none_in_the_file(name: str):
    frame = pd.DataFrame({"name": [name], "usd": [Decimal("-1E-12")]}).astype(object)
    line = tables.csv_text(frame).splitlines()[1]
    assert line == f"'{name},-0.000000000001"


def test_the_file_has_every_digit_and_empty_cells_where_there_is_nothing():
    frame = pd.DataFrame({"a": [None], "b": [Decimal("1000.000000000003")], "c": ["x,y"]})
    text = tables.csv_text(frame.astype(object))
    assert text.splitlines() == ["a,b,c", ',1000.000000000003,"x,y"']
