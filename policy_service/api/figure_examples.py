"""Examples of what the admin API tells: costs, chargebacks, incidents, policies, reports ..."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_AT = "2026-11-20T12:00:00Z"
_MONTH = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z", "tz": "UTC"}
_DECISION = "dec_01m8kb7e3r106yq1q10c4g40mb"
_DIGEST = "9f2c41d07ab3e85c" * 4
_SUMS: dict[str, Any] = {
    "requests": 120,
    "failed": 1,
    "input_tokens": 81000,
    "cached_input_tokens": 12000,
    "cache_write_tokens": 0,
    "input_audio_tokens": 0,
    "input_image_tokens": 2580,
    "output_tokens": 20500,
    "reasoning_tokens": 3000,
    "output_audio_tokens": 0,
    "cached_audio_tokens": 0,
    "usd": "0.407500000000",
    "saved_usd": "0.021000000000",
    "routing_saved_usd": "0.103000000000",
    "cache_hits": 7,
    "fallbacks": 2,
    "estimated_requests": 0,
    "estimated_usd": "0",
}
_LATENCY: dict[str, Any] = {"count": 119, "mean": 812.4, "p50": 702.0, "p95": 1904.0, "p99": 3120.0}
_FARED: dict[str, Any] = {
    "keys": {"provider": "openai", "model": "gpt-4o-mini"},
    "requests": 120,
    "failed": 1,
    "fallbacks": 2,
    "errors": {"timeout": 1},
    "total_ms": _LATENCY,
    "first_token_ms": {"count": 40, "mean": 310.2, "p50": 290.0, "p95": 620.0, "p99": 900.0},
    "overhead_ms": {"count": 119, "mean": 4.1, "p50": 3.6, "p95": 8.2, "p99": 12.9},
}
RULES: dict[str, Any] = {
    "organisation": "acme",
    "shared": [
        {
            "name": "platform",
            "match": {"team": "platform"},
            "allocate": "usage",
            "shares": {},
        }
    ],
    "currency": {"code": "EUR", "usd_rate": "0.92"},
}
_STATEMENT: dict[str, Any] = {
    **_MONTH,
    "id": "chb_01m8kb7e3r106yq1q10c4g40mb",
    "organisation": "acme",
    "period": "2026-11",
    "total_usd": "412.730000000000",
    "untagged_usd": "0",
    "shared_usd": "30.000000000000",
    "billed_usd": "412.73",
    "lines": [
        {
            "cost_centre": "cc-1",
            "department": "research",
            "team": "search",
            "project": None,
            "requests": 51200,
            "input_tokens": 33000000,
            "output_tokens": 8100000,
            "direct_usd": "382.730000000000",
            "shared_usd": "30.000000000000",
            "usd": "412.730000000000",
            "billed_usd": "412.73",
        }
    ],
    "shared": [
        {
            "name": "platform",
            "usd": "30.000000000000",
            "allocate": "usage",
            "stayed": False,
        }
    ],
    "currency": {"code": "EUR", "usd_rate": "0.92"},
    "closed_at": "2026-12-01T09:00:00Z",
    "closed_by": "user:faye",
    "digest": _DIGEST,
    "within": None,
    "adjustments_usd": "0",
}
_INCIDENT: dict[str, Any] = {
    "id": "inc_01m8kb7e3r106yq1q10c4g40mb",
    "kind": "budget",
    "node": "team:search",
    "subject": "team:search:usd_per_month@2026-11",
    "severity": "warning",
    "title": "team:search has used 80 % of its USD per month",
    "detail": "330.10 of 400.00 USD in 2026-11",
    "opened_at": _AT,
    "last_seen_at": _AT,
    "recovered_at": None,
    "facts": {"percent": 80, "used": "330.1", "amount": "400"},
}
_BUNDLE: dict[str, Any] = {
    "digest": _DIGEST,
    "revision": "7.1.0",
    "key_id": "compliance-2026",
    "tests": "128 passed",
    "uploaded_by": "user:cora",
    "uploaded_at": _AT,
}
_ACTIVATION: dict[str, Any] = {
    "action": "activate",
    "digest": _DIGEST,
    "revision": "7.1.0",
    "reason": "Release 7",
    "actor": "user:cora",
    "at": _AT,
}
_SCHEDULE: dict[str, Any] = {
    "id": "research-monthly",
    "organisation": "acme",
    "node": "department:research",
    "kind": "chargeback",
    "cadence": "monthly",
    "hour": 7,
    "to": ["finance@acme.example", "webhook:finance"],
    "since": _AT,
    "set_by": "user:bob",
    "time_zone": "Europe/Berlin",
    "per_department": False,
    "department_to": {},
    "etag": '"59a1e6d4c0b7f2839d5e1c64a8b07f31"',
}
_KEPT: dict[str, Any] = {
    "decision_id": _DECISION,
    "at": _AT,
    "organisation": "acme",
    "department": "research",
    "team": "search",
    "user": "alice",
    "asked_model": "gpt-4o-mini",
    "level": "redacted",
    "kept_until": "2026-12-20T12:00:00Z",
    "error_class": "none",
    "request_digest": "hmac-sha256:2026-11:4f1d",
    "response_digest": "hmac-sha256:2026-11:a07c",
    "request_bytes": 412,
    "response_bytes": 1180,
    "key_id": "2026-11",
    "is_cut": False,
    "gap": "",
}
_CALL: dict[str, Any] = {
    "decision_id": _DECISION,
    "at": _AT,
    "organisation": "acme",
    "department": "research",
    "team": "search",
    "project": None,
    "user": "alice",
    "application": None,
    "key_id": "key_01m8kb7e3r106yq1q10c4g40mb",
    "operation": "chat.completions",
    "asked_model": "gpt-4o-mini",
    "routed_model": "gpt-4o-mini",
    "served_model": "gpt-4o-mini-2024-07-18",
    "deployment_id": "openai-gpt-4o-mini",
    "provider": "openai",
    "region": "us",
    "transport": "direct",
    "is_streaming": False,
    "http_status": 200,
    "error_class": "none",
    "source": "provider",
    "input_tokens": 812,
    "cached_input_tokens": 0,
    "cache_write_tokens": 0,
    "output_tokens": 164,
    "reasoning_tokens": 0,
    "usd": "0.000220200000",
    "price_version": "contract/openai/gpt-4o-mini@2026-01-01#0a1b2c3d",
    "policy_revision": "7.1.0",
    "total_ms": 702.4,
    "time_to_first_token_ms": None,
    "overhead_ms": 3.6,
    "fallbacks": 0,
    "request_digest": None,
    "response_digest": None,
    "cache": "miss",
    "saved_usd": "0",
    "cost_centre": "cc-1",
    "use_case": "support",
    "priority": "interactive",
    "request_bytes": 412,
    "response_bytes": 1180,
    "data_labels": "",
    "approval_id": None,
    "routing_saved_usd": "0",
    "input_audio_tokens": None,
    "input_image_tokens": None,
    "output_audio_tokens": None,
    "cached_audio_tokens": None,
}

FIGURE_EXAMPLES: Mapping[str, Any] = MappingProxyType(
    {
        "ListedCosts": {
            **_MONTH,
            "interval": "none",
            "group_by": ["team"],
            "rows": [{**_SUMS, "start": None, "keys": {"team": "search"}}],
            "total": _SUMS,
            "next": None,
        },
        "Spend": {
            "month": "2026-11",
            "rows": [
                {
                    "department": "research",
                    "team": "search",
                    "model": "gpt-4o-mini",
                    "requests": 120,
                    "input_tokens": 81000,
                    "output_tokens": 20500,
                    "usd": "0.407500000000",
                    "cache_hits": 7,
                    "saved_usd": "0.021000000000",
                }
            ],
        },
        "Budgets": {
            "month": "2026-11",
            "rows": [
                {
                    "department": "research",
                    "team": "search",
                    "budget_usd": "400",
                    "used_usd": "0.407500000000",
                }
            ],
        },
        "Recent": {"rows": [_CALL], "next": None},
        "Values": {
            "rows": [{"value": "search", "usd": "0.407500000000"}, {"value": None, "usd": "0"}],
            "left_out": 0,
        },
        "Summary": {
            "as_of": _AT,
            "tz": "UTC",
            "month": "2026-11",
            "month_to_date": _SUMS,
            "last_month_to_date_usd": "0.380000000000",
            "last_month_usd": "0.610000000000",
            "budget_usd": "400",
            "forecast": {
                "usd": "0.640000000000",
                "low_usd": "0.590000000000",
                "high_usd": "0.700000000000",
                "method": "weekday_median",
            },
            "burn_usd_per_day": "0.02",
            "saved_by_cache_usd": "0.021000000000",
            "saved_by_routing_usd": "0.103000000000",
            "movers": [
                {
                    "department": "research",
                    "team": "search",
                    "usd": "0.150000000000",
                    "before_usd": "0.110000000000",
                    "change_usd": "0.040000000000",
                }
            ],
            "users": 12,
            "teams": 3,
        },
        "Hours": {
            "rows": [{"weekday": 0, "hour": 9, "requests": 14, "tokens": 9100, "usd": "0.051"}]
        },
        "Adoption": {
            "rows": [
                {"start": _AT, "users": 11, "applications": 2, "teams": 3, "requests": 120},
            ],
            "total": {"users": 12, "applications": 2, "teams": 3},
            "tz": "UTC",
        },
        "ListedReliability": {"rows": [_FARED], "total": {**_FARED, "keys": {}}},
        "ListedRefusals": {
            "rows": [
                {
                    "keys": {"team": "search", "code": "model_not_allowed", "rule": "llm.models"},
                    "count": 16,
                    "last_at": _AT,
                    "message": "Model not in the caller's list",
                }
            ],
            "total": 16,
            "next": None,
        },
        "ListedChargebacks": {
            "rows": [
                {
                    "id": "chb_01m8kb7e3r106yq1q10c4g40mb",
                    "organisation": "acme",
                    "period": "2026-11",
                    "closed_at": "2026-12-01T09:00:00Z",
                    "closed_by": "user:faye",
                    "total_usd": "412.730000000000",
                    "digest": _DIGEST,
                }
            ],
            "next": None,
        },
        "Statement": _STATEMENT,
        "ShownRules": RULES,
        "Reconciliation": {
            "rows": [
                {
                    "model": "gpt-4o-mini",
                    "invoiced_usd": "12.34",
                    "ledger_usd": "12.31",
                    "difference_usd": "0.03",
                    "note": "",
                }
            ],
            "invoiced_usd": "12.34",
            "ledger_usd": "12.31",
            "difference_usd": "0.03",
        },
        "ListedAlerts": {
            "rows": [
                {
                    "limit_key": "team:search:usd_per_month",
                    "period": "2026-11",
                    "percent": 80,
                    "node": "team:search",
                    "measure": "usd_per_month",
                    "at": _AT,
                    "used": "330.1",
                    "amount": "400",
                }
            ],
            "next": None,
        },
        "ListedIncidents": {"rows": [_INCIDENT], "next": None},
        "ListedChannels": {
            "rows": [
                {
                    "name": "ops",
                    "kind": "slack",
                    "kinds": ["provider_down", "error_rate"],
                    "least": "warning",
                    "waiting": 0,
                }
            ]
        },
        "Delivered": {"delivered": True},
        "ListedEvents": {
            "rows": [
                {
                    "chain": "org:acme",
                    "seq": 42,
                    "id": "evt_01m8kb7e3r106yq1q10c4g40mb",
                    "at": _AT,
                    "kind": "decision",
                    "actor": "user:alice",
                    "subject": f"decision:{_DECISION}",
                    "payload": {"allow": True},
                    "hash": _DIGEST,
                }
            ],
            "next": None,
        },
        "ListedCheckpoints": {
            "rows": [
                {
                    "type": "checkpoint",
                    "chain": "org:acme",
                    "seq": 1000,
                    "hash": _DIGEST,
                    "at": _AT,
                    "previous": "",
                    "key_id": "audit-2026",
                    "signature": "MEUCIQDk...",
                }
            ],
            "next": None,
        },
        "ListedPolicies": {
            "rows": [_BUNDLE],
            "standing": {"live": _DIGEST, "shadow": None, "shadow_run": 0, "live_run": 1},
            "history": [_ACTIVATION],
            "next": None,
        },
        "BundleRecord": _BUNDLE,
        "ActivationRecord": _ACTIVATION,
        "ShadowReport": {
            "bundle": _BUNDLE,
            "since": _AT,
            "counts": [
                {
                    "hour": _AT,
                    "organisation": "acme",
                    "team": "search",
                    "evaluated": 1200,
                    "differing": 14,
                    "failed": 0,
                    "dropped": 0,
                }
            ],
            "differences": [
                {
                    "at": _AT,
                    "live_revision": "7.0.0",
                    "organisation": "acme",
                    "team": "search",
                    "operation": "chat.completions",
                    "asked_model": "gpt-4o",
                    "kinds": ["denied", "codes"],
                    "before": {"allow": True, "permitted": ["openai-gpt-4o"], "codes": []},
                    "after": {"allow": False, "permitted": [], "codes": ["region_not_allowed"]},
                }
            ],
        },
        "ListedSchedules": {"rows": [_SCHEDULE], "next": None},
        "ShownSchedule": _SCHEDULE,
        "ListedRuns": {
            "rows": [
                {
                    "id": "run_01m8kb7e3r106yq1q10c4g40mb",
                    "schedule": "research-monthly",
                    "period": "2026-10",
                    "destination": "email",
                    "state": "sent",
                    "attempts": 1,
                    "at": _AT,
                    "next_at": _AT,
                    "sent_at": _AT,
                    "error": "",
                    "node": "department:research",
                }
            ],
            "next": None,
        },
        "ListedContent": {"rows": [_KEPT], "next": None},
        "Content": {
            "facts": _KEPT,
            "question": {"messages": [{"role": "user", "content": "Write to <PERSON_1>."}]},
            "answer": {"choices": [{"message": {"role": "assistant", "content": "Done."}}]},
        },
    }
)
"""By the type's name."""
