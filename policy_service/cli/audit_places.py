"""The audit chains at a policy service, and at its database: the same questions and answers.

An event is a `dict` as a row of `GET /admin/v1/audit/chain`. What cannot be ends the command.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from policy_service.cli.asking import asking
from policy_service.cli.database import with_database
from policy_service.cli.failures import errors, needs
from policy_service.cli.places import Place
from policy_service.cli.server import AdminApi

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from policy_service.adapters.sql.audit_chain import SqlAuditChain

T = TypeVar("T")
Event = dict[str, Any]
_PATH = "/admin/v1/audit"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events; `None` is all of them.

    Args:
        kind: `key.` stands for all that begin so.
    """

    chain: str | None = None
    kind: str | None = None
    actor: str | None = None
    subject: str | None = None
    since: datetime | None = None


class AuditPlace(Protocol):
    """Where the chains are."""

    def listed(self, wanted: Wanted, most: int) -> list[Event]:
        """The newest of each chain first."""

    def event(self, chain: str, seq: int) -> Event | None:
        """One."""

    def export(self, file: Path, wanted: Wanted) -> int:
        """Write JSON Lines to a file, and say how many; raises `OSError`."""


@contextmanager
def audit_at(place: Place) -> Iterator[AuditPlace]:
    """The chains there."""
    if place.server is None:
        yield _AuditAtDatabase(place.database_url)
        return
    with asking(place.server, place.token) as api:
        yield _AuditAtService(api)


@dataclass(frozen=True, slots=True)
class _AuditAtService:
    api: AdminApi

    def listed(self, wanted: Wanted, most: int) -> list[Event]:
        query = _query(wanted) | {"limit": str(most)}
        found: list[Event] = self.api.ask("GET", f"{_PATH}/chain", query=query)["rows"]
        return found

    def event(self, chain: str, seq: int) -> Event | None:
        query = {"chain": chain, "before_seq": str(seq + 1), "limit": "1"}
        return _that(self.api.ask("GET", f"{_PATH}/chain", query=dict(query))["rows"], seq)

    def export(self, file: Path, wanted: Wanted) -> int:
        count = 0
        with file.open("wb") as out, errors.status("Exporting") as status:
            for piece in self.api.pieces(f"{_PATH}/export", query=_query(wanted)):
                out.write(piece)
                count += piece.count(b"\n")
                status.update(f"Exporting: {count:,} lines")
        return count


@dataclass(frozen=True, slots=True)
class _AuditAtDatabase:
    url: str

    def listed(self, wanted: Wanted, most: int) -> list[Event]:
        return self._with(lambda chains: _rows(chains, wanted, limit=most))

    def event(self, chain: str, seq: int) -> Event | None:
        wanted = Wanted(chain)
        found = self._with(lambda chains: _rows(chains, wanted, limit=1, before_seq=seq + 1))
        return _that(found, seq)

    def export(self, file: Path, wanted: Wanted) -> int:
        async def work(chains: "SqlAuditChain") -> int:
            from policy_service.services.audit_export import exported

            now = datetime.now(UTC)
            named = None if wanted.chain is None else [wanted.chain]
            while await chains.append(()):
                pass
            count = 0
            with file.open("wb") as out, errors.status("Exporting") as status:
                async for lines, piece in exported(chains, now, named, wanted.since):
                    await asyncio.to_thread(out.write, piece)
                    count += lines
                    status.update(f"Exporting: {count:,} lines")
            return count

        return self._with(work)

    def _with(self, work: "Callable[[SqlAuditChain], Awaitable[T]]") -> T:
        with needs("service"):
            from policy_service.adapters.sql.audit_chain import SqlAuditChain

        async def run(engine: "AsyncEngine") -> T:
            return await work(SqlAuditChain(engine, lambda: datetime.now(UTC)))

        return with_database(self.url, run)


async def _rows(
    chains: "SqlAuditChain", wanted: Wanted, *, limit: int, before_seq: int | None = None
) -> list[Event]:
    from policy_service.ports.audit import AuditFilter

    named = None if wanted.chain is None else [wanted.chain]
    found = await chains.rows(
        AuditFilter(named, wanted.kind, wanted.actor, wanted.subject, wanted.since),
        before_seq=before_seq,
        limit=limit,
    )
    rows: list[Event] = msgspec.json.decode(msgspec.json.encode([asdict(one) for one in found]))
    return rows


def _that(rows: list[Event], seq: int) -> Event | None:
    """The newest before the next one, if it is the one that was meant."""
    return rows[0] if rows and rows[0]["seq"] == seq else None


def _query(wanted: Wanted) -> dict[str, str | list[str]]:
    said = {
        "chain": wanted.chain,
        "kind": wanted.kind,
        "by": wanted.actor,
        "subject": wanted.subject,
        "since": None if wanted.since is None else wanted.since.isoformat(),
    }
    return {name: value for name, value in said.items() if value is not None}
