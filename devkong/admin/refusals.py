"""What the Admin API answers when it does not do something (kong/db/errors.lua)."""

from typing import Any


class Refused(Exception):
    """The Admin API does not do it.

    Attributes:
        status: Of the answer.
        body: Its JSON.
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body.get("message"))
        self.status = status
        self.body = body


def not_found() -> Refused:
    """There is no such entity."""
    return Refused(404, {"message": "Not found"})


def not_allowed() -> Refused:
    """The address knows other methods."""
    return Refused(405, {"message": "Method not allowed"})


def no_json() -> Refused:
    """The body is no JSON object."""
    return Refused(400, {"message": "Cannot parse JSON body"})


def violation(place: tuple[str, ...], problem: str) -> Refused:
    """An entity does not fit its schema.

    Args:
        place: The field, from the outside in; empty for the entity as a whole.
        problem: What Kong says of it.
    """
    fields: Any = [problem] if not place else problem
    for name in reversed(place or ("@entity",)):
        fields = {name: fields}
    where = ".".join(place or ("@entity",))
    message = f"schema violation ({where}: {problem})"
    return Refused(
        400, {"code": 2, "name": "schema violation", "message": message, "fields": fields}
    )


def dangling(kind: str, reference: object) -> Refused:
    """A reference leads nowhere."""
    message = f"the foreign key '{reference}' does not reference an existing '{kind}' entity."
    return Refused(400, {"code": 4, "name": "foreign key violation", "message": message})


def still_used(kind: str, by: str) -> Refused:
    """Another entity needs this one."""
    message = f"an existing '{by}' entity references this '{kind}' entity"
    body = {"code": 4, "name": "foreign key violation", "message": message}
    return Refused(400, {**body, "fields": {"@referenced_by": by}})


def taken(fields: dict[str, Any]) -> Refused:
    """Another entity has what must be unique."""
    shown = ",".join(f"{name}={value!r}" for name, value in sorted(fields.items()))
    message = f"UNIQUE violation detected on '{{{shown}}}'"
    body = {"code": 5, "name": "unique constraint violation", "message": message}
    return Refused(409, {**body, "fields": fields})


def without_database(verb: str, kind: str) -> Refused:
    """A node without a database takes no entities."""
    message = f"cannot {verb} '{kind}' entities when not using a database"
    return Refused(405, {"code": 12, "name": "operation unsupported", "message": message})


def with_database() -> Refused:
    """A Kong with a database takes no declarative file (kong/api/routes/config.lua)."""
    message = "this endpoint is only available when Kong is configured to not use a database"
    return Refused(400, {"message": message})


def no_declaration(problem: str) -> Refused:
    """A declarative file does not fit."""
    message = f"declarative config is invalid: {problem}"
    return Refused(
        400, {"code": 14, "name": "invalid declarative configuration", "message": message}
    )
