"""Expressions that PostgreSQL and SQLite spell differently, with the same answers from both.

SQLite keeps a moment as `2026-11-20 12:34:56.789012`: its hour is the text's beginning, and what
lies behind the second is the text's end.
"""

from typing import Any

from sqlalchemy import BigInteger, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from policy_service.adapters.sql.columns import UtcDateTime


class BucketNumber(FunctionElement[int]):
    """Which bucket a moment lies in, counted from 1970: `BucketNumber(moment, seconds)`.

    Bucket `b` holds what came after `b - 1` times the seconds, up to and with `b` times.
    """

    name = "bucket_number"
    type = BigInteger()
    inherit_cache = True


class FullHour(FunctionElement[Any]):
    """The full hour that a moment lies in: `FullHour(moment)`."""

    name = "full_hour"
    type = UtcDateTime()
    inherit_cache = True


class FullDay(FunctionElement[Any]):
    """The first moment of the day in UTC that a moment lies in: `FullDay(moment)`."""

    name = "full_day"
    type = UtcDateTime()
    inherit_cache = True


class MonthName(FunctionElement[str]):
    """The month in UTC that a moment lies in, written `2026-11`: `MonthName(moment)`."""

    name = "month_name"
    type = Text()
    inherit_cache = True


class Microseconds(FunctionElement[int]):
    """Milliseconds as whole microseconds, half to even as Python's `round`: `Microseconds(ms)`."""

    name = "microseconds"
    type = BigInteger()
    inherit_cache = True


@compiles(BucketNumber, "postgresql")
def _bucket_in_postgres(element: BucketNumber, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    moment, seconds = (compiler.process(one, **options) for one in element.clauses)
    return f"CAST(ceil(extract(epoch FROM {moment}) / {seconds}) AS BIGINT)"


@compiles(BucketNumber, "sqlite")
def _bucket_in_sqlite(element: BucketNumber, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    moment, seconds = (compiler.process(one, **options) for one in element.clauses)
    # Without its fraction, which strftime() would round to whole milliseconds.
    second = f"CAST(strftime('%s', substr({moment}, 1, 19)) AS INTEGER)"
    started_s = f"({second} + (substr({moment}, 21) > '000000'))"
    return f"(({started_s} + {seconds} - 1) / {seconds})"


@compiles(FullHour, "postgresql")
def _hour_in_postgres(element: FullHour, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"date_trunc('hour', {compiler.process(element.clauses, **options)}, 'UTC')"


@compiles(FullHour, "sqlite")
def _hour_in_sqlite(element: FullHour, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    moment = compiler.process(element.clauses, **options)
    return f"(substr({moment}, 1, 13) || ':00:00.000000')"


@compiles(FullDay, "postgresql")
def _day_in_postgres(element: FullDay, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"date_trunc('day', {compiler.process(element.clauses, **options)}, 'UTC')"


@compiles(FullDay, "sqlite")
def _day_in_sqlite(element: FullDay, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    moment = compiler.process(element.clauses, **options)
    return f"(substr({moment}, 1, 10) || ' 00:00:00.000000')"


@compiles(Microseconds, "postgresql")
def _microseconds_in_postgres(
    element: Microseconds,
    compiler: SQLCompiler,
    **options: Any,  # noqa: ANN401
) -> str:
    # Of a double, so half to even: https://www.postgresql.org/docs/15/functions-math.html
    # (checked 2026-11-21).
    return f"CAST(round({compiler.process(element.clauses, **options)} * 1000) AS BIGINT)"


@compiles(Microseconds, "sqlite")
def _microseconds_in_sqlite(
    element: Microseconds,
    compiler: SQLCompiler,
    **options: Any,  # noqa: ANN401
) -> str:
    exact = f"({compiler.process(element.clauses, **options)} * 1000)"
    whole = f"CAST({exact} AS INTEGER)"
    # SQLite's own round() goes half away from zero.
    return (
        f"({whole} + CASE WHEN {exact} - {whole} > 0.5 THEN 1 "
        f"WHEN {exact} - {whole} = 0.5 THEN {whole} % 2 ELSE 0 END)"
    )


@compiles(MonthName, "postgresql")
def _month_in_postgres(element: MonthName, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    moment = compiler.process(element.clauses, **options)
    return f"to_char({moment} AT TIME ZONE 'UTC', 'YYYY-MM')"


@compiles(MonthName, "sqlite")
def _month_in_sqlite(element: MonthName, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"substr({compiler.process(element.clauses, **options)}, 1, 7)"
