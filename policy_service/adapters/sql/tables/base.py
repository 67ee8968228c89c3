"""What every table shares: the metadata, constraint names, and the columns' usual types."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import JSON, BigInteger, Double, MetaData, String
from sqlalchemy.orm import DeclarativeBase

from policy_service.adapters.sql.columns import ExactDecimal, UtcDateTime

ID = String(120)
NAME = String(200)
WORD = String(40)
NODE = String(160)
USD = ExactDecimal(24, 12)
AMOUNT = ExactDecimal(20, 6)


class Base(DeclarativeBase):
    """All tables, with constraint names that migrations can refer to on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        datetime: UtcDateTime(),
        list[str]: JSON(none_as_null=True),
        float: Double(),
        int: BigInteger(),
    }
