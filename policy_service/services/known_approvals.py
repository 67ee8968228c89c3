"""What this process remembers of approvals, so that no call waits for the database.

Read anew when the audit log tells of a change, and now and then in case it could not. A grant
ends here by the clock. While the database is away what is known goes on until it ends; what is not
known does not hold.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from llm_core.policy.approvals import ApprovalGrant, holders, in_order
from llm_core.policy.caller import Caller
from policy_service.ports.approvals import Approvals, OpenRequest
from policy_service.services.background import for_ever
from policy_service.services.changes import Changes, Listener

READ_AGAIN_S = 30.0
"""Only for what the audit log could not tell; reading thousands of grants takes a while."""


class _Held(Protocol):
    @property
    def node(self) -> str: ...


T = TypeVar("T", bound=_Held)


@dataclass(slots=True)
class KnownApprovals:
    """Grants that hold, and requests that wait, by whom they are for."""

    store: Approvals
    changes: Changes
    _grants: Mapping[str, tuple[ApprovalGrant, ...]] = field(default_factory=dict)
    _open: Mapping[str, tuple[OpenRequest, ...]] = field(default_factory=dict)

    def of(self, caller: Caller, now: datetime) -> tuple[ApprovalGrant, ...]:
        """The grants that are good for a caller now, in the order in which calls rely on them."""
        if not self._grants:
            return ()
        found = (one for node in holders(caller) for one in self._grants.get(node, ()))
        return in_order(one for one in found if one.until > now)

    def waiting(self, caller: Caller, model: str) -> OpenRequest | None:
        """The oldest request that would help this caller, and waits for an answer."""
        found = (one for node in holders(caller) for one in self._open.get(node, ()))
        return min((one for one in found if model in one.models), key=_age, default=None)

    async def read(self) -> None:
        """Read what holds.

        Raises:
            PolicyUnavailable: The database failed; what was known stays.
        """
        standing = await self.store.standing()
        self._grants, self._open = _by_node(standing.grants), _by_node(standing.open)

    async def run(self) -> None:
        """Keep up until cancelled."""
        with self.changes.listening() as listener:
            await for_ever("reading approvals", lambda: self._read_and_wait(listener))

    async def _read_and_wait(self, listener: Listener) -> None:
        await self.read()
        if await listener.next(READ_AGAIN_S) is None:
            await asyncio.sleep(READ_AGAIN_S)  # the process is about to stop


def _by_node(found: Iterable[T]) -> Mapping[str, tuple[T, ...]]:
    by_node: dict[str, list[T]] = {}
    for one in found:
        by_node.setdefault(one.node, []).append(one)
    return {node: tuple(held) for node, held in by_node.items()}


def _age(request: OpenRequest) -> tuple[datetime, str]:
    return request.created_at, request.id
