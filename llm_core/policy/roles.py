"""Who may administer what: roles, what each may do, and on which part of the organisation.

A grant gives a role on one node and on everything below it. `ROLES` is the one table; the admin
API, the command line and the dashboard ask `may`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

PLATFORM = "platform:*"
"""The node above all organisations."""


class Role(StrEnum):
    """What somebody is to a part of the organisation."""

    PLATFORM_ADMIN = "platform_admin"
    ORG_ADMIN = "org_admin"
    DEPT_MANAGER = "dept_manager"
    TEAM_OWNER = "team_owner"
    APPROVER = "approver"
    AUDITOR = "auditor"
    FINANCE = "finance"
    MEMBER = "member"


class Permission(StrEnum):
    """What can be done."""

    USAGE_READ = "usage.read"
    ORGANISATION_READ = "organisation.read"
    ORGANISATION_WRITE = "organisation.write"
    """Units, users, applications, models, groups, consumers."""
    LIMITS_WRITE = "limits.write"
    """Asked for above the limit's node: who has a limit does not set it."""
    LIMITS_RAISE = "limits.raise"
    """For a while only; likewise above the node."""
    KEYS_READ = "keys.read"
    KEYS_WRITE = "keys.write"
    """Issue, rotate, revoke."""
    ROLES_GRANT = "roles.grant"
    ADMIN_TOKENS_READ = "admin_tokens.read"
    """Which there are, and what each may do; nobody reads their texts."""
    ADMIN_TOKENS_WRITE = "admin_tokens.write"
    APPROVALS_ASK = "approvals.ask"
    """For others than oneself."""
    APPROVALS_DECIDE = "approvals.decide"
    AUDIT_READ = "audit.read"
    POLICY_READ = "policy.read"
    POLICY_WRITE = "policy.write"
    """Asked for on every organisation: the policy is everybody's."""
    CONTENT_READ = "content.read"
    """What people and models said, word for word. Not an administrator's: see `SEPARATED`."""
    PRIVACY_ERASE = "privacy.erase"
    """Take a person's traces out of the logs, when they ask for it."""
    CHARGEBACK_CLOSE = "chargeback.close"
    """Say how shared costs are divided, and freeze a month's statement."""
    REPORTS_READ = "reports.read"
    """Who gets which report by itself, what is in it, and what was sent."""
    REPORTS_WRITE = "reports.write"
    """Say who gets which report by itself, and send it."""


_READS = frozenset({Permission.USAGE_READ, Permission.ORGANISATION_READ, Permission.KEYS_READ})
_OWNS = _READS | {Permission.KEYS_WRITE, Permission.LIMITS_RAISE, Permission.APPROVALS_ASK}
SEPARATED = frozenset({Permission.CONTENT_READ})
"""Who administers does not hold these. They may give them to others, and not to themselves."""

_ADMINISTERS = frozenset(Permission) - SEPARATED

ROLES: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.PLATFORM_ADMIN: _ADMINISTERS,
        Role.ORG_ADMIN: _ADMINISTERS,
        Role.DEPT_MANAGER: _OWNS
        | {
            Permission.LIMITS_WRITE,
            Permission.ORGANISATION_WRITE,
            Permission.REPORTS_READ,
            Permission.REPORTS_WRITE,
        },
        Role.TEAM_OWNER: _OWNS,
        Role.APPROVER: _READS | {Permission.APPROVALS_ASK, Permission.APPROVALS_DECIDE},
        Role.AUDITOR: _READS
        | {
            Permission.ADMIN_TOKENS_READ,
            Permission.AUDIT_READ,
            Permission.CONTENT_READ,
            Permission.POLICY_READ,
            Permission.REPORTS_READ,
        },
        Role.FINANCE: frozenset(
            {
                Permission.USAGE_READ,
                Permission.ORGANISATION_READ,
                Permission.CHARGEBACK_CLOSE,
                Permission.REPORTS_READ,
                Permission.REPORTS_WRITE,
            }
        ),
        Role.MEMBER: frozenset({Permission.USAGE_READ}),
    }
)
"""What each role may do where it was granted, and below."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on a node, `<kind>:<id>` or `PLATFORM`, and on everything below it."""

    role: Role
    node: str


@dataclass(frozen=True, slots=True)
class Actor:
    """Who administers.

    Args:
        name: For the audit trail, such as `user:alice` or `admin_token:ci`.
        proof: How that is known: `oidc`, `admin_token`, `root_token`, `command_line`.
        grants: Roles, and where.
        also: Other names of the same person or software, such as the one that their calls have.
    """

    name: str
    proof: str
    grants: tuple[Grant, ...] = ()
    also: tuple[str, ...] = ()


def may(grants: Iterable[Grant], permission: Permission, path: Iterable[str]) -> bool:
    """Whether these grants permit something on a node.

    Args:
        grants: Whatever the actor holds.
        permission: What is to be done.
        path: The node and every node above it, in any order: `team:search`, `department:research`,
            `organisation:acme`. The platform need not be named.
    """
    nodes = {*path, PLATFORM}
    return any(grant.node in nodes and permission in ROLES[grant.role] for grant in grants)


def granted_on(grants: Iterable[Grant], permission: Permission) -> frozenset[str]:
    """The nodes on which, and below which, these grants permit something."""
    return frozenset(grant.node for grant in grants if permission in ROLES[grant.role])
