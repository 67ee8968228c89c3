"""Audit chains that do not verify any more."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from llm_core.alerts.incident import Incident, IncidentKind, Severity, Trouble
from llm_core.alerts.rules import AuditCheck
from llm_core.audit.event import Checkpoint, Event, Header, Span, rfc3339
from llm_core.audit.findings import Fault, Finding
from llm_core.audit.verify import IsGenuine, Verifier
from policy_service.services.alerting.watch import Sight

_MOST_TOLD = 3
_CHAIN = "chain:"


class NewestEvents(Protocol):
    """The end of every audit chain. Raises `PolicyUnavailable` when it cannot be read."""

    def newest(
        self, most: int, back_to: Mapping[str, int]
    ) -> AsyncIterator[Mapping[str, Span] | Sequence[Event | Checkpoint]]:
        """As `AuditChain.export`, but only the newest events of each chain.

        Args:
            most: How many.
            back_to: From this event on, where that is earlier and not too far back, by chain.
        """
        ...


@dataclass(frozen=True, slots=True)
class AuditChainWatcher:
    """Verifies the newest part of each chain, and whatever was found broken before.

    Args:
        is_genuine: Checks a checkpoint's signature; `None` without a key.
    """

    chain: NewestEvents
    rule: AuditCheck
    is_genuine: IsGenuine | None = None
    kind: IncidentKind = IncidentKind.AUDIT_CHAIN

    @property
    def every(self) -> timedelta:
        """See `Watcher.every`."""
        return self.rule.every

    async def look(self, now: datetime, known: Mapping[str, Incident]) -> Sight:
        """See `Watcher.look`."""
        verifier = Verifier(self.is_genuine)
        broken = {
            subject.removeprefix(_CHAIN): max(int(one.facts["first_seq"]) - 1, 1)
            for subject, one in known.items()
        }
        spans: Mapping[str, Span] = {}
        async for part in self.chain.newest(self.rule.newest, broken):
            if isinstance(part, Mapping):
                spans = part
                verifier.header(Header(at=rfc3339(now), chains=dict(part)))
            else:
                # Hashing would hold up whoever waits for a decision.
                await asyncio.to_thread(_feed, verifier, part)
        found: dict[str, list[Finding]] = {}
        for one in verifier.finish():
            if one.fault is not Fault.UNSEALED:  # the newest events have no checkpoint yet
                found.setdefault(one.chain, []).append(one)
        unread = {
            f"{_CHAIN}{chain}"
            for chain, seq in broken.items()
            if chain not in spans or spans[chain].first > seq
        }
        troubles = tuple(_trouble(chain, some) for chain, some in sorted(found.items()))
        return Sight(troubles, keeps=frozenset(unread))


def _feed(verifier: Verifier, lines: Sequence[Event | Checkpoint]) -> None:
    for line in lines:
        if isinstance(line, Event):
            verifier.event(line)
        else:
            verifier.checkpoint(line)


def _trouble(chain: str, found: Sequence[Finding]) -> Trouble:
    organisation = chain.removeprefix("org:") if chain.startswith("org:") else None
    told = "; ".join(str(one) for one in found[:_MOST_TOLD])
    return Trouble(
        kind=IncidentKind.AUDIT_CHAIN,
        subject=f"{_CHAIN}{chain}",
        node=None if organisation is None else f"organisation:{organisation}",
        severity=Severity.CRITICAL,
        title=f"The audit chain {chain} does not verify",
        detail=f"{told}. `gatehouse audit verify` tells all of it.",
        facts={"chain": chain, "first_seq": min(one.seq for one in found), "findings": len(found)},
    )


def is_genuine_for(key_id: str, is_genuine: IsGenuine) -> IsGenuine:
    """Check what this key has signed; what an earlier key has signed is left to an auditor."""

    def checked(one: Checkpoint) -> bool:
        return one.key_id != key_id or is_genuine(one)

    return checked
