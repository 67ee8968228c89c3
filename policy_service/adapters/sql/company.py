"""A whole company in one YAML file, and how it gets into the database.

```yaml
id: acme
allowed_models: ["*"]
limits: {usd_per_month: 5000}
users:
  alice: {requests_per_minute: 60}      # limits of a user, whatever key they use
departments:
  - id: research
    teams:
      - id: search
        allowed_models: [gpt-4o-mini]
        limits: {usd_per_month: 200, tokens_per_minute: 100000}
        keys:
          - {name: search-laptop, user: alice, roles: [developer]}
        projects:
          - id: ranking
            keys: [{name: ranking-batch, application: ranker}]
        consumers:
          - {username: search-service, application: search}
```
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.organisation import Holder, Organisation
from policy_service.adapters.yaml_file import read_yaml
from policy_service.ports.clock import Clock

_Id = Annotated[str, Field(min_length=1, max_length=120)]
_Amount = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6, allow_inf_nan=False)]
_Limits = dict[Measure, _Amount]


class _Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _HolderPlan(_Plan):
    user: _Id | None = None
    application: _Id | None = None
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    clearance: str | None = None
    allowed_models: tuple[str, ...] | None = None

    def holder(self, team: str, project: str | None) -> Holder:
        """Whom this stands for, as part of a team."""
        return Holder(
            team=team,
            project=project,
            user=self.user,
            application=self.application,
            roles=self.roles,
            groups=self.groups,
            clearance=self.clearance,
            allowed_models=self.allowed_models,
        )


class KeyPlan(_HolderPlan):
    """A key to be issued. Its text is never written down: it is generated, and shown once."""

    name: _Id
    limits: _Limits = {}
    expires_at: AwareDatetime | None = None


class ConsumerPlan(_HolderPlan):
    """A consumer that Kong authenticates."""

    username: str | None = None
    custom_id: str | None = None


class _UnitPlan(_Plan):
    id: _Id
    name: str | None = None
    allowed_models: tuple[str, ...] | None = None
    limits: _Limits = {}


class ProjectPlan(_UnitPlan):
    """A project of a team."""

    keys: tuple[KeyPlan, ...] = ()
    consumers: tuple[ConsumerPlan, ...] = ()


class TeamPlan(_UnitPlan):
    """A team of a department."""

    keys: tuple[KeyPlan, ...] = ()
    consumers: tuple[ConsumerPlan, ...] = ()
    projects: tuple[ProjectPlan, ...] = ()


class DepartmentPlan(_UnitPlan):
    """A department of the company."""

    teams: tuple[TeamPlan, ...] = ()


class Company(_UnitPlan):
    """The company, from the top down to its keys; `users` holds limits by user."""

    users: dict[_Id, _Limits] = {}
    departments: tuple[DepartmentPlan, ...] = ()

    @model_validator(mode="after")
    def _names_keys_apart(self) -> Self:
        names = [key.name for _, _, unit in _holders_of(self) for key in unit.keys]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"keys are handed out by name, and these come twice: {twice}")
        return self


def read_company(path: Path) -> Company:
    """Read a company's file.

    Raises:
        InvalidFile: With every fault, each as `file:line: field: what is wrong`.
    """
    return read_yaml(path, Company)


async def seed_company(
    engine: AsyncEngine, company: Company, clock: Clock = utc_now
) -> Mapping[str, str]:
    """Make the database say what `company` says; nothing that it does not name is taken away.

    A key that its team has already, live and by the same name, is left as it is.

    Returns:
        The text of every new key, by name: the only time that it is seen.

    Raises:
        OrganisationError: An id, an amount or a name makes no sense.
        PolicyUnavailable: The database failed. Run it again: what was done is then left alone.
    """
    organisation = Organisation(engine, clock)
    await _put_units(organisation, company)
    for node, limits in _limits_of(company):
        for measure, amount in limits.items():
            await organisation.put_limit(Limit(node, measure, amount))
    texts: dict[str, str] = {}
    for team, project, unit in _holders_of(company):
        live = {key.name for key in await organisation.list_keys(team=team) if key.is_live(clock())}
        for consumer in unit.consumers:
            await organisation.bind_consumer(
                consumer.holder(team, project),
                username=consumer.username,
                custom_id=consumer.custom_id,
            )
        for key in unit.keys:
            if key.name in live:
                continue
            issued = await organisation.issue_key(
                key.name,
                key.holder(team, project),
                expires_at=key.expires_at,
                limits=key.limits,
            )
            texts[key.name] = issued.text
    return texts


async def _put_units(organisation: Organisation, company: Company) -> None:
    await organisation.put_organisation(
        company.id, name=company.name, allowed_models=company.allowed_models
    )
    for department in company.departments:
        await organisation.put_department(
            department.id,
            organisation=company.id,
            name=department.name,
            allowed_models=department.allowed_models,
        )
        for team in department.teams:
            await organisation.put_team(
                team.id,
                department=department.id,
                name=team.name,
                allowed_models=team.allowed_models,
            )
            for project in team.projects:
                await organisation.put_project(
                    project.id,
                    team=team.id,
                    name=project.name,
                    allowed_models=project.allowed_models,
                )


def _limits_of(company: Company) -> Iterator[tuple[str, _Limits]]:
    yield f"organisation:{company.id}", company.limits
    for department in company.departments:
        yield f"department:{department.id}", department.limits
        for team in department.teams:
            yield f"team:{team.id}", team.limits
            for project in team.projects:
                yield f"project:{project.id}", project.limits
    for user, limits in company.users.items():
        yield f"user:{user}", limits


def _holders_of(
    company: Company,
) -> Iterator[tuple[str, str | None, TeamPlan | ProjectPlan]]:
    for department in company.departments:
        for team in department.teams:
            yield team.id, None, team
            for project in team.projects:
                yield team.id, project.id, project
