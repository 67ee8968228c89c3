"""A whole company in one YAML file.

```yaml
id: acme
time_zone: Europe/Berlin                  # where days and months begin
allowed_models: ["*"]
limits: {usd_per_month: 5000}
model_groups: {frontier: [gpt-4o, claude-sonnet-4-6]}
model_limits:                             # of one model, or of a group of them
  frontier: {usd_per_day: 100}
cost_centres: [{id: cc-100, name: Research}]
roles: [{role: org_admin, group: gatehouse-admins}]
users:
  - id: alice
    email: alice@acme.example
    team: search
    limits: {requests_per_minute: 60}     # whatever key she uses
departments:
  - id: research
    cost_centre: cc-100
    teams:
      - id: search
        allowed_models: [gpt-4o-mini]
        limits:
          usd_per_month: 200
          tokens_per_minute: {amount: 100000, interactive_share: 0.3}
        roles: [{role: team_owner, user: alice}]
        groups: [{source: kong, name: search-services}]
        keys:
          - {name: search-laptop, user: alice, roles: [developer], networks: [10.0.0.0/8]}
        projects:
          - id: ranking
            applications:
              - {id: ranker, keys: [{name: ranking-batch, priority: batch}]}
        consumers:
          - {username: search-service, application: search}
```
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)

from llm_core.operation import Operation
from llm_core.policy.limits import Measure, Priority
from llm_core.policy.roles import Role
from policy_service.adapters.sql.organisation.checks import is_time_zone
from policy_service.adapters.sql.organisation.parts import MAX_ID_CHARS, fault_of_id
from policy_service.adapters.yaml_file import read_yaml


def _is_id(value: str) -> str:
    if (fault := fault_of_id(value)) is not None:
        raise ValueError(fault)
    return value


def _is_plain(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError("has a character that cannot be seen, or a space at an end")
    return value


def _is_zone(value: str) -> str:
    if not is_time_zone(value):
        raise ValueError(f"there is no time zone {value!r}; write one as Europe/Berlin")
    return value


def _network(value: str) -> str:
    try:
        return str(ip_network(value.strip()))
    except ValueError as fault:
        raise ValueError(f"{fault}; write a network as 10.0.0.0/8 or 2001:db8::/32") from None


def _long_form(value: object) -> object:
    """`200` is `{amount: 200}`."""
    return value if isinstance(value, dict | LimitPlan) else {"amount": value}


Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS), AfterValidator(_is_id)]
_Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_is_plain)]
_Subject = Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_is_plain)]
_Source = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^\S+$")]
_Alias = Annotated[str, Field(min_length=1, max_length=190), AfterValidator(_is_plain)]
_Zone = Annotated[str, Field(max_length=60), AfterValidator(_is_zone)]
_Network = Annotated[str, AfterValidator(_network)]
_Amount = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6, allow_inf_nan=False)]
_Share = Annotated[Decimal, Field(ge=0, le=1, decimal_places=6, allow_inf_nan=False)]


class _Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LimitPlan(_Plan):
    """How much; and which part of it batch calls leave alone."""

    amount: _Amount
    interactive_share: _Share = Decimal(0)


Limits = dict[Measure, Annotated[LimitPlan, BeforeValidator(_long_form)]]


class RolePlan(_Plan):
    """A role, for one of three kinds of holders."""

    role: Role
    user: Id | None = None
    application: Id | None = None
    group: _Name | None = None

    @model_validator(mode="after")
    def _is_for_one(self) -> Self:
        if sum(one is not None for one in (self.user, self.application, self.group)) != 1:
            raise ValueError("a role is for one `user`, one `application` or one `group`")
        return self

    @property
    def subject(self) -> str:
        """Who has it, as `<kind>:<id>`."""
        kinds = {"user": self.user, "application": self.application, "group": self.group}
        return next(f"{kind}:{name}" for kind, name in kinds.items() if name is not None)


class UserRolePlan(_Plan):
    """A role of the user in whose entry it stands."""

    role: Role
    on: str | None = None
    """A node such as `team:search`; left out: their team, else the company."""


class _LimitedPlan(_Plan):
    limits: Limits = {}
    model_limits: dict[_Alias, Limits] = {}


class _HolderPlan(_Plan):
    user: Id | None = None
    application: Id | None = None
    roles: tuple[_Name, ...] = ()
    groups: tuple[_Name, ...] = ()
    clearance: Id | None = None
    allowed_models: tuple[_Alias, ...] | None = None


class KeyPlan(_HolderPlan, _LimitedPlan):
    """A key to be issued. Its text is never written down: it is generated, and shown once."""

    name: Annotated[_Name, Field(max_length=MAX_ID_CHARS)]
    expires_at: AwareDatetime | None = None
    operations: tuple[Operation, ...] = ()
    networks: tuple[_Network, ...] = ()
    priority: Priority = Priority.INTERACTIVE


class ConsumerPlan(_HolderPlan):
    """A consumer that Kong authenticates."""

    username: _Name | None = None
    custom_id: _Name | None = None

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if self.username is None and self.custom_id is None:
            raise ValueError("a consumer is named by `username`, `custom_id` or both")
        return self


class GroupPlan(_Plan):
    """A group whose members belong here: of Kong's (`kong`), or of an issuer's, by its URL."""

    source: _Source
    name: _Name
    roles: tuple[_Name, ...] = ()
    clearance: Id | None = None
    allowed_models: tuple[_Alias, ...] | None = None


class ApplicationPlan(_LimitedPlan):
    """A service account."""

    id: Id
    name: _Name | None = None
    is_active: StrictBool = True
    keys: tuple[KeyPlan, ...] = ()

    @model_validator(mode="after")
    def _owns_its_keys(self) -> Self:
        if any(key.application not in (None, self.id) for key in self.keys):
            raise ValueError("a key of an application is for no other application")
        return self


class UserPlan(_LimitedPlan):
    """A person. `email` and `subject` are how an identity provider names them."""

    id: Id
    name: _Name | None = None
    email: _Name | None = None
    subject: _Subject | None = None
    team: Id | None = None
    project: Id | None = None
    clearance: Id | None = None
    is_active: StrictBool = True
    roles: tuple[UserRolePlan, ...] = ()


class CostCentrePlan(_Plan):
    """Who pays, in the words of accounting."""

    id: Id
    name: _Name | None = None


class _UnitPlan(_LimitedPlan):
    id: Id
    name: _Name | None = None
    allowed_models: tuple[_Alias, ...] | None = None
    roles: tuple[RolePlan, ...] = ()


class ProjectPlan(_UnitPlan):
    """A project of a team."""

    cost_centre: Id | None = None
    applications: tuple[ApplicationPlan, ...] = ()
    groups: tuple[GroupPlan, ...] = ()
    keys: tuple[KeyPlan, ...] = ()
    consumers: tuple[ConsumerPlan, ...] = ()


class TeamPlan(ProjectPlan):
    """A team of a department."""

    projects: tuple[ProjectPlan, ...] = ()


class DepartmentPlan(_UnitPlan):
    """A department of the company."""

    cost_centre: Id | None = None
    teams: tuple[TeamPlan, ...] = ()


class Company(_UnitPlan):
    """The company, from the top down to its keys.

    `platform_roles` are roles above all companies of this installation. Left out, they are what
    they are; an empty list is none.
    """

    time_zone: _Zone = "UTC"
    cost_centres: tuple[CostCentrePlan, ...] = ()
    model_groups: dict[Id, tuple[_Alias, ...]] = {}
    users: tuple[UserPlan, ...] = ()
    departments: tuple[DepartmentPlan, ...] = ()
    platform_roles: tuple[RolePlan, ...] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        faults = list(_faults(self))
        if faults:
            raise ValueError("; ".join(faults))
        return self


def read_company(path: Path) -> Company:
    """Read a company's file.

    Raises:
        InvalidFile: With every fault, each as `file:line: field: what is wrong`.
    """
    return read_yaml(path, Company)


def places_of(
    company: Company,
) -> Iterator[tuple[str, str | None, ProjectPlan]]:
    """Every team and project: the team's id, the project's if it is one, and the plan."""
    for department in company.departments:
        for team in department.teams:
            yield team.id, None, team
            for project in team.projects:
                yield team.id, project.id, project


def scope_of(name: str, groups: Mapping[str, object]) -> str:
    """The scope of a limit that the file has under `model_limits`.

    Args:
        name: A group's or a model's; `group:<name>` and `model:<name>` say which is meant.
        groups: The company's groups of models.
    """
    if name.startswith("model:") or (name.startswith("group:") and name[6:] in groups):
        return name
    return f"group:{name}" if name in groups else f"model:{name}"


def _faults(company: Company) -> Iterator[str]:
    """What no part of the file can see for itself."""
    places = list(places_of(company))
    by_team: dict[str, list[str]] = defaultdict(list)
    for team, _, place in places:
        by_team[team] += [key.name for key in _keys_of(place)]
    for names in by_team.values():
        if twice := _twice(names):
            yield f"keys are handed out by name, and these come twice: {twice}"
    consumers = [one for _, _, place in places for one in place.consumers]
    named: dict[str, Iterable[Any]] = {
        "department": (one.id for one in company.departments),
        "team": (team for team, project, _ in places if project is None),
        "project": (project for _, project, _ in places if project is not None),
        "application": (one.id for _, _, place in places for one in place.applications),
        "user": (one.id for one in company.users),
        "cost centre": (one.id for one in company.cost_centres),
        "group": (f"{one.source} {one.name}" for _, _, place in places for one in place.groups),
        "email": (one.email for one in company.users),
        "subject": (one.subject for one in company.users),
        "consumer's username": (one.username for one in consumers),
        "consumer's custom_id": (one.custom_id for one in consumers),
    }
    for kind, ids in named.items():
        if twice := _twice(one for one in ids if one is not None):
            yield f"no {kind} comes twice, but these do: {twice}"
    for plan in _limited(company, places):
        scopes = [scope_of(name, company.model_groups) for name in plan.model_limits]
        if twice := _twice(scopes):
            yield f"limits on these models are given twice in one place: {twice}"
    yield from _loose_ends(company, places)


_Places = list[tuple[str, str | None, ProjectPlan]]


def _loose_ends(company: Company, places: _Places) -> Iterator[str]:
    """What is named and not there."""
    known = {(team, project) for team, project, _ in places}
    for user in company.users:
        if user.team is None and user.project is not None:
            yield f"the user {user.id!r} is in a project: name its team as well"
        elif user.team is not None and (user.team, user.project) not in known:
            place = f"{user.team}/{user.project}" if user.project else user.team
            yield f"the user {user.id!r} is in {place!r}, which is not in this file"
    centres = {one.id for one in company.cost_centres}
    paying: list[DepartmentPlan | ProjectPlan] = [*company.departments]
    paying += [place for _, _, place in places]
    for unit in paying:
        if unit.cost_centre is not None and unit.cost_centre not in centres:
            yield f"the cost centre {unit.cost_centre!r} of {unit.id!r} is not in this file"
    yield from _loose_roles(company, places)


def _loose_roles(company: Company, places: _Places) -> Iterator[str]:
    nodes = {f"organisation:{company.id}"}
    nodes |= {f"department:{one.id}" for one in company.departments}
    nodes |= {f"project:{project}" if project else f"team:{team}" for team, project, _ in places}
    for user in company.users:
        for own in user.roles:
            if own.on is not None and own.on not in nodes:
                yield f"the user {user.id!r} has a role on {own.on!r}, which is not in this file"
    people = {f"user:{one.id}" for one in company.users}
    people |= {f"application:{one.id}" for _, _, place in places for one in place.applications}
    units: list[_UnitPlan] = [company, *company.departments, *(place for _, _, place in places)]
    granted = [role for unit in units for role in unit.roles]
    own_roles = [own.role for user in company.users for own in user.roles]
    if Role.PLATFORM_ADMIN in (*own_roles, *(role.role for role in granted)):
        yield "platform_admin is given by `platform_roles` only"
    for role in (*granted, *(company.platform_roles or ())):
        if role.group is None and role.subject not in people:
            yield f"a role is given to {role.subject}, who is not in this file"


def _limited(company: Company, places: _Places) -> Iterator[_LimitedPlan]:
    yield from (company, *company.users, *company.departments)
    for _, _, place in places:
        yield from (place, *place.applications, *_keys_of(place))


def _keys_of(place: ProjectPlan) -> Iterator[KeyPlan]:
    yield from place.keys
    for application in place.applications:
        yield from application.keys


def _twice(values: Iterable[str]) -> list[str]:
    return sorted(value for value, count in Counter(values).items() if count > 1)
