"""Exports of the audit chain: JSON Lines, the header first."""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime

import msgspec

from llm_core.audit.event import Header, rfc3339
from policy_service.ports.audit import AuditChain

_encoder = msgspec.json.Encoder()


async def exported(
    chain: AuditChain,
    now: datetime,
    chains: Collection[str] | None = None,
    since: datetime | None = None,
) -> AsyncIterator[tuple[int, bytes]]:
    """The export, in pieces of whole lines.

    Args:
        chain: Where from.
        now: When it is made.
        chains: Only these; `None` for all.
        since: Of each chain, only what follows its first event from then on.

    Yields:
        How many lines there are in the piece, and the piece.

    Raises:
        PolicyUnavailable: The database failed; what came is not the whole.
    """
    async for part in chain.export(chains, since):
        lines = [Header(at=rfc3339(now), chains=dict(part))] if isinstance(part, Mapping) else part
        yield len(lines), _encoder.encode_lines(lines)
