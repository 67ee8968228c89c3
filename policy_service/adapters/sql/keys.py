"""API keys in the database: issued, rotated, revoked, listed; each change is audited."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Measure
from llm_core.policy.roles import PLATFORM, Actor
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.key_changes import BY_US, audit_key, issue_in, path_of, revoke_in
from policy_service.adapters.sql.key_rows import (
    earlier,
    is_within,
    one_key,
    record_of,
    rotated,
    select_keys,
)
from policy_service.adapters.sql.tables import (
    ApiKey,
    Base,
)
from policy_service.keys import digest_of, new_key, prefix_of
from policy_service.ports.clock import Clock
from policy_service.ports.keys import EVERYTHING, LONGEST_OVERLAP, IssuedKey, KeyRecord, Scopes
from policy_service.ports.organisation import Check, Holder, OrganisationError

_KEYS = Base.metadata.tables["api_keys"]
_AT_ONCE = 5000


class ApiKeys:
    """Implements `ports.keys.Keys` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine
        self._clock = clock

    async def issue_key(
        self,
        name: str,
        holder: Holder,
        *,
        scopes: Scopes = EVERYTHING,
        expires_at: datetime | None = None,
        limits: Mapping[Measure, Decimal] = MappingProxyType({}),
        actor: Actor = BY_US,
    ) -> IssuedKey:
        """Make a key, with limits of its own."""
        async with writing(self._engine) as connection:
            return await issue_in(
                connection,
                actor,
                self._clock(),
                name,
                holder,
                scopes=scopes,
                expires_at=expires_at,
                limits=limits,
            )

    async def rotate_key(
        self,
        key_id: str,
        *,
        overlap: timedelta,
        expires_at: datetime | None = None,
        actor: Actor = BY_US,
        check: Check[KeyRecord] | None = None,
    ) -> IssuedKey:
        """Give a key a new text; the one that it had is good for a while yet."""
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise OrganisationError(f"the overlap is at most {LONGEST_OVERLAP.days} days")
        now = self._clock()
        async with writing(self._engine) as connection:
            # Two that rotate one key at once: the second sees what the first has done.
            old = await one_key(connection, _locked(key_id))
            if check is not None:
                check(old)
            if old is None or not old.is_live(now):
                raise OrganisationError(f"there is no live key {key_id!r}")
            text = new_key()
            new = rotated(old, prefix_of(text), now, overlap, expires_at)
            await connection.execute(
                update(_KEYS)
                .where(_KEYS.c.id == old.id)
                .values(
                    digest=digest_of(text),
                    prefix=new.prefix,
                    expires_at=new.expires_at,
                    rotated_at=now,
                    former_digest=_KEYS.c.digest,
                    former_prefix=new.former_prefix,
                    former_until=new.former_until,
                )
            )
            await audit_key(connection, actor, "key.rotate", old, new.shown(), at=now)
        is_older_good = old.former_until is not None and old.former_until > now
        return IssuedKey(text, new, old.former_prefix if is_older_good else None)

    async def revoke_key(
        self, key_id: str, *, actor: Actor = BY_US, check: Check[KeyRecord] | None = None
    ) -> bool:
        """Close a key for good; false when there is no such key, or it is closed already."""
        async with writing(self._engine) as connection:
            if check is not None:
                check(await one_key(connection, _locked(key_id)))
            return await revoke_in(connection, actor, self._clock(), key_id)

    async def list_keys(
        self,
        *,
        team: str | None = None,
        within: Collection[str] | None = None,
        after: str | None = None,
        most: int | None = None,
    ) -> tuple[KeyRecord, ...]:
        """Keys in the order of issue."""
        statement = select_keys().order_by(ApiKey.id)
        if team is not None:
            statement = statement.where(ApiKey.team_id == team)
        if within is not None and PLATFORM not in within:
            statement = statement.where(is_within(within))
        if after is not None:
            statement = statement.where(ApiKey.id > after)
        if most is not None:
            statement = statement.limit(most)
        async with reading(self._engine) as connection:
            return tuple(record_of(row) for row in await connection.execute(statement))

    async def find(self, key_id: str) -> KeyRecord | None:
        """A key by its id."""
        async with reading(self._engine) as connection:
            return await one_key(connection, select_keys().where(ApiKey.id == key_id))

    async def find_by_text(self, text: str) -> KeyRecord | None:
        """A key by itself; by the text that it had before, with the prefix and the end of that."""
        digest = digest_of(text)
        async with reading(self._engine) as connection:
            found = await one_key(connection, select_keys().where(ApiKey.digest == digest))
            if found is not None:
                return found
            former = await one_key(connection, select_keys().where(ApiKey.former_digest == digest))
        if former is None:
            return None
        return replace(
            former,
            prefix=former.former_prefix or former.prefix,
            expires_at=earlier(former.former_until, former.expires_at),
        )

    async def path_of(self, holder: Holder) -> tuple[str, ...]:
        """The nodes that a holder stands below."""
        async with reading(self._engine) as connection:
            return await path_of(connection, holder)

    async def note_used(self, key_ids: Collection[str], at: datetime) -> None:
        """Say that these keys were used."""
        ids = sorted(key_ids)
        async with writing(self._engine) as connection:
            for start in range(0, len(ids), _AT_ONCE):
                # Locked in one order, and those that another process is at are left to it: two
                # processes that note the same keys must not wait for each other.
                free = (
                    select(ApiKey.id)
                    .where(ApiKey.id.in_(ids[start : start + _AT_ONCE]))
                    .order_by(ApiKey.id)
                    .with_for_update(skip_locked=True)
                )
                await connection.execute(
                    update(_KEYS).where(_KEYS.c.id.in_(free)).values(last_used_at=at)
                )


def _locked(key_id: str) -> Select[Any]:
    """One key, to be changed in the same transaction."""
    return select_keys().where(ApiKey.id == key_id).with_for_update(of=_KEYS)
