"""Writes a company's records as the file that asks for them; no I/O."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import yaml

from llm_core.policy.roles import PLATFORM
from policy_service.adapters.sql.organisation.parts import (
    KINDS,
    Record,
    id_of,
    is_over,
    key_subject,
    kind_of,
)

_Document = dict[str, Any]
_DEFAULTS: Mapping[str, Any] = {"is_active": True, "priority": "interactive"}
_HELD_AT = ("team", "project")


def document_of(parts: Mapping[str, Record], now: datetime) -> _Document:
    """The file's content, in JSON's types: amounts are text, and what is a default is left out.

    Args:
        parts: One whole organisation. One entry stands for all keys of a name in a team.
        now: Keys that had expired by then are not asked for again.
    """
    expired = {
        subject
        for subject, record in parts.items()
        if kind_of(subject) == "key" and is_over(record, now)
    }
    living = {
        subject: record
        for subject, record in parts.items()
        if subject not in expired and record.get("node") not in expired
    }
    return _Export(living).company()


def to_yaml(document: Mapping[str, Any]) -> str:
    """The file's text: amounts as plain numbers, and short entries on one line."""
    return yaml.dump(
        _numbered(document),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )


class _Dumper(yaml.SafeDumper):
    """Writes decimals exactly, and no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_decimal(dumper: yaml.SafeDumper, value: Decimal) -> yaml.ScalarNode:
    text = f"{value:f}"
    tag = "float" if "." in text else "int"
    return dumper.represent_scalar(f"tag:yaml.org,2002:{tag}", text)


_Dumper.add_representer(Decimal, _represent_decimal)


class _Export:
    """One export: the records by kind, and what hangs on each node."""

    def __init__(self, parts: Mapping[str, Record]) -> None:
        self._by_kind: dict[str, dict[str, Record]] = {kind: {} for kind in KINDS}
        self._limits: dict[str, list[Record]] = defaultdict(list)
        self._roles: dict[str, list[Record]] = defaultdict(list)
        for subject in sorted(parts):
            record = parts[subject]
            match kind_of(subject):
                case "limit":
                    self._limits[record["node"]].append(record)
                case "role":
                    self._roles[record["node"]].append(record)
                case kind:
                    self._by_kind[kind][subject] = record
        self._groups = {
            id_of(subject).partition(":")[2]: record["models"]
            for subject, record in self._by_kind["model_group"].items()
        }
        self._applications = self._by_kind["application"]
        self._keys = {
            subject: record
            for subject, record in self._by_kind["key"].items()
            if subject == key_subject(record["team"], record["name"])
        }

    def company(self) -> _Document:
        [(subject, record)] = self._by_kind["organisation"].items()
        platform = self._roles_on(PLATFORM)
        return {
            "id": id_of(subject),
            **_told({**record, "name": _name(subject, record)}),
            **self._on(subject),
            **_some("platform_roles", platform),
            **_some("model_groups", self._groups),
            **_some(
                "cost_centres",
                [
                    _named(one, record, "organisation")
                    for one, record in self._by_kind["cost_centre"].items()
                ],
            ),
            **_some("users", [self._user(*one) for one in self._by_kind["user"].items()]),
            **_some("departments", [self._department(*one) for one in self._in("department")]),
        }

    def _in(self, kind: str, **where: str | None) -> Iterable[tuple[str, Record]]:
        for subject, record in self._by_kind[kind].items():
            if all(record[field] == value for field, value in where.items()):
                yield subject, record

    def _user(self, subject: str, record: Record) -> _Document:
        return _named(subject, record, "organisation") | self._limits_on(subject)

    def _department(self, subject: str, record: Record) -> _Document:
        teams = self._in("team", department=id_of(subject))
        return {
            **_named(subject, record, "organisation"),
            **self._on(subject),
            **_some("teams", [self._team(*team) for team in teams]),
        }

    def _team(self, subject: str, record: Record) -> _Document:
        projects = self._in("project", team=id_of(subject))
        return {
            **_named(subject, record, "department"),
            **self._on(subject),
            **self._held(team=id_of(subject), project=None),
            **_some("projects", [self._project(*project) for project in projects]),
        }

    def _project(self, subject: str, record: Record) -> _Document:
        return {
            **_named(subject, record, "team"),
            **self._on(subject),
            **self._held(team=record["team"], project=id_of(subject)),
        }

    def _held(self, **where: str | None) -> _Document:
        applications = list(self._in("application", **where))
        own = {id_of(subject) for subject, _ in applications}
        keys = [
            (subject, record)
            for subject, record in self._keys.items()
            if all(record[field] == value for field, value in where.items())
        ]
        groups = [
            dict(zip(("source", "name"), id_of(one).split(" ", 1), strict=True))
            | _told(record, *_HELD_AT)
            for one, record in self._in("group", **where)
        ]
        return {
            **_some("applications", [self._application(*one, keys) for one in applications]),
            **_some("groups", groups),
            **_some("keys", [self._key(*key) for key in keys if key[1]["application"] not in own]),
            **_some(
                "consumers",
                [_told(record, *_HELD_AT) for _, record in self._in("consumer", **where)],
            ),
        }

    def _application(
        self, subject: str, record: Record, keys: Iterable[tuple[str, Record]]
    ) -> _Document:
        own = [key for key in keys if key[1]["application"] == id_of(subject)]
        return {
            **_named(subject, record, *_HELD_AT),
            **self._limits_on(subject),
            **_some("keys", [self._key(*key, "application") for key in own]),
        }

    def _key(self, subject: str, record: Record, *without: str) -> _Document:
        return _told(record, *_HELD_AT, *without) | self._limits_on(subject)

    def _on(self, node: str) -> _Document:
        return self._limits_on(node) | _some("roles", self._roles_on(node))

    def _roles_on(self, node: str) -> list[_Document]:
        return [
            {"role": one["role"], kind_of(one["subject"]): id_of(one["subject"])}
            for one in self._roles[node]
        ]

    def _limits_on(self, node: str) -> _Document:
        by_scope: dict[str, _Document] = defaultdict(dict)
        for one in self._limits[node]:
            long = {"amount": one["amount"], "interactive_share": one["interactive_share"]}
            is_short = one["interactive_share"] == "0"
            by_scope[one["scope"]][one["measure"]] = one["amount"] if is_short else long
        whole = by_scope.pop("", {})
        by_model = {self._model_name(scope): limits for scope, limits in by_scope.items()}
        return _some("limits", whole) | _some("model_limits", by_model)

    def _model_name(self, scope: str) -> str:
        """What the file writes; with its kind where the name alone would mean something else."""
        name = id_of(scope)
        if kind_of(scope) == "group":
            return name
        is_clear = name not in self._groups and not name.startswith(("model:", "group:"))
        return name if is_clear else scope


def _named(subject: str, record: Record, *without: str) -> _Document:
    own = {**record, "name": _name(subject, record)}
    return {"id": id_of(subject)} | _told(own, *without)


def _name(subject: str, record: Record) -> str | None:
    """A name that says more than the id."""
    return None if record["name"] == id_of(subject) else record["name"]


def _told(record: Record, *without: str) -> _Document:
    """The fields that say something; no models at all (`[]`) is much said."""
    return {
        field: value
        for field, value in record.items()
        if field not in without
        and value is not None
        and value != _DEFAULTS.get(field)
        and (value != [] or field == "allowed_models")
    }


def _some(field: str, value: Any) -> _Document:  # noqa: ANN401 - a list or a mapping
    return {field: value} if value else {}


def _numbered(value: Any) -> Any:  # noqa: ANN401 - a document's part
    """Amounts as decimals, which YAML writes as numbers."""
    if isinstance(value, Mapping):
        return {
            field: _limits_numbered(one) if field in ("limits", "model_limits") else _numbered(one)
            for field, one in value.items()
        }
    return [_numbered(one) for one in value] if isinstance(value, list) else value


def _limits_numbered(value: Any) -> Any:  # noqa: ANN401 - amounts, at whatever depth
    if isinstance(value, Mapping):
        return {field: _limits_numbered(one) for field, one in value.items()}
    return Decimal(value)
