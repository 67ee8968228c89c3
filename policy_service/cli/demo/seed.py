"""Filling the demo's database."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from importlib.resources import as_file, files

from policy_service.adapters.price_list import PriceList, price_files
from policy_service.adapters.sql import schema
from policy_service.adapters.sql.company import read_company, seed_company
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.bundled import bundled
from policy_service.cli.demo.history import month_of_usage, spent_up

_BATCH = 500


async def seed(database_url: str, spent_usd: Decimal, now: datetime) -> Mapping[str, str]:
    """Make the company, its keys, a month of usage, and one budget that is used up.

    Returns:
        The keys by name.
    """
    await schema.migrate(database_url)
    engine = open_engine(database_url)
    try:
        with as_file(files(__package__) / "company.yaml") as path:
            keys = await seed_company(engine, read_company(path))
        ledger = SqlLedger(engine)
        prices = PriceList(price_files(bundled("prices")))
        rows = [*month_of_usage(now, prices), spent_up("campaigns", "marketing", spent_usd, now)]
        for start in range(0, len(rows), _BATCH):
            await ledger.record(rows[start : start + _BATCH])
    finally:
        await engine.dispose()
    return keys
