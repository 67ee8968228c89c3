"""The service's OpenAPI description, with what FastAPI does not see.

Requests and answers are dataclasses that msgspec reads and writes, and the routes that every call
waits for are plain Starlette ones; both are added here.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import FastAPI

from llm_core.policy.credential import Credential
from llm_core.policy.decision import TICKET_HEADER, Decision, DecisionRequest, UsageReport
from policy_service.api.admin_description import admin_kinds, described
from policy_service.api.examples import EXAMPLES
from policy_service.api.forward_auth import SECRET_HEADER
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import SettleOutcome
from policy_service.ports.reports import BudgetRow, SpendRow
from policy_service.services.health import ProvidersHealth
from policy_service.services.identify import IdentifyAnswer
from policy_service.services.self_service import Me, MyUsage

_Object = dict[str, Any]
_REFERENCE = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Settled:
    """What a usage report did."""

    outcome: SettleOutcome


@dataclass(frozen=True, slots=True)
class Spend:
    """A month's spend."""

    month: str
    rows: list[SpendRow]


@dataclass(frozen=True, slots=True)
class Recent:
    """The newest calls."""

    rows: list[UsageRow]
    next: str | None


@dataclass(frozen=True, slots=True)
class Budgets:
    """A month's budgets."""

    month: str
    rows: list[BudgetRow]


# Path, what it is for, and the types that are read and written.
_FOR_PLUGINS: tuple[tuple[str, str, type, type], ...] = (
    (
        "/v1/callers/identify",
        "Say who is behind a credential.",
        Credential,
        IdentifyAnswer,
    ),
    (
        "/v1/decisions",
        "Decide about a call, and reserve. The `answer` to the operation `me` is a `Me`, to "
        "`me.usage` a `MyUsage`, to `approvals.request` a `ShownApproval` with `is_new`.",
        DecisionRequest,
        Decision,
    ),
    (
        "/v1/decisions/{decision_id}/usage",
        "Take a report; it counts once. `x-gatehouse-journal` may say how the plugin's journal "
        "stands: `name=gw-1:/var/journal; waiting=12; oldest_s=56; full=0`.",
        UsageReport,
        Settled,
    ),
)
_CHANGES: _Object = {
    "get": {
        "summary": "Tell what to forget about callers.",
        "description": "A line of JSON for each change, for as long as somebody listens: `hello`, "
        "then `key` with `key_id`, `all`, `heartbeat`.",
        "security": [{"internal_secret": []}],
        "responses": {"200": {"description": "Lines", "content": {"application/x-ndjson": {}}}},
    }
}
_FORWARD_AUTH: _Object = {
    "post": {
        "summary": "Identify and decide for a gateway that asks before it proxies.",
        "description": "The client's headers and body, with `X-Forwarded-Method`, `-Uri` and "
        "`-For`. Whatever is answered but 200 is for the client.",
        "security": [{"gateway_secret": []}],
        "responses": {
            "200": {
                "description": "Allowed: proxy the call to the relay with the ticket.",
                "headers": {
                    TICKET_HEADER: {"description": "For the relay.", "schema": {"type": "string"}}
                },
            }
        },
    }
}
FOR_ADMINS: dict[str, type] = {
    "/admin/v1/usage/spend": Spend,
    "/admin/v1/usage/recent": Recent,
    "/admin/v1/budgets": Budgets,
    "/v1/providers/health": ProvidersHealth,
}
_RELAYED = ("chat/completions", "completions", "embeddings", "responses", "messages")
_SCHEMES: _Object = {
    "internal_secret": {"type": "http", "scheme": "bearer", "description": "For the plugins."},
    "metrics_token": {
        "type": "http",
        "scheme": "bearer",
        "description": "`POLICY_METRICS_TOKEN`; not needed with `POLICY_METRICS_OPEN`.",
    },
    "admin_token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An admin token, or an access token of the company's identity provider.",
    },
    "gateway_secret": {
        "type": "apiKey",
        "in": "header",
        "name": SECRET_HEADER,
        "description": "For a gateway without the plugins.",
    },
    "ticket": {"type": "apiKey", "in": "header", "name": "x-gatehouse-ticket"},
}


class DescribedService(FastAPI):
    """A FastAPI application that describes all of its routes."""

    def openapi(self) -> _Object:
        """The description; made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _completed(_with_our_failures(super().openapi()))
        return self.openapi_schema


def _with_our_failures(made: _Object) -> _Object:
    """FastAPI describes a 422 of its own; `api.wire` answers 400 instead, as everywhere."""
    for item in made["paths"].values():
        for operation in item.values():
            if operation["responses"].pop("422", None) is not None:
                operation["responses"]["400"] = {"description": "The error says what is wrong."}
    schemas = made.get("components", {}).get("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return made


def _completed(made: _Object) -> _Object:
    kinds = [kind for _, _, *both in _FOR_PLUGINS for kind in both] + [*FOR_ADMINS.values()]
    kinds += [Me, MyUsage, *admin_kinds()]
    kinds = list(dict.fromkeys(kinds))
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    paths: _Object = {path: dict(item) for path, item in made["paths"].items()}
    for path, told, asked, answered in _FOR_PLUGINS:
        paths[path] = {"post": _operation(path, told, asked, answered)}
    paths["/v1/callers/changes"] = _CHANGES
    paths["/v1/forward-auth"] = _FORWARD_AUTH
    for path, answered in FOR_ADMINS.items():
        paths[path]["get"] = {
            **paths[path]["get"],
            "security": [{"admin_token": []}],
            "responses": {**paths[path]["get"]["responses"], "200": _body("OK", answered)},
        }
    described(paths)
    for name in _RELAYED:
        paths[f"/relay/v1/{name}"] = {
            "post": {
                "summary": "Serve a call that was decided on.",
                "description": "The client's own request and answer; the ticket knows in which "
                "API. Every other path of the relay is 503.",
                "security": [{"ticket": []}],
                "responses": {"200": {"description": "The answer, whole or as events"}},
            }
        }
    components = made.get("components", {})
    return {
        **made,
        "paths": paths,
        "components": {
            **components,
            "schemas": {**components.get("schemas", {}), **_shortened(schemas)},
            "securitySchemes": _SCHEMES,
        },
    }


def _shortened(schemas: _Object) -> _Object:
    """Keep the first line of each docstring: what stands below it is for who reads the code."""
    return {
        name: {**schema, "description": schema["description"].splitlines()[0]}
        for name, schema in schemas.items()
    }


def _operation(path: str, told: str, asked: type, answered: type) -> _Object:
    named = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return {
        "summary": told,
        "security": [{"internal_secret": []}],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in named
        ],
        "requestBody": {"required": True, "content": _content(asked)},
        "responses": {"200": _body("OK", answered)},
    }


def _body(told: str, kind: type) -> _Object:
    return {"description": told, "content": _content(kind)}


def _content(kind: type) -> _Object:
    told: _Object = {"schema": {"$ref": _REFERENCE.format(name=kind.__name__)}}
    example = EXAMPLES.get(kind.__name__)
    return {"application/json": told if example is None else {**told, "example": example}}
