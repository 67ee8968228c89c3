"""Policies in the database: bundles, what was live when, shadows; changes are audited with it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Table,
    delete,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.roles import Actor
from policy_service.adapters.sql.audit import record
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.organisation.changing import queue
from policy_service.adapters.sql.tables import Base
from policy_service.adapters.sql.visible_nodes import at_or_below
from policy_service.adapters.sql.within import within
from policy_service.ports.clock import Clock
from policy_service.ports.organisation import Check
from policy_service.ports.policies import (
    ActivationAction,
    ActivationRecord,
    BundleRecord,
    PolicyRefused,
    ShadowCount,
    ShadowDifference,
    ShadowReport,
    Standing,
)

_TABLES = Base.metadata.tables
_BUNDLES, _ACTIVATIONS = _TABLES["policy_bundles"], _TABLES["policy_activations"]
_SHADOWS, _COUNTS = _TABLES["policy_shadows"], _TABLES["policy_shadow_counts"]
_DIFFERENCES, _ORGANISATIONS = _TABLES["policy_differences"], _TABLES["organisations"]
_RECORD = tuple(field.name for field in fields(BundleRecord))
_SUMS = ("evaluated", "differing", "failed", "dropped")
_FEWEST_DIGITS = 8
MOST_DIFFERENCES = 500


class SqlPolicies:
    """Implements `ports.PolicyStore` on PostgreSQL and SQLite, and keeps what a desk decides."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine
        self._clock = clock

    async def standing(self) -> Standing:
        """What is live and what is shadow."""
        async with reading(self._engine) as connection:
            return await _standing(connection)

    async def tarball(self, digest: str) -> bytes:
        """The signed bundle, as it was uploaded."""
        query = select(_BUNDLES.c.tarball).where(_BUNDLES.c.digest == digest)
        async with reading(self._engine) as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        if found is None:
            raise PolicyRefused(f"there is no bundle {digest}")
        return bytes(found)

    async def keep(self, actor: Actor, bundle: BundleRecord, tarball: bytes) -> BundleRecord:
        """Keep a bundle; one that is there already stays as it is."""
        async with writing(self._engine) as connection:
            statement = insert_into(connection, _BUNDLES).values(**asdict(bundle), tarball=tarball)
            kept = statement.on_conflict_do_nothing().returning(_BUNDLES.c.digest)
            if (await connection.execute(kept)).first() is None:
                return await _found(connection, bundle.digest)
            after = {
                "revision": bundle.revision,
                "key_id": bundle.key_id,
                "tests": bundle.tests,
            }
            await record(connection, actor, "policy.upload", _subject(bundle.digest), None, after)
        return bundle

    async def activate(
        self, actor: Actor, digest: str, reason: str, *, check: Check[Standing] | None = None
    ) -> ActivationRecord:
        """Make a bundle live; as a shadow it is none any more."""
        async with writing(self._engine) as connection:
            await _settled(connection, check)
            history = await _history(connection)
            if history and history[-1].digest == digest:
                raise PolicyRefused("this bundle is live already")
            bundle = await _found(connection, digest)
            return await self._change(connection, actor, ActivationAction.ACTIVATE, bundle, reason)

    async def rollback(
        self,
        actor: Actor,
        reason: str,
        to: str | None,
        *,
        check: Check[Standing] | None = None,
    ) -> ActivationRecord:
        """Make live again what was so before; `to` is what `before_live` said that is.

        Raises:
            PolicyRefused: Somebody has changed what is live meanwhile.
        """
        async with writing(self._engine) as connection:
            await _settled(connection, check)
            if _before_live(await _history(connection)) != to:
                raise PolicyRefused("what is live was changed at this moment; look again")
            bundle = None if to is None else await _found(connection, to)
            return await self._change(connection, actor, ActivationAction.ROLLBACK, bundle, reason)

    async def before_live(self) -> str | None:
        """What was live before the live one; `None` for the service's own folder.

        Raises:
            PolicyRefused: Nothing was activated.
        """
        async with reading(self._engine) as connection:
            return _before_live(await _history(connection))

    async def shadow(
        self, actor: Actor, digest: str | None, *, check: Check[Standing] | None = None
    ) -> None:
        """Evaluate a bundle beside the live one from now on, or none."""
        async with writing(self._engine) as connection:
            before = (await _settled(connection, check)).shadow
            if digest is None and before is None:
                raise PolicyRefused("there is no shadow")
            await self._shadow(connection, actor, before, digest)

    async def bundles(self) -> tuple[BundleRecord, ...]:
        """What was uploaded, the newest first."""
        query = _records().order_by(_BUNDLES.c.uploaded_at.desc(), _BUNDLES.c.digest)
        async with reading(self._engine) as connection:
            return tuple(_bundle(row) for row in await connection.execute(query))

    async def find(self, name: str) -> BundleRecord:
        """One bundle, by digest, its beginning, or revision."""
        async with reading(self._engine) as connection:
            return await _found(connection, name)

    async def history(self) -> tuple[ActivationRecord, ...]:
        """What was live, the newest first."""
        async with reading(self._engine) as connection:
            return tuple(reversed(await _history(connection)))

    async def count_shadow(
        self,
        run: int,
        counts: Sequence[ShadowCount],
        differences: Sequence[ShadowDifference],
    ) -> None:
        """Add to what a shadow came to, and keep the newest differences."""
        async with writing(self._engine) as connection:
            for one in counts:
                statement = insert_into(connection, _COUNTS).values(shadow=run, **asdict(one))
                sums = {name: _COUNTS.c[name] + statement.excluded[name] for name in _SUMS}
                keys = ["shadow", "hour", "organisation", "team"]
                await connection.execute(
                    statement.on_conflict_do_update(index_elements=keys, set_=sums)
                )
            if not differences:
                return
            rows = [{"shadow": run, **_row(one)} for one in differences]
            await connection.execute(insert(_DIFFERENCES), rows)
            newest = select(_DIFFERENCES.c.id).where(_DIFFERENCES.c.shadow == run)
            newest = newest.order_by(_DIFFERENCES.c.id.desc()).limit(MOST_DIFFERENCES)
            await connection.execute(
                delete(_DIFFERENCES).where(
                    _DIFFERENCES.c.shadow == run, _DIFFERENCES.c.id.not_in(newest)
                )
            )

    async def shadow_report(self, nodes: frozenset[str] | None = None) -> ShadowReport:
        """What the shadow came to; of teams at or below these nodes, or of all."""
        async with reading(self._engine) as connection:
            standing = await _standing(connection)
            if standing.shadow is None:
                return ShadowReport(None, None, (), ())
            bundle = await _found(connection, standing.shadow)
            run = standing.shadow_run
            since = select(_SHADOWS.c.at).where(_SHADOWS.c.seq == run)
            counts = select(_COUNTS).where(_COUNTS.c.shadow == run)
            found = select(_DIFFERENCES).where(_DIFFERENCES.c.shadow == run)
            if nodes is not None:
                counts = counts.where(_seen(nodes, _COUNTS))
                found = found.where(_seen(nodes, _DIFFERENCES))
            counts = counts.order_by(_COUNTS.c.hour.desc(), _COUNTS.c.team)
            found = found.order_by(_DIFFERENCES.c.id.desc())
            return ShadowReport(
                bundle=bundle,
                since=(await connection.execute(since)).scalar_one(),
                counts=tuple(_read(ShadowCount, row) for row in await connection.execute(counts)),
                differences=tuple(
                    _read(ShadowDifference, row, kinds=tuple(row.kinds))
                    for row in await connection.execute(found)
                ),
            )

    async def organisations(self) -> frozenset[str]:
        """Every organisation's id."""
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(select(_ORGANISATIONS.c.id))).scalars())

    async def _shadow(
        self, connection: AsyncConnection, actor: Actor, before: str | None, digest: str | None
    ) -> None:
        row = {"digest": digest, "actor": actor.name, "at": self._clock()}
        await connection.execute(insert(_SHADOWS).values(row))
        subject = _subject(digest or before or "")
        told = None if before is None else {"shadow": before}
        after = None if digest is None else {"shadow": digest}
        await record(connection, actor, "policy.shadow", subject, told, after)

    async def _change(
        self,
        connection: AsyncConnection,
        actor: Actor,
        action: ActivationAction,
        bundle: BundleRecord | None,
        reason: str,
    ) -> ActivationRecord:
        standing = await _standing(connection)
        before = standing.live
        if bundle is not None and bundle.digest == standing.shadow:
            # It could only agree with itself.
            await self._shadow(connection, actor, standing.shadow, None)
        made = ActivationRecord(
            action=action,
            digest=None if bundle is None else bundle.digest,
            revision=None if bundle is None else bundle.revision,
            reason=reason,
            actor=actor.name,
            at=self._clock(),
        )
        row = {name: value for name, value in asdict(made).items() if name != "revision"}
        await connection.execute(insert(_ACTIVATIONS).values({**row, "action": action.value}))
        await record(
            connection,
            actor,
            f"policy.{action.value}",
            _subject(made.digest or "folder"),
            {"live": before or "folder"},
            {"live": made.digest or "folder", "revision": made.revision, "reason": reason},
        )
        return made


def _before_live(history: Sequence[ActivationRecord]) -> str | None:
    """An activation adds to what was live, a rollback takes the newest away again."""
    live: list[str | None] = [None]
    for one in history:
        if one.action is ActivationAction.ACTIVATE:
            live.append(one.digest)
        else:
            live.pop()
    if len(live) == 1:
        raise PolicyRefused("no bundle is live, so there is nothing to roll back")
    return live[-2]


def _seen(nodes: frozenset[str], told: Table) -> ColumnElement[bool]:
    """Rows of an organisation that is one of these, or of a team at or below one of them."""
    of_whole = within(nodes, {"organisation": told.c.organisation})
    return or_(of_whole, at_or_below(nodes, literal("team:") + told.c.team))


async def _settled(connection: AsyncConnection, check: Check[Standing] | None) -> Standing:
    """What stands now, and stays so until this transaction ends; looked at by `check`."""
    await queue(connection)
    standing = await _standing(connection)
    if check is not None:
        check(standing)
    return standing


async def _standing(connection: AsyncConnection) -> Standing:
    live = (
        select(_ACTIVATIONS.c.seq, _ACTIVATIONS.c.digest)
        .order_by(_ACTIVATIONS.c.seq.desc())
        .limit(1)
    )
    shadow = select(_SHADOWS.c.seq, _SHADOWS.c.digest).order_by(_SHADOWS.c.seq.desc()).limit(1)
    activated = (await connection.execute(live)).first()
    row = (await connection.execute(shadow)).first()
    return Standing(
        live=activated.digest if activated else None,
        shadow=row.digest if row else None,
        shadow_run=row.seq if row else 0,
        live_run=activated.seq if activated else 0,
    )


async def _history(connection: AsyncConnection) -> list[ActivationRecord]:
    query = (
        select(_ACTIVATIONS, _BUNDLES.c.revision)
        .join_from(_ACTIVATIONS, _BUNDLES, isouter=True)
        .order_by(_ACTIVATIONS.c.seq)
    )
    return [
        _read(ActivationRecord, row, action=ActivationAction(row.action))
        for row in await connection.execute(query)
    ]


async def _found(connection: AsyncConnection, name: str) -> BundleRecord:
    """By digest, revision, the revision as compliance gave it, or the digest's beginning."""
    digest, revision = _BUNDLES.c.digest, _BUNDLES.c.revision
    ways = [(digest == name) | (revision == name), revision.startswith(f"{name}+", autoescape=True)]
    if re.fullmatch(rf"[0-9a-f]{{{_FEWEST_DIGITS},64}}", name):
        ways.append(digest.startswith(name, autoescape=True))
    for way in ways:
        found = (await connection.execute(_records().where(way))).all()
        if len(found) == 1:
            return _bundle(found[0])
        if found:
            raise PolicyRefused(f"several bundles are called {name!r}; name one by its digest")
    raise PolicyRefused(f"there is no bundle called {name!r}; see `gatehouse policy list`")


def _records() -> Select[Any]:
    return select(*(_BUNDLES.c[name] for name in _RECORD))


def _bundle(row: Row[Any]) -> BundleRecord:
    return BundleRecord(**{name: getattr(row, name) for name in _RECORD})


def _read(kind: Any, row: Row[Any], **others: object) -> Any:  # noqa: ANN401 - a record's class
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)} | others)


def _row(one: ShadowDifference) -> Mapping[str, Any]:
    return {**asdict(one), "kinds": list(one.kinds)}


def _subject(digest: str) -> str:
    return f"policy:{digest}"
