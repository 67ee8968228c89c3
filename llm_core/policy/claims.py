"""What an identity provider says of somebody, in our terms."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_LONGEST = 400
_MOST = 200
_LATEST_S = 253_402_300_799
"""The last second that a `datetime` can hold."""


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Which claim holds what; a dot goes into a nested one (`realm_access.roles`). Empty: none.

    Args:
        application: Best one that only a service account's token has, such as `client_id` of
            Keycloak; it says that a program calls.
    """

    user: str = "sub"
    email: str = "email"
    team: str = "team"
    project: str = "project"
    application: str = ""
    groups: str = "groups"
    roles: str = "roles"
    clearance: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says.

    Args:
        issuer: Who says so.
        subject: The issuer's own id of whom it is about; empty when it is none that could be
            written down, and then nobody is known by it.
        expires_at: UTC.
        email: Only when the issuer says that it was confirmed: else it is anybody's.
        is_home: Whether the issuer may name users and applications of ours, and groups of
            administrators, as if they were its own. Any other speaks of its own subjects only.
    """

    issuer: str
    subject: str
    expires_at: datetime
    user: str | None = None
    email: str | None = None
    team: str | None = None
    project: str | None = None
    application: str | None = None
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    clearance: str | None = None
    is_home: bool = False


def claims_of(payload: Mapping[str, Any], names: ClaimNames, *, is_home: bool = False) -> Claims:
    """Read a token's verified payload.

    Nothing that has a control character in it, is over 400 characters long, or is of another type
    is heeded: headers and logs carry these values on.

    Args:
        payload: With `iss`, `sub` and `exp`, which whoever verified it has seen to.
        names: Where to look.
        is_home: See `Claims`.
    """
    # Some issuers write the word.
    is_confirmed = payload.get("email_verified") in (True, "true")
    return Claims(
        issuer=_text(payload, "iss") or "",
        subject=_text(payload, "sub") or "",
        expires_at=_moment(payload["exp"]),
        user=_text(payload, names.user),
        email=_text(payload, names.email) if is_confirmed else None,
        team=_text(payload, names.team),
        project=_text(payload, names.project),
        application=_text(payload, names.application),
        groups=_texts(payload, names.groups),
        roles=_texts(payload, names.roles),
        clearance=_text(payload, names.clearance),
        is_home=is_home,
    )


def _text(payload: Mapping[str, Any], name: str) -> str | None:
    value = _at(payload, name)
    return value if isinstance(value, str) and _is_plain(value) else None


def _texts(payload: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = _at(payload, name)
    found: object = value.split() if isinstance(value, str) else value
    if not isinstance(found, list):
        return ()
    plain = (one for one in found if isinstance(one, str) and _is_plain(one))
    return tuple(dict.fromkeys(plain))[:_MOST]


def _at(payload: Mapping[str, Any], name: str) -> object:
    """The claim of that name; a URL is a name, though it has dots."""
    if not name:
        return None
    if name in payload:
        return payload[name]
    value: object = payload
    for step in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _moment(value: object) -> datetime:
    """A token's time; what is none has long been over, and the latest is the calendar's end."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return datetime.fromtimestamp(0, UTC)
    return datetime.fromtimestamp(min(value, _LATEST_S), UTC)


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and text.isprintable()
