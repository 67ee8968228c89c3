"""Seals the audit chains: signs checkpoints now and then, and when the service stops."""

import asyncio
import logging
from dataclasses import dataclass

from llm_core.errors import PolicyUnavailable
from policy_service.ports.audit import AuditChain, Signer
from policy_service.ports.clock import Clock
from policy_service.services.background import for_ever

_LOOK_S = 2.0
_FINISH_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Every process may seal; a chain that another has just sealed is left alone.

    Args:
        chain: The chains.
        signer: Has the key; without one nothing is sealed, which is said once.
        clock: Dates checkpoints.
        least: A chain that has grown by so many events is sealed,
        age_s: and one that has grown at all, when its last checkpoint is so old.
    """

    chain: AuditChain
    signer: Signer | None
    clock: Clock
    least: int
    age_s: float

    async def run(self) -> None:
        """Seal until cancelled; then `finish`."""
        if self.signer is None:
            _log.warning(
                "the audit chain is not sealed: POLICY_AUDIT_KEY_FILE names no key. Whoever can "
                "write to the database can then rewrite it unseen"
            )
            return
        await for_ever("sealing the audit chain", self._seal_and_wait)

    async def finish(self) -> None:
        """Seal what was written last."""
        try:
            async with asyncio.timeout(_FINISH_S):
                await self._seal(1, 0)
        except (PolicyUnavailable, TimeoutError) as outage:
            _log.warning("the end of the audit chain is not sealed: %s", outage or "no time")

    async def _seal_and_wait(self) -> None:
        await self._seal(self.least, self.age_s)
        await asyncio.sleep(min(_LOOK_S, self.age_s))

    async def _seal(self, least: int, age_s: float) -> None:
        if self.signer is not None:
            await self.chain.seal(self.signer, self.clock(), least=least, age_s=age_s)
