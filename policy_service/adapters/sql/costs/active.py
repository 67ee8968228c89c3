"""Who used anything.

A short time is added up like everything else: by place and names. Of a long one most is full days,
and of these it does not matter how often somebody asked. So each name is looked for once, from one
to the next along an index, and whether it has calls in these days: 5,000 people of 90 days are
10,000 looks in place of half a million rows. What lies around those days is added up.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Double,
    FromClause,
    Label,
    Select,
    Text,
    cast,
    exists,
    func,
    literal_column,
    select,
    union,
    union_all,
)

from policy_service.adapters.sql.costs.days import Stretch
from policy_service.adapters.sql.costs.facts import by_span, chosen, daily_table, facts, has_calls
from policy_service.adapters.sql.months import day_of
from policy_service.adapters.sql.tables import Base
from policy_service.ports.costs import Scope

NAMES = ("user", "application", "team")
REQUESTS = "requests"
WHOLE = -1
"""The place of the whole time."""
_ALWAYS = "team"
"""Of the names, what every call has."""
_FEW_SPANS = 14
_CALLERS = Base.metadata.tables["usage_daily_callers"]
_DAY = timedelta(days=1)
_LONG = 45 * _DAY
"""From here on looking for everybody there ever was is quicker than adding up."""


def by_place(scope: Scope, edges: Sequence[datetime]) -> CompoundSelect[Any]:
    """Rows of `told` (a name's kind, or requests), `place` and `count`, by span and `WHOLE`.

    Requests are by span only.
    """
    counts: list[Any] = []
    callers = _callers(scope, edges)
    for name in NAMES:
        source = callers(name)
        key = source.c.place, source.c[name]
        # Telling names apart by grouping takes no sorting, which `count(distinct ...)` does.
        calls = _calls(source)
        each = select(*key, calls).group_by(*key).having(calls != literal_column("0"))
        each_one = each.cte(f"each_{name}")
        whole = select(each_one.c[name]).distinct().subquery()
        place_of = each_one.c.place
        counts += [
            select(_told(name), place_of, func.count(each_one.c[name]).label("count")).group_by(
                place_of
            ),
            select(_told(name), literal_column(str(WHOLE)), func.count(whole.c[name])),
        ]
        if name == _ALWAYS:
            counts.append(
                select(_told(REQUESTS), place_of, func.sum(each_one.c.requests)).group_by(place_of)
            )
    return union_all(*counts)


def full_days(scope: Scope, edges: Sequence[datetime]) -> Stretch | None:
    """Those in which to look for names; `None` where to add up is quicker.

    So are parts of the company: who is not in them would be looked for in every row.
    """
    kinds = {node.partition(":")[0] for node in scope.nodes or ()}
    if len(edges) > 2 or scope.filters or not kinds <= {"organisation"}:  # noqa: PLR2004 - one span
        return None
    start, end = edges
    # What is left before and after is two days at least, so that days are read and not hours.
    first = start if start == day_of(start) else day_of(start) + 3 * _DAY
    last = end if end == day_of(end) else day_of(end) - 2 * _DAY
    return (first, last) if last - first >= _LONG else None


def by_looking(scope: Scope, edges: Sequence[datetime], inner: Stretch) -> CompoundSelect[Any]:
    """Rows of `told` and `count`: of each kind of name, and requests; of one span.

    Args:
        scope: Whose calls.
        edges: Two.
        inner: `full_days` of them.
    """
    around = _around(scope, [(edges[0], inner[0]), (inner[1], edges[1])])
    counts: list[Any] = []
    for name in NAMES:
        there = _there(scope, name, inner)
        found = union(there, select(around.c[name])) if around is not None else there
        each = found.subquery()
        # Who has no name is not counted.
        counts.append(select(_told(name), func.count(each.c[0]).label("count")))
    source = facts(scope, edges, by_span(edges), (), (REQUESTS,))
    return union_all(*counts, select(_told(REQUESTS), func.sum(source.c.requests)))


def _there(scope: Scope, name: str, inner: Stretch) -> Select[Any]:
    """Every name with calls in full days, by two steps along an index for each one there is."""
    column = _CALLERS.c[name]
    known = select(func.min(column).label(name)).cte(f"known_{name}", recursive=True)
    following = select(func.min(column)).where(column > known.c[name]).scalar_subquery()
    known = known.union_all(select(following).where(known.c[name].is_not(None)))
    has_rows = exists().where(
        column == known.c[name],
        _CALLERS.c.day >= inner[0],
        _CALLERS.c.day < inner[1],
        _CALLERS.c.requests != literal_column("0"),
        *chosen(_CALLERS, scope),
    )
    return select(known.c[name]).where(known.c[name].is_not(None), has_rows)


def _around(scope: Scope, pieces: Sequence[Stretch]) -> FromClause | None:
    """Who used anything in the pieces that are not empty."""
    sources = [
        facts(scope, piece, by_span(piece), NAMES, (REQUESTS,))
        for piece in pieces
        if piece[0] < piece[1]
    ]
    if not sources:
        return None
    each = [
        select(*(source.c[name] for name in NAMES))
        .group_by(*(source.c[name] for name in NAMES))
        .having(has_calls(source))
        for source in sources
    ]
    return union_all(*each).cte("around")


def _callers(scope: Scope, edges: Sequence[datetime]) -> Callable[[str], FromClause]:
    """Rows with place, a name's values and requests, for each name.

    Grouping first by all names makes few of many rows, unless each day is for itself: then hardly
    fewer, and it is quicker to look at the sums by day once for each name.
    """
    of_one = partial(facts, scope, edges, by_span(edges), sums=(REQUESTS,))
    has_days = daily_table(scope, NAMES, (REQUESTS,)) is not None
    if has_days and len(edges) > _FEW_SPANS:
        return lambda name: of_one(dimensions=(name,))
    source = of_one(dimensions=NAMES)
    key = [source.c.place, *(source.c[name] for name in NAMES)]
    once = select(*key, _calls(source)).group_by(*key).cte("callers")
    return lambda _: once


def _calls(source: FromClause) -> Label[float]:
    """How many; a double holds every count that there can be, and is summed in half the time."""
    return func.sum(cast(source.c.requests, Double)).label(REQUESTS)


def _told(name: str) -> ColumnElement[str]:
    return literal_column(f"'{name}'", Text).label("told")
