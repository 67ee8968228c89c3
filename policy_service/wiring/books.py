"""What brings every booked call to the ledger, and looks after the ledger."""

from contextlib import AsyncExitStack

from policy_service.ports.content import ContentStore
from policy_service.ports.ledger import Ledger
from policy_service.ports.upkeep import Upkeep
from policy_service.services.keeper import Keeper
from policy_service.services.ledger_writer import LedgerWriter, Sweeper
from policy_service.services.retention import Retention
from policy_service.services.settle import Settler
from policy_service.settings import Settings
from policy_service.wiring.background import in_background


async def keep_books(
    stack: AsyncExitStack,
    settings: Settings,
    settler: Settler,
    ledger: Ledger,
    *,
    upkeep: Upkeep,
    content: ContentStore,
) -> None:
    """Write rows, end leases, drop what is too old, and see to what the store may lose."""
    writer = LedgerWriter(settler.limits, ledger)
    stack.push_async_callback(writer.finish)
    await in_background(stack, writer.run())
    await in_background(stack, Sweeper(settler, settings.sweep_interval_s).run())
    retention = Retention(
        upkeep,
        settler.clock,
        settings.usage_kept_months,
        content,
        settings.content_kept_days,
    )
    await in_background(stack, retention.run())
    keeper = Keeper(settler, ledger)
    stack.push_async_callback(keeper.finish)
    await in_background(stack, keeper.run())
