"""Limits, and what raises them for a while."""

from datetime import datetime
from decimal import Decimal

from llm_core.policy.limits import Limit, Measure
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.key_changes import BY_US
from policy_service.adapters.sql.organisation import raises
from policy_service.adapters.sql.organisation.base import Store, current, owner_if_any
from policy_service.adapters.sql.organisation.changing import queue
from policy_service.adapters.sql.organisation.checks import require_limit
from policy_service.adapters.sql.organisation.every_limit import every_limit
from policy_service.adapters.sql.organisation.parts import amount_text, limit_subject
from policy_service.ports.organisation import PartCheck, RaiseRecord


class Limiting(Store):
    """Reads and changes limits."""

    async def put_limit(
        self, limit: Limit, actor: Actor = BY_US, *, check: PartCheck = None
    ) -> None:
        """Set a limit, or change it; its raises, models and time zone are not looked at.

        Raises:
            OrganisationError: The node is of no known kind or does not exist (users and
                applications need not: keys speak of them by name), the group of models does not
                exist, or the amount is negative, finer than six decimals, or a trillion and more.
        """
        async with writing(self.engine) as connection:
            await queue(connection)
            organisation = await require_limit(connection, limit)
            record = {
                "node": limit.node,
                "scope": limit.scope,
                "measure": limit.measure.value,
                "amount": amount_text(limit.amount),
                "interactive_share": amount_text(limit.interactive_share),
            }
            subject = limit_subject(limit.node, limit.scope, limit.measure)
            before = await current(connection, subject, record)
            if check is not None:
                check(before)
            await self.change(
                connection, organisation, subject, before=before, after=record, actor=actor
            )

    async def remove_limit(
        self,
        node: str,
        measure: Measure,
        scope: str = "",
        actor: Actor = BY_US,
        *,
        check: PartCheck = None,
    ) -> bool:
        """Lift a limit, and what raises it; false when there was none."""
        key = {"node": node, "scope": scope, "measure": measure.value}
        subject = limit_subject(node, scope, measure)
        async with writing(self.engine) as connection:
            await queue(connection)
            before = await current(connection, subject, key)
            if check is not None:
                check(before)
            organisation = None if before is None else await owner_if_any(connection, node)
            return bool(
                await self.change(
                    connection, organisation, subject, before=before, after=None, actor=actor
                )
            )

    async def limits(self) -> tuple[Limit, ...]:
        """Every limit, by node, scope and measure, complete with models, time zone and raises."""
        async with reading(self.engine) as connection:
            return await every_limit(connection, self.clock())

    async def raise_limit(
        self,
        node: str,
        scope: str,
        measure: Measure,
        amount: Decimal,
        *,
        until: datetime,
        author: Actor,
        reason: str,
    ) -> RaiseRecord:
        """Give more than a limit's amount, from now on until then; see `raises.add_raise`."""
        wanted = RaiseRecord(
            id="",
            node=node,
            scope=scope,
            measure=measure,
            amount=amount,
            starts_at=self.clock(),
            until=until,
            author=author.name,
            reason=reason,
        )
        async with writing(self.engine) as connection:
            await queue(connection)
            return await raises.add_raise(connection, wanted, author)

    async def withdraw_raise(self, raise_id: str, actor: Actor = BY_US) -> bool:
        """End a raise now; false when there is none, or it is over."""
        async with writing(self.engine) as connection:
            return await raises.withdraw(connection, raise_id, actor, self.clock())

    async def raises(
        self, node: str | None = None, *, with_past: bool = False
    ) -> tuple[RaiseRecord, ...]:
        """Raises that hold or will, by their beginning; with the past ones too if asked for."""
        async with reading(self.engine) as connection:
            since = None if with_past else self.clock()
            return await raises.read_raises(connection, node=node, since=since)

    async def find_raise(self, raise_id: str) -> RaiseRecord | None:
        """One raise, whether it still holds or not."""
        async with reading(self.engine) as connection:
            found = await raises.read_raises(connection, raise_id=raise_id)
        return found[0] if found else None
