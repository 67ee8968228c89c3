"""Which user or application of ours a token's claims are about.

One place for it: a token that calls models and one that administers must speak of the same person.

Only a home issuer (`Claims.is_home`) may name somebody by what every issuer could write into its
tokens: a bare subject, an id of ours, an address. Whom another one speaks of, it names by itself
and its own subject, `<issuer>#<sub>`.
"""

from typing import Any

from sqlalchemy import Row, Select, case, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.claims import Claims
from policy_service.adapters.sql.tables import Application, User


def qualified(claims: Claims) -> str:
    """The subject with its issuer: two issuers may give the same to two people."""
    return f"{claims.issuer}#{claims.subject}"


async def user_of(connection: AsyncConnection, claims: Claims) -> Row[Any] | None:
    """The user: by the issuer's id, by our own, by verified address; all of the user's columns."""
    matches = [User.subject == qualified(claims)]
    if claims.is_home:
        matches.append(User.subject == claims.subject)
        if claims.user is not None:
            matches.append(User.id == claims.user)
        if claims.email is not None:
            matches.append(User.email == claims.email)
    nearest = case(*((match, rank) for rank, match in enumerate(matches)))
    statement: Select[Any] = select(User.__table__).where(or_(*matches)).order_by(nearest).limit(1)
    found: Row[Any] | None = (await connection.execute(statement)).first()
    return found


async def application_of(connection: AsyncConnection, claims: Claims) -> Row[Any] | None:
    """The application that the claims name; all of its columns."""
    if claims.application is None or not claims.is_home:
        return None
    statement: Select[Any] = select(Application.__table__).where(
        Application.id == claims.application
    )
    found: Row[Any] | None = (await connection.execute(statement)).first()
    return found


def name_of(claims: Claims) -> str:
    """What a user is called whom the database does not know."""
    return (claims.user or claims.subject) if claims.is_home else qualified(claims)


def group_subjects(claims: Claims) -> tuple[str, ...]:
    """What grants call the groups: `group:<name>`, or of another issuer `group:<issuer>#<name>`."""
    mark = "group:" if claims.is_home else f"group:{claims.issuer}#"
    return tuple(mark + group for group in claims.groups)
