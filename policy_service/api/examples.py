"""An example of everything that the admin API takes or answers, for its description.

A test decodes each as its type, so that none is out of date.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from policy_service.api.figure_examples import FIGURE_EXAMPLES, RULES

_AT = "2026-11-20T12:00:00Z"
_LATER = "2026-12-01T00:00:00Z"
_KEY: dict[str, Any] = {
    "id": "key_01m8kb7e3r106yq1q10c4g40mb",
    "name": "laptop",
    "prefix": "gk-aWEDuGQy",
    "team": "search",
    "project": None,
    "user": "alice",
    "application": None,
    "roles": [],
    "groups": [],
    "clearance": None,
    "allowed_models": None,
    "operations": ["chat.completions"],
    "networks": ["10.0.0.0/8"],
    "priority": "interactive",
    "state": "live",
    "created_at": _AT,
    "created_by": "user:bob",
    "expires_at": _LATER,
    "revoked_at": None,
    "revoked_by": None,
    "rotated_at": None,
    "former_prefix": None,
    "former_until": None,
    "last_used_at": _AT,
}
_LIMIT: dict[str, Any] = {
    "node": "team:search",
    "measure": "usd_per_month",
    "amount": "1000",
    "scope": "",
    "interactive_share": "0",
}
_RAISE: dict[str, Any] = {
    "id": "rse_01m8kb7e3r106yq1q10c4g40mb",
    "node": "team:search",
    "scope": "",
    "measure": "usd_per_month",
    "amount": "500",
    "starts_at": _AT,
    "until": _LATER,
    "author": "user:bob",
    "reason": "launch",
    "withdrawn_at": None,
}
_TOKEN: dict[str, Any] = {
    "id": "adt_01m8kb7e3r106yq1q10c4g40mb",
    "name": "ci",
    "prefix": "ga-aWEDuGQy",
    "grants": [{"role": "org_admin", "node": "organisation:acme"}],
    "created_at": _AT,
    "created_by": "user:bob",
    "expires_at": _LATER,
    "revoked_at": None,
    "last_used_at": None,
}
_APPROVAL: dict[str, Any] = {
    "object": "gatehouse.approval",
    "id": "apr_01m8kb7e3r106yq1q10c4g40mb",
    "state": "requested",
    "model": "gpt-4o",
    "for": "team:search",
    "organisation": "acme",
    "department": "research",
    "team": "search",
    "project": None,
    "requester": "user:alice",
    "reason": "A trial of two weeks.",
    "asked_usd": "50",
    "asked_until": _LATER,
    "created_at": _AT,
    "answer_by": _LATER,
    "decided_by": None,
    "decided_at": None,
    "decision_reason": "",
    "granted_usd": None,
    "granted_until": None,
    "ended_at": None,
    "spent_usd": "0",
    "steps": [],
}
_PRICE: dict[str, Any] = {
    "version": "contract/openai/gpt-4o@2026-01-01#0a1b2c3d",
    "is_free": False,
    "rates": {
        "input": "2.5",
        "output": "10",
        "cached_input": "1.25",
        "cache_write": None,
        "input_audio": None,
        "output_audio": None,
        "cached_audio": None,
    },
    "tiers": [],
}
_TEAM: dict[str, Any] = {
    "department": "research",
    "name": "Search",
    "allowed_models": ["*"],
    "cost_centre": "cc-1",
}
_CHANGE: dict[str, Any] = {
    "kind": "change",
    "subject": "team:search",
    "before": {**_TEAM, "name": None},
    "after": _TEAM,
}
_ENTRY: dict[str, Any] = {
    "seq": 42,
    "id": "aud_01m8kb7e3r106yq1q10c4g40mb",
    "at": _AT,
    "actor": "user:bob",
    "proof": "oidc",
    "action": "change",
    "subject": "team:search",
    "organisation": "acme",
    "before": {**_TEAM, "name": None},
    "after": _TEAM,
}
_SUMS: dict[str, Any] = {
    "requests": 120,
    "failed": 1,
    "cache_hits": 7,
    "input_tokens": 81000,
    "output_tokens": 20500,
    "usd": "0.407500000000",
    "saved_usd": "0.021000000000",
}
_NEXT = "WyJrZXlzIixbImtleV8wMW04a2I3ZTNyMTA2eXExcTEwYzRnNDBtYiJdXQ"

EXAMPLES: Mapping[str, Any] = MappingProxyType(
    {
        **FIGURE_EXAMPLES,
        "NewRules": RULES,
        "WantedClosing": {"organisation": "acme", "period": "2026-10"},
        "WantedReconciliation": {
            "organisation": "acme",
            "period": "2026-10",
            "provider": "openai",
            "invoice_csv": "model,amount,currency\ngpt-4o-mini,12.34,usd\n",
            "columns": {"usd": "amount"},
        },
        "WantedSchedule": {
            "node": "organisation:acme",
            "kind": "chargeback",
            "cadence": "monthly",
            "to": ["finance@acme.example", "webhook:finance"],
            "hour": 7,
            "per_department": True,
            "department_to": {"research": ["head-of-research@acme.example"]},
        },
        "Problem": {
            "type": "urn:gatehouse:error:permission_denied",
            "title": "Forbidden",
            "status": 403,
            "detail": "None of your roles permits `keys.write` on `team:search`.",
            "error": {
                "message": "None of your roles permits `keys.write` on `team:search`.",
                "type": "permission_error",
                "param": None,
                "code": "permission_denied",
            },
        },
        "NewKey": {"name": "laptop", "team": "search", "user": "alice", "expires_at": _LATER},
        "ShownKey": _KEY,
        "NewlyIssuedKey": {**_KEY, "key": "gk-... (shown this once)"},
        "RotatedKey": {**_KEY, "key": "gk-... (shown this once)", "ended_prefix": None},
        "Rotation": {"overlap_s": 86400},
        "ListedKeys": {"rows": [_KEY], "next": _NEXT},
        "NewLimit": _LIMIT,
        "ListedLimits": {
            "rows": [
                {
                    **_LIMIT,
                    "models": [],
                    "time_zone": "Europe/Berlin",
                    "raises": [],
                    "etag": '"0f3c2a90b1d7e8856ac4d2f1b3a49e77"',
                }
            ],
            "next": None,
        },
        "NewRaise": {
            "node": "team:search",
            "measure": "usd_per_month",
            "amount": "500",
            "until": _LATER,
            "reason": "launch",
        },
        "RaiseRecord": _RAISE,
        "ListedRaises": {"rows": [_RAISE], "next": None},
        "ListedStandings": {
            "rows": [
                {
                    "node": "team:search",
                    "scope": "",
                    "measure": "usd_per_month",
                    "amount": "1000",
                    "raised": "500",
                    "used": "412.75",
                    "reserved": "0.31",
                    "left": "1087.25",
                    "resets_at": _LATER,
                }
            ],
            "next": None,
        },
        "NewAdminToken": {
            "name": "ci",
            "grants": [{"role": "org_admin", "node": "organisation:acme"}],
            "expires_at": _LATER,
        },
        "MadeAdminToken": {"token": "ga-... (shown this once)", "record": _TOKEN},
        "ListedAdminTokens": {"rows": [_TOKEN], "next": None},
        "Wanted": {
            "model": "gpt-4o",
            "reason": "A trial of two weeks.",
            "amount_usd": "50",
            "until": _LATER,
            "for": "team:search",
        },
        "Granted": {"amount_usd": "25", "until": _LATER, "reason": "Half of it first."},
        "Said": {"reason": "Use the smaller model."},
        "ShownApproval": _APPROVAL,
        "ListedApprovals": {"rows": [_APPROVAL], "next": None},
        "ListedModels": {
            "rows": [
                {
                    "alias": "gpt-4o",
                    "strategy": "priority",
                    "is_sticky": False,
                    "deployments": [
                        {
                            "id": "openai-gpt-4o-eu",
                            "provider": "openai",
                            "wire_format": "openai",
                            "model": "gpt-4o-2024-11-20",
                            "region": "eu",
                            "transport": "direct",
                            "operations": None,
                            "max_output_tokens": 16384,
                            "context_tokens": 128000,
                            "can_use_tools": True,
                            "can_see_images": True,
                            "can_follow_schema": True,
                            "weight": 1,
                            "data_processing": {
                                "retention_days": 0,
                                "trains_on_data": False,
                                "sub_processors": None,
                            },
                            "agreements": {
                                "dpa": {"since": _AT, "until": None, "reference": "C-17"}
                            },
                            "price": _PRICE,
                        }
                    ],
                }
            ],
            "next": None,
        },
        "ListedPrices": {
            "at": _AT,
            "currency": "USD",
            "per_tokens": 1_000_000,
            "rows": [
                {
                    "model": "gpt-4o",
                    "deployment": "openai-gpt-4o-eu",
                    "provider": "openai",
                    "priced_as": "openai/gpt-4o-2024-11-20",
                    "price": _PRICE,
                }
            ],
            "next": None,
        },
        "ListedParts": {"rows": [{"subject": "team:search", "record": _TEAM}], "next": None},
        "ShownPart": {
            "subject": "team:search",
            "record": _TEAM,
            "path": ["team:search", "department:research", "organisation:acme"],
        },
        "PartChanged": {"change": _CHANGE},
        "PartsRemoved": {"changes": [{**_CHANGE, "kind": "remove", "after": None}]},
        "Applied": {"changes": [_CHANGE], "left_alone": [], "keys": {}},
        "HeldRoles": {
            "subject": "user:alice",
            "rows": [{"role": "team_owner", "node": "team:search"}],
        },
        "GrantedRole": {"role": "team_owner", "node": "team:search", "subject": "user:alice"},
        "RoleGiven": {"is_new": True},
        "ListedAudit": {"rows": [_ENTRY], "next": _NEXT},
        "AuditLogOfTeam": {"team": "search", "rows": [_ENTRY], "next": None},
        "UsageOfTeam": {
            "team": "search",
            "from": "2026-11-01",
            "to": "2026-11-21",
            "tz": "Europe/Berlin",
            "rows": [
                {
                    "day": "2026-11-20",
                    "department": "research",
                    "team": "search",
                    "model": "gpt-4o",
                    **_SUMS,
                }
            ],
            "total": _SUMS,
            "next": None,
        },
        "ListedTransitions": {
            "data": [
                {
                    "id": "brk_01m8kb7e00v64fyx0jqz8d1r3c",
                    "at": _AT,
                    "deployment_id": "openai-gpt-4o-eu",
                    "provider": "openai",
                    "model": "gpt-4o-2024-11-20",
                    "from": "closed",
                    "to": "open",
                    "reason": "failures_in_a_row",
                    "error_class": "timeout",
                    "opens_until": "2026-11-20T12:00:05Z",
                }
            ],
            "next_cursor": None,
        },
        "WhoAmI": {
            "name": "user:alice",
            "proof": "oidc",
            "grants": [{"role": "member", "node": "team:search", "permissions": ["usage.read"]}],
            "time_zone": "Europe/Berlin",
        },
        "NewErasure": {"user": "alice", "reason": "request 4711", "dry_run": True},
        "Erasure": {"id": "", "pseudonym": None, "found": {"usage": 120}},
        "Reason": {"reason": "Release 7", "bundle": "7.0.0"},
        "WantedShadow": {"bundle": "7.1.0"},
    }
)
"""By the type's name."""
