"""By what else somebody is known, so that nobody answers a request of their own.

Names are as the audit log has them: `user:ada`, `key:key_01...`, `admin_token:ci`.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.roles import Actor
from policy_service.adapters.sql.tables import AdminToken, ApiKey, ApprovalIdentity

_PEOPLE = ("user", "subject")
_MOST_CREATORS = 8
_MAX_CHARS = 200


async def identities_of(connection: AsyncConnection, actor: Actor) -> frozenset[str]:
    """All that the actor is known by: also whoever made the admin token that they come with."""
    names = {actor.name, *actor.also}
    for _ in range(_MOST_CREATORS):
        creators = await _creators(connection, names)
        if creators <= names:
            break
        names |= creators
    # The account on the machine is the person's of that name.
    names |= {f"user:{name.partition(':')[2]}" for name in names if _kind(name) == "command_line"}
    return frozenset(stored(names))


async def issuers_of(connection: AsyncConnection, names: Collection[str]) -> frozenset[str]:
    """The people who issued these keys, where no key names who uses it: they had its text."""
    ids = [name.partition(":")[2] for name in names if _kind(name) == "key"]
    if not ids:
        return frozenset()
    found = await connection.execute(
        select(ApiKey.created_by).where(ApiKey.id.in_(ids), ApiKey.user.is_(None))
    )
    return frozenset(stored(one for one in found.scalars() if one and _kind(one) in _PEOPLE))


async def is_of(connection: AsyncConnection, request_id: str, names: Collection[str]) -> bool:
    """Whether one of these names is the requester's."""
    found = await connection.execute(
        select(ApprovalIdentity.identity).where(ApprovalIdentity.request_id == request_id)
    )
    return not set(found.scalars()).isdisjoint(names)


def stored(names: Iterable[str]) -> list[str]:
    """Names as the database keeps them."""
    return sorted({name[:_MAX_CHARS] for name in names})


async def _creators(connection: AsyncConnection, names: Collection[str]) -> set[str]:
    tokens = [name.partition(":")[2] for name in names if _kind(name) == "admin_token"]
    if not tokens:
        return set()
    found = await connection.execute(
        select(AdminToken.created_by).where(AdminToken.name.in_(tokens))
    )
    return set(found.scalars())


def _kind(name: str) -> str:
    return name.partition(":")[0]
