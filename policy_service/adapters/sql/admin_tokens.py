"""Admin tokens in the database: issued, found, revoked; every change is audited with it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.roles import Actor, Grant, Role
from policy_service.adapters.sql.audit import record
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.tables import AdminToken, Base
from policy_service.ids import new_id
from policy_service.keys import digest_of, new_key, prefix_of
from policy_service.ports.administrators import AdminTokenRecord, IssuedAdminToken
from policy_service.ports.clock import Clock
from policy_service.services.administrators import ADMIN_MARK

_TOKENS = Base.metadata.tables["admin_tokens"]
_LONGEST_NAME = 180
_LONGEST_TOKEN = 512
_ROLES = frozenset(role.value for role in Role)


class SqlAdminTokens:
    """Implements `ports.AdminTokens` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of; `clock` tells what has expired."""
        self._engine = engine
        self._clock = clock

    async def find(self, text: str) -> AdminTokenRecord | None:
        """The token of that text, revoked and expired ones too."""
        if len(text) > _LONGEST_TOKEN:
            return None
        async with reading(self._engine) as connection:
            statement = _tokens().where(AdminToken.digest == digest_of(text))
            row = (await connection.execute(statement)).first()
            return None if row is None else _record(row)

    async def issue(
        self, actor: Actor, name: str, grants: Sequence[Grant], expires_at: datetime | None
    ) -> IssuedAdminToken:
        """Make a token.

        Raises:
            ValueError: The name is empty, too long, or that of a live token; there is no grant; or
                the moment is past.
        """
        now = self._clock()
        _check(name, grants, expires_at, now)
        text = new_key(ADMIN_MARK)
        issued = AdminTokenRecord(
            id=new_id("adt"),
            name=name,
            prefix=prefix_of(text),
            grants=tuple(dict.fromkeys(grants)),
            created_at=now,
            created_by=actor.name,
            expires_at=expires_at,
        )
        values = {
            "id": issued.id,
            "name": name,
            "prefix": issued.prefix,
            "digest": digest_of(text),
            "grants": [_written(grant) for grant in issued.grants],
            "created_at": now,
            "created_by": actor.name,
            "expires_at": expires_at,
        }
        async with writing(self._engine) as connection:
            same = _tokens().where(AdminToken.name == name, AdminToken.revoked_at.is_(None))
            # The audit trail names tokens by their names: one name is one living token.
            if any(_is_live(_record(row), now) for row in await connection.execute(same)):
                raise ValueError(f"there is a live admin token {name!r} already; revoke it first")
            await connection.execute(insert(_TOKENS), values)
            subject = f"admin_token:{issued.id}"
            await record(connection, actor, "admin_token.issue", subject, None, shown(issued))
        return IssuedAdminToken(issued, text)

    async def revoke(self, actor: Actor, token_id: str) -> bool:
        """Revoke a token, at once; False when there is no live one of that id."""
        async with writing(self._engine) as connection:
            done = await connection.execute(
                update(_TOKENS)
                .where(_TOKENS.c.id == token_id, _TOKENS.c.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )
            if done.rowcount == 0:
                return False
            row = (await connection.execute(_tokens().where(AdminToken.id == token_id))).one()
            closed = shown(_record(row))
            subject = f"admin_token:{token_id}"
            before = {**closed, "revoked_at": None}
            await record(connection, actor, "admin_token.revoke", subject, before, closed)
        return True

    async def list_tokens(self) -> tuple[AdminTokenRecord, ...]:
        """Every token, the newest first."""
        async with reading(self._engine) as connection:
            found = await connection.execute(_tokens().order_by(AdminToken.id.desc()))
            return tuple(_record(row) for row in found)

    async def note_used(self, token_id: str) -> None:
        """Remember that it was used now."""
        async with writing(self._engine) as connection:
            await connection.execute(
                update(_TOKENS).where(_TOKENS.c.id == token_id).values(last_used_at=self._clock())
            )


def shown(record: AdminTokenRecord) -> dict[str, Any]:
    """A token for the audit trail, as JSON has it: no secret, no digest."""
    return {
        "name": record.name,
        "prefix": record.prefix,
        "grants": [_written(grant) for grant in record.grants],
        "expires_at": None if record.expires_at is None else record.expires_at.isoformat(),
        "revoked_at": None if record.revoked_at is None else record.revoked_at.isoformat(),
    }


def _check(name: str, grants: Sequence[Grant], expires_at: datetime | None, now: datetime) -> None:
    if not (name and name.isprintable() and len(name) <= _LONGEST_NAME):
        raise ValueError(f"a token's name has 1 to {_LONGEST_NAME} characters, all printable")
    if not grants:
        raise ValueError("a token without a grant is good for nothing: name a role and a node")
    if expires_at is not None and expires_at <= now:
        raise ValueError("a token has to expire later than now")


def _is_live(token: AdminTokenRecord, now: datetime) -> bool:
    return token.expires_at is None or token.expires_at > now


def _tokens() -> Select[Any]:
    return select(*(column for column in _TOKENS.c if column.name != "digest"))


def _record(row: Row[Any]) -> AdminTokenRecord:
    return AdminTokenRecord(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        grants=tuple(_read(row.grants)),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


def _written(grant: Grant) -> str:
    return f"{grant.role.value} {grant.node}"


def _read(texts: Iterable[str]) -> Iterable[Grant]:
    """The grants; a role that only a newer version knows gives nothing here."""
    for text in texts:
        role, _, node = text.partition(" ")
        if role in _ROLES and node:
            yield Grant(Role(role), node)
