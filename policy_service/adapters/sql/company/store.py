"""Holds a whole company against the database, and makes the database so."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.roles import Actor
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.company.export import document_of
from policy_service.adapters.sql.company.file import Company
from policy_service.adapters.sql.company.plan import Plan, plan
from policy_service.adapters.sql.company.wanted import wanted_parts
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.key_changes import BY_US
from policy_service.adapters.sql.organisation.changing import Changing, queue
from policy_service.adapters.sql.organisation.parts import STORED
from policy_service.adapters.sql.organisation.reading import read_organisation
from policy_service.adapters.yaml_file import faults_in, field_of
from policy_service.ports.clock import Clock
from policy_service.ports.organisation import Applied, OrganisationError


class CompanyStore:
    """Implements `ports.organisation.Companies` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine
        self._clock = clock

    async def export(self, organisation: str | None = None) -> dict[str, Any]:
        """The document of an organisation, in JSON's types; of the only one if none is named."""
        now = self._clock()
        async with reading(self._engine) as connection:
            chosen = await _chosen(connection, organisation)
            found = await read_organisation(connection, chosen, now)
        return document_of(found.parts, now)

    async def apply(
        self, document: object, actor: Actor, *, prune: bool = False, dry_run: bool = False
    ) -> Applied:
        """Make the organisation what the document says, in one transaction."""
        try:
            company = Company.model_validate(document)
        except ValidationError as error:
            raise OrganisationError(
                "\n".join(f"{field_of(place)}: {told}" for place, told in faults_in(error))
            ) from None
        return await self.apply_company(company, actor, prune=prune, dry_run=dry_run)

    async def apply_company(
        self,
        company: Company,
        actor: Actor = BY_US,
        *,
        prune: bool = False,
        dry_run: bool = False,
    ) -> Applied:
        """The same with a file that was read already.

        Raises:
            OrganisationError: An id or an address is somebody else's already.
            PolicyUnavailable: The database failed; nothing was done.
        """
        if dry_run:
            async with reading(self._engine) as connection:
                planned = await self._plan(connection, company, prune)
            return Applied(planned.changes, planned.left_alone)
        async with writing(self._engine) as connection:
            await queue(connection)
            planned = await self._plan(connection, company, prune)
            changing = Changing(
                connection, actor, company.id, self._clock(), dict(planned.found.ids)
            )
            await changing.carry_out(planned.changes)
            return Applied(planned.changes, planned.left_alone, _by_name(changing.texts))

    async def _plan(self, connection: AsyncConnection, company: Company, prune: bool) -> Plan:
        now = self._clock()
        return plan(
            await read_organisation(connection, company.id, now),
            wanted_parts(company),
            prune=prune,
            has_platform_roles=company.platform_roles is not None,
            now=now,
        )


async def seed_company(
    engine: AsyncEngine, company: Company, clock: Clock = utc_now
) -> Mapping[str, str]:
    """Make the database say what `company` says; nothing that it does not name is taken away.

    Returns:
        The text of every new key, by name: the only time that it is seen.

    Raises:
        OrganisationError: An id or an address is somebody else's already.
        PolicyUnavailable: The database failed; nothing was done.
    """
    applied = await CompanyStore(engine, clock).apply_company(company)
    return applied.keys or {}


async def _chosen(connection: AsyncConnection, organisation: str | None) -> str:
    table = STORED["organisation"].table
    known = (await connection.execute(select(table.c.id).order_by(table.c.id))).scalars().all()
    if organisation is None and len(known) == 1:
        return str(known[0])
    if organisation is None:
        there = ", ".join(known) or "none yet"
        raise OrganisationError(f"say which organisation is meant; there is {there}")
    if organisation not in known:
        raise OrganisationError(f"the organisation {organisation[:120]!r} does not exist")
    return organisation


def _by_name(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts by the keys' names."""
    names = {subject: subject.split(":", 2)[2] for subject in texts}
    counts = Counter(names.values())
    return {
        names[subject] if counts[names[subject]] == 1 else subject.split(":", 1)[1]: text
        for subject, text in texts.items()
    }
