"""API keys at a policy service, and at its database: the same questions, the same answers.

A key is a `dict` as `GET /admin/v1/keys/{id}` has it. What cannot be ends the command.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from policy_service.cli.asking import asking, every_row
from policy_service.cli.database import operator, with_database
from policy_service.cli.failures import fail, misused, needs
from policy_service.cli.places import Place
from policy_service.cli.server import AdminApi, path_part

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from policy_service.adapters.sql.keys import ApiKeys
    from policy_service.ports.keys import IssuedKey, KeyRecord

T = TypeVar("T")
Key = dict[str, Any]
_PATH = "/admin/v1/keys"


class KeyPlace(Protocol):
    """Where keys are."""

    def issue(self, asked: Mapping[str, Any]) -> Key:
        """Make a key as `POST /admin/v1/keys` takes it; `key` in the answer is its text."""

    def rotate(
        self, key_id: str, overlap: timedelta, expires_at: datetime | None, if_match: str | None
    ) -> Key:
        """Give it a new text, `key` in the answer."""

    def revoke(self, key_id: str, if_match: str | None) -> None:
        """End it."""

    def listed(self, team: str | None) -> list[Key]:
        """Those of a team, or all that one may see."""

    def find(self, key_id: str) -> Key:
        """One; with its `etag` if changes are compared with that."""

    def find_by_text(self, text: str) -> Key | None:
        """Whose text it is, or was until its rotation."""


@contextmanager
def keys_at(place: Place, redis_url: str | None = None) -> Iterator[KeyPlace]:
    """The keys there.

    Args:
        place: A service, or a database.
        redis_url: Of the services at the database, to have a change heard at once.
    """
    if place.server is None:
        yield _KeysAtDatabase(place.database_url, redis_url)
        return
    with asking(place.server, place.token) as api:
        yield _KeysAtService(api)


@dataclass(frozen=True, slots=True)
class _KeysAtService:
    api: AdminApi

    def issue(self, asked: Mapping[str, Any]) -> Key:
        made: Key = self.api.ask("POST", _PATH, body=asked)
        return made

    def rotate(
        self, key_id: str, overlap: timedelta, expires_at: datetime | None, if_match: str | None
    ) -> Key:
        made: Key = self.api.ask(
            "POST",
            f"{_PATH}/{path_part(key_id)}/rotate",
            body={"overlap_s": overlap.total_seconds(), "expires_at": expires_at},
            if_match=if_match,
        )
        return made

    def revoke(self, key_id: str, if_match: str | None) -> None:
        self.api.ask("DELETE", f"{_PATH}/{path_part(key_id)}", if_match=if_match)

    def listed(self, team: str | None) -> list[Key]:
        return list(every_row(self.api, _PATH, {} if team is None else {"team": team}))

    def find(self, key_id: str) -> Key:
        found, etag = self.api.ask_tagged(f"{_PATH}/{path_part(key_id)}")
        return {**found, "etag": etag}

    def find_by_text(self, text: str) -> Key | None:
        """By its first characters, 47 random bits, for the text is not sent anywhere."""
        for one in self.listed(None):
            if text.startswith(one["prefix"]):
                return one
            if one["former_prefix"] is not None and text.startswith(one["former_prefix"]):
                return _former(one)
        return None


@dataclass(frozen=True, slots=True)
class _KeysAtDatabase:
    url: str
    redis_url: str | None

    def issue(self, asked: Mapping[str, Any]) -> Key:
        with needs("service"):
            from policy_service.ports.keys import Scopes
            from policy_service.ports.organisation import Holder

        holder = Holder(
            team=asked["team"],
            project=asked["project"],
            user=asked["user"],
            application=asked["application"],
            allowed_models=asked["allowed_models"],
        )
        scopes = Scopes(tuple(asked["operations"]), tuple(asked["networks"]), asked["priority"])
        return _issued(
            self._with(
                lambda keys: keys.issue_key(
                    asked["name"],
                    holder,
                    scopes=scopes,
                    expires_at=asked["expires_at"],
                    actor=operator(),
                )
            )
        )

    def rotate(
        self, key_id: str, overlap: timedelta, expires_at: datetime | None, if_match: str | None
    ) -> Key:
        _refuse(if_match)
        return _issued(
            self._with(
                lambda keys: keys.rotate_key(
                    key_id, overlap=overlap, expires_at=expires_at, actor=operator()
                )
            )
        )

    def revoke(self, key_id: str, if_match: str | None) -> None:
        _refuse(if_match)
        if not self._with(lambda keys: keys.revoke_key(key_id, actor=operator())):
            raise fail(f"there is no live key {key_id!r}; see `gatehouse keys list`")

    def listed(self, team: str | None) -> list[Key]:
        return [_shown(one) for one in self._with(lambda keys: keys.list_keys(team=team))]

    def find(self, key_id: str) -> Key:
        found = self._with(lambda keys: keys.find(key_id))
        if found is None:
            raise fail(f"there is no key {key_id!r}; see `gatehouse keys list`")
        return _shown(found)

    def find_by_text(self, text: str) -> Key | None:
        found = self._with(lambda keys: keys.find_by_text(text))
        return None if found is None else _shown(found)

    def _with(self, work: "Callable[[ApiKeys], Awaitable[T]]") -> T:
        """Work on the keys; with a Redis, have the services look at once what has changed."""
        with needs("service"):
            from policy_service.adapters.redis_changes import RedisWakes
            from policy_service.adapters.sql.keys import ApiKeys

        async def run(engine: "AsyncEngine") -> T:
            done = await work(ApiKeys(engine))
            if self.redis_url is not None:
                wakes = RedisWakes(self.redis_url)
                try:
                    await wakes.send()
                finally:
                    await wakes.close()
            return done

        return with_database(self.url, run)


def _former(key: Key) -> Key:
    """The same key, with the end and the state of the text that it had before its rotation."""
    ends = [key[name] for name in ("former_until", "expires_at") if key[name] is not None]
    end = min(ends, key=datetime.fromisoformat, default=None)
    is_over = end is not None and datetime.fromisoformat(end) <= datetime.now(UTC)
    state = "expired" if is_over and key["state"] == "live" else key["state"]
    return {**key, "expires_at": end, "state": state}


def _shown(record: "KeyRecord") -> Key:
    used = record.last_used_at
    return {
        **record.shown(),
        "last_used_at": None if used is None else used.isoformat(),
        "state": record.state(datetime.now(UTC)).value,
    }


def _issued(made: "IssuedKey") -> Key:
    return {**_shown(made.record), "ended_prefix": made.ended_prefix, "key": made.text}


def _refuse(if_match: str | None) -> None:
    if if_match is not None:
        raise misused("--if-match is for a service: there is no ETag at the database")
