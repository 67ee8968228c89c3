"""The permission table: every role, every permission, on its node, below, above and beside."""

import pytest

from llm_core.policy.roles import PLATFORM, ROLES, Grant, Permission, Role, granted_on, may

READS = {Permission.USAGE_READ, Permission.ORGANISATION_READ, Permission.KEYS_READ}
OWNS = READS | {Permission.KEYS_WRITE, Permission.LIMITS_RAISE, Permission.APPROVALS_ASK}
EXPECTED = {
    Role.PLATFORM_ADMIN: set(Permission) - {Permission.CONTENT_READ},
    Role.ORG_ADMIN: set(Permission) - {Permission.CONTENT_READ},
    Role.DEPT_MANAGER: OWNS
    | {
        Permission.LIMITS_WRITE,
        Permission.ORGANISATION_WRITE,
        Permission.REPORTS_READ,
        Permission.REPORTS_WRITE,
    },
    Role.TEAM_OWNER: OWNS,
    Role.APPROVER: READS | {Permission.APPROVALS_ASK, Permission.APPROVALS_DECIDE},
    Role.AUDITOR: READS
    | {
        Permission.ADMIN_TOKENS_READ,
        Permission.AUDIT_READ,
        Permission.CONTENT_READ,
        Permission.POLICY_READ,
        Permission.REPORTS_READ,
    },
    Role.FINANCE: {
        Permission.USAGE_READ,
        Permission.ORGANISATION_READ,
        Permission.CHARGEBACK_CLOSE,
        Permission.REPORTS_READ,
        Permission.REPORTS_WRITE,
    },
    Role.MEMBER: {Permission.USAGE_READ},
}
ACME = "organisation:acme"
RESEARCH = (ACME, "department:research")
SEARCH = (*RESEARCH, "team:search")
RANKING = (*SEARCH, "project:ranking")
ADS = (*RESEARCH, "team:ads")
SALES = (ACME, "department:sales")
OTHER = ("organisation:other",)

each_role = pytest.mark.parametrize("role", list(Role))
each_permission = pytest.mark.parametrize("permission", list(Permission))


def test_the_table_is_the_one_that_was_agreed_on() -> None:
    assert {role: set(permitted) for role, permitted in ROLES.items()} == EXPECTED


@each_role
@each_permission
def test_a_role_permits_on_its_node_and_below_exactly_what_the_table_says(
    role: Role, permission: Permission
) -> None:
    for node, paths in (
        ("team:search", (SEARCH, RANKING)),
        ("department:research", (RESEARCH, SEARCH, RANKING, ADS)),
        (ACME, ((ACME,), RESEARCH, SEARCH, RANKING, SALES)),
        (PLATFORM, ((), OTHER, (ACME,), RANKING)),
    ):
        for path in paths:
            assert may([Grant(role, node)], permission, path) is (permission in EXPECTED[role])


@each_role
@each_permission
def test_a_role_permits_nothing_above_its_node_or_beside_it(
    role: Role, permission: Permission
) -> None:
    grant = [Grant(role, "team:search")]
    for path in ((), (ACME,), RESEARCH, ADS, SALES, OTHER, ("project:search",), ("user:search",)):
        assert not may(grant, permission, path)


@each_permission
def test_who_holds_nothing_may_nothing(permission: Permission) -> None:
    assert not may([], permission, SEARCH)
    assert not granted_on([], permission)


def test_grants_add_up_and_do_not_mix() -> None:
    grants = [Grant(Role.AUDITOR, ACME), Grant(Role.TEAM_OWNER, "team:search")]
    assert may(grants, Permission.KEYS_WRITE, SEARCH)
    assert not may(grants, Permission.KEYS_WRITE, ADS)
    assert may(grants, Permission.AUDIT_READ, ADS)
    assert granted_on(grants, Permission.USAGE_READ) == {ACME, "team:search"}
    assert granted_on(grants, Permission.KEYS_WRITE) == {"team:search"}
