"""Column types that mean the same on PostgreSQL and on SQLite: exact decimals, and UTC."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from sqlalchemy import BigInteger, DateTime, Dialect, Numeric
from sqlalchemy.types import TypeDecorator, TypeEngine

_LARGEST_SQLITE_INTEGER = 2**63 - 1


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal with a fixed number of places that no database turns into a float.

    PostgreSQL keeps it as `NUMERIC`. SQLite has no decimals, so there it is a whole number of the
    smallest unit: sums stay exact, and one that passes 64 bits (9.2 million USD at twelve places)
    fails loudly instead of becoming a float.

    Args:
        precision: Digits in all.
        scale: Digits after the point. What is stored is rounded to them, half to even.
    """

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[int] | TypeEngine[Decimal]:
        """Choose the column for a database."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(self.precision, self.scale))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | int | None:
        """Give the database what it can keep exactly."""
        if value is None:
            return None
        exact = value.quantize(Decimal(1).scaleb(-self.scale), rounding=ROUND_HALF_EVEN)
        if dialect.name != "sqlite":
            return exact
        units = int(exact.scaleb(self.scale))
        if abs(units) > _LARGEST_SQLITE_INTEGER:
            raise OverflowError(f"{exact} does not fit into a SQLite database; use PostgreSQL")
        return units

    def process_result_value(self, value: Decimal | int | None, dialect: Dialect) -> Decimal | None:
        """Make a decimal again."""
        if value is None:
            return None
        if isinstance(value, float):
            # SQLite turns a sum of integers that passes 64 bits into a float.
            raise OverflowError("a sum does not fit into a SQLite database; use PostgreSQL")
        if isinstance(value, int):
            value = Decimal(value).scaleb(-self.scale)
        # Nothing is written as 0, and not as 0E-12.
        return value or Decimal(0)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment; always UTC-aware on both sides, refused when it is not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC. SQLite keeps no zone, so it gets none."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say that it is UTC, whatever the session's zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
