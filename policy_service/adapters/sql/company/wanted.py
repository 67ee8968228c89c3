"""What a company's file asks for, as records; see `organisation.parts`."""

from collections.abc import Iterator, Mapping
from typing import Any

from llm_core.policy.roles import PLATFORM
from policy_service.adapters.sql.company.file import (
    ApplicationPlan,
    Company,
    ConsumerPlan,
    KeyPlan,
    Limits,
    ProjectPlan,
    UserPlan,
    places_of,
    scope_of,
)
from policy_service.adapters.sql.organisation.parts import (
    KINDS,
    Record,
    amount_text,
    consumer_subject,
    group_subject,
    key_subject,
    kind_of,
    limit_subject,
    role_subject,
    time_text,
)

_Part = tuple[str, dict[str, Any]]


def wanted_parts(company: Company) -> dict[str, Record]:
    """Every part by its subject, in the order of `KINDS`."""
    found = dict(_parts(company))
    return {one: found[one] for one in sorted(found, key=lambda one: KINDS.index(kind_of(one)))}


def _parts(company: Company) -> Iterator[_Part]:
    own = f"organisation:{company.id}"
    yield (
        own,
        {
            "name": company.name or company.id,
            "time_zone": company.time_zone,
            "allowed_models": _listed(company.allowed_models),
        },
    )
    yield from _limits(company, own, company.limits, company.model_limits)
    for role in company.roles:
        yield _role(role.role, own, role.subject)
    for role in company.platform_roles or ():
        yield _role(role.role, PLATFORM, role.subject)
    for centre in company.cost_centres:
        record = {"organisation": company.id, "name": centre.name or centre.id}
        yield f"cost_centre:{centre.id}", record
    for name, models in company.model_groups.items():
        group = {"organisation": company.id, "models": list(models)}
        yield f"model_group:{company.id}:{name}", group
    yield from _units(company)
    for user in company.users:
        yield from _user(company, user)
    for team, project, place in places_of(company):
        yield from _held(company, team, project, place)


def _units(company: Company) -> Iterator[_Part]:
    for department in company.departments:
        yield from _unit(company, "department", department, {"organisation": company.id})
        for team in department.teams:
            yield from _unit(company, "team", team, {"department": department.id})
            for project in team.projects:
                yield from _unit(company, "project", project, {"team": team.id})


def _unit(company: Company, kind: str, unit: Any, above: dict[str, str]) -> Iterator[_Part]:  # noqa: ANN401 - one of three plans
    node = f"{kind}:{unit.id}"
    yield (
        node,
        {
            **above,
            "name": unit.name or unit.id,
            "allowed_models": _listed(unit.allowed_models),
            "cost_centre": unit.cost_centre,
        },
    )
    yield from _limits(company, node, unit.limits, unit.model_limits)
    for role in unit.roles:
        yield _role(role.role, node, role.subject)


def _user(company: Company, user: UserPlan) -> Iterator[_Part]:
    node = f"user:{user.id}"
    yield (
        node,
        {
            "organisation": company.id,
            "name": user.name or user.id,
            "email": user.email,
            "subject": user.subject,
            "team": user.team,
            "project": user.project,
            "clearance": user.clearance,
            "is_active": user.is_active,
        },
    )
    yield from _limits(company, node, user.limits, user.model_limits)
    own = f"team:{user.team}" if user.team else f"organisation:{company.id}"
    for role in user.roles:
        yield _role(role.role, role.on or own, node)


def _held(company: Company, team: str, project: str | None, place: ProjectPlan) -> Iterator[_Part]:
    where = {"team": team, "project": project}
    for application in place.applications:
        yield from _application(company, where, application)
    for group in place.groups:
        record = {
            **where,
            "roles": list(group.roles),
            "clearance": group.clearance,
            "allowed_models": _listed(group.allowed_models),
        }
        yield group_subject(group.source, group.name), record
    for consumer in place.consumers:
        names = {"username": consumer.username, "custom_id": consumer.custom_id}
        yield consumer_subject(**names), names | _holder(where, consumer, consumer.application)
    for key in place.keys:
        yield from _key(company, where, key, key.application)


def _application(
    company: Company, where: Mapping[str, str | None], application: ApplicationPlan
) -> Iterator[_Part]:
    node = f"application:{application.id}"
    yield (
        node,
        {
            **where,
            "name": application.name or application.id,
            "is_active": application.is_active,
        },
    )
    yield from _limits(company, node, application.limits, application.model_limits)
    for key in application.keys:
        yield from _key(company, where, key, application.id)


def _key(
    company: Company, where: Mapping[str, str | None], key: KeyPlan, application: str | None
) -> Iterator[_Part]:
    node = key_subject(str(where["team"]), key.name)
    yield (
        node,
        {
            "name": key.name,
            **_holder(where, key, application),
            "operations": [operation.value for operation in key.operations],
            "networks": list(key.networks),
            "priority": key.priority.value,
            "expires_at": None if key.expires_at is None else time_text(key.expires_at),
        },
    )
    yield from _limits(company, node, key.limits, key.model_limits)


def _holder(
    where: Mapping[str, str | None], plan: KeyPlan | ConsumerPlan, application: str | None
) -> dict[str, Any]:
    return {
        **where,
        "user": plan.user,
        "application": application,
        "roles": list(plan.roles),
        "groups": list(plan.groups),
        "clearance": plan.clearance,
        "allowed_models": _listed(plan.allowed_models),
    }


def _limits(
    company: Company, node: str, limits: Limits, by_model: Mapping[str, Limits]
) -> Iterator[_Part]:
    scopes = {scope_of(name, company.model_groups): some for name, some in by_model.items()}
    for scope, some in {"": limits, **scopes}.items():
        for measure, limit in some.items():
            yield (
                limit_subject(node, scope, measure.value),
                {
                    "node": node,
                    "scope": scope,
                    "measure": measure.value,
                    "amount": amount_text(limit.amount),
                    "interactive_share": amount_text(limit.interactive_share),
                },
            )


def _role(role: str, node: str, subject: str) -> _Part:
    return role_subject(str(role), node, subject), {
        "role": str(role),
        "node": node,
        "subject": subject,
    }


def _listed(models: tuple[str, ...] | None) -> list[str] | None:
    return None if models is None else list(models)
