"""Sends questions to the policy service and reads its answers."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from dashboard.api.errors import (
    NotOffered,
    NotPermitted,
    Refused,
    ServiceFailure,
    SignInNeeded,
    Unreachable,
)
from dashboard.api.unanswered import Unanswered
from dashboard.settings import Settings

Query = Sequence[tuple[str, str]]
"""Parameters of a question; a name may come several times."""
Memory = Callable[[str, str, Query, Callable[[], bytes], float], bytes]
"""Remembers answers for a moment: who asks (a digest), the path, the query, how to ask, and how
many seconds old an answer may be."""
FRESH_S = 5.0
LARGEST: Query = (("limit", "1000"),)
"""For lists of which a page needs all: as few pages of an answer as the service gives."""

_Answer = TypeVar("_Answer")
_MOST_PAGES = 50
_NOT_TWICE = "Look whether it was done, or send the same again: it is not done twice."
_REFUSALS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)


@dataclass(frozen=True, slots=True)
class File:
    """What is downloaded."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class _Error:
    message: str


@dataclass(frozen=True, slots=True)
class _Told:
    """A failure's body: OpenAI's shape, or problem details."""

    error: _Error | None = None
    detail: str = ""


def unremembered(
    _who: str, _path: str, _query: Query, ask: Callable[[], bytes], _old_s: float
) -> bytes:
    """Remembers nothing."""
    return ask()


def segment(text: str) -> str:
    """Text as one segment of a path, whatever is in it."""
    return quote(text, safe="")


class Client:
    """The policy service, asked in somebody's name.

    Every method raises `ServiceFailure` when it cannot answer.

    Args:
        settings: Where it is.
        transport: In place of the network, for tests.
        memory: Remembers what was read for a moment, so that a page is drawn fast.
        called: What people call it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        transport: httpx.BaseTransport | None = None,
        memory: Memory = unremembered,
        called: str = "policy service",
    ) -> None:
        self._called = called
        self._url = settings.policy_url
        self._timeout_s = settings.timeout_s
        self._token = settings.admin_token
        self._speaks_for_person = False
        self._memory = memory
        self._unanswered = Unanswered()
        self._client = httpx.Client(
            base_url=settings.policy_url, timeout=settings.timeout_s, transport=transport
        )

    def speaking_for(self, access_token: str) -> Self:
        """The same service, with the same connections, asked in somebody's own name."""
        theirs = copy(self)
        theirs._token = access_token
        theirs._speaks_for_person = True
        return theirs

    def __enter__(self) -> Self:
        """Use it in a `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the connections."""
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def get(
        self, path: str, kind: type[_Answer], query: Query = (), *, old_s: float = FRESH_S
    ) -> _Answer:
        """Read an answer, or remember it.

        Args:
            path: Below `/admin/v1/`, or from the root when it begins with a slash.
            kind: What the answer is decoded into.
            query: Parameters.
            old_s: How many seconds old a remembered one may be.
        """
        content = self._memory(
            sha256(self._token.encode()).hexdigest(),
            path,
            tuple(query),
            lambda: self._sent("GET", path, query).content,
            old_s,
        )
        return self._decoded(content, kind)

    def pages(
        self,
        path: str,
        kind: type[_Answer],
        query: Query = (),
        *,
        old_s: float = FRESH_S,
        most: int = _MOST_PAGES,
    ) -> list[_Answer]:
        """Read an answer and those that follow it; `kind` has a `next`, the next one's cursor."""
        found: list[_Answer] = []
        cursor: str | None = None
        while not found or (cursor and len(found) < most):
            more = [("cursor", cursor)] if cursor else []
            found.append(self.get(path, kind, [*query, *more], old_s=old_s))
            cursor = getattr(found[-1], "next", None)
        return found

    def download(self, path: str, query: Query = ()) -> File:
        """A file, as the service names it."""
        answer = self._sent("GET", path, query)
        _, _, named = answer.headers.get("content-disposition", "").partition("filename=")
        name = named.split(";")[0].strip().strip('"') or path.rpartition("/")[2]
        return File(name, answer.headers.get("content-type", ""), answer.content)

    def post(self, path: str, kind: type[_Answer], body: object = None) -> _Answer:
        """Do something once, and read what came of it.

        When no answer comes, the same is sent with the same `Idempotency-Key` the next time.
        """
        packed = msgspec.json.encode(body or {})
        known, key = self._unanswered.key_of(self._token, path, packed)
        try:
            answer = self._answer("POST", path, (), packed, {"idempotency-key": key})
            if answer.status_code == HTTPStatus.CONFLICT and "retry-after" in answer.headers:
                self._unanswered.keep(known, key)  # the first one is still under way
            return self._decoded(self._good(answer).content or b"{}", kind)
        except Unreachable as lost:
            self._unanswered.keep(known, key)
            raise Unreachable(lost.what, f"{_NOT_TWICE} {lost.hint}") from lost

    def post_again(self, path: str, kind: type[_Answer], body: object) -> _Answer:
        """Ask what takes a body and changes nothing, however long the body is."""
        content = self._sent("POST", path, (), msgspec.json.encode(body)).content
        return self._decoded(content, kind)

    def put(self, path: str, kind: type[_Answer], body: object, query: Query = ()) -> _Answer:
        """Put something in place of what is there, and read what came of it."""
        return self._decoded(
            self._sent("PUT", path, query, msgspec.json.encode(body)).content, kind
        )

    def delete(self, path: str, query: Query = ()) -> None:
        """Take something away."""
        self._sent("DELETE", path, query)

    def _sent(self, method: str, path: str, query: Query, body: bytes = b"") -> httpx.Response:
        return self._good(self._answer(method, path, query, body, {}))

    def _answer(
        self, method: str, path: str, query: Query, body: bytes, more: Mapping[str, str]
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._token}", **more}
        try:
            return self._client.request(
                method,
                path if path.startswith("/") else f"/admin/v1/{path}",
                params=httpx.QueryParams(list(query)),
                content=body or None,
                headers=headers | ({"content-type": "application/json"} if body else {}),
            )
        except httpx.TimeoutException as error:
            raise Unreachable(
                f"The {self._called} at `{self._url}` did not answer within {self._timeout_s:g} s.",
                self._look_at("readyz"),
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"The {self._called} at `{self._url}` cannot be reached.", self._look_at("healthz")
            ) from error

    def _good(self, answer: httpx.Response) -> httpx.Response:
        if not answer.is_success:
            raise self._failure(answer)
        return answer

    def _decoded(self, content: bytes, kind: type[_Answer]) -> _Answer:
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise NotOffered(
                f"The {self._called}'s answer is not one this dashboard understands.",
                f"Check that `{self._url}` is the {self._called} and of the same version.",
            ) from error

    def _failure(self, answer: httpx.Response) -> ServiceFailure:
        status, told = answer.status_code, _message(answer)
        if status == HTTPStatus.FORBIDDEN:
            verb = "see" if answer.request.method == "GET" else "do"
            return NotPermitted(
                f"You may not {verb} this.",
                told or "Ask an administrator for a role that permits it.",
            )
        if status == HTTPStatus.UNAUTHORIZED:
            return self._unknown_person(told)
        if status in _REFUSALS:
            return Refused("That cannot be done.", told or "The service does not say why.")
        if status in _ABSENT:
            return NotOffered(
                f"This {self._called} does not offer this.",
                told or f"Update the {self._called} to the dashboard's version.",
            )
        if status == HTTPStatus.BAD_GATEWAY and told:
            return Refused("It was tried, and failed.", told)
        return Unreachable(
            f"The {self._called} answered {status}.", told or self._look_at("readyz")
        )

    def _unknown_person(self, told: str) -> ServiceFailure:
        if self._speaks_for_person:
            return SignInNeeded(
                "You are signed in no longer.", told or "Your sign-in has expired: sign in again."
            )
        return Unreachable(
            "The policy service does not accept the dashboard's token.",
            "Set `DASHBOARD_ADMIN_TOKEN` to the service's `POLICY_ADMIN_TOKEN`, then restart.",
        )

    def _look_at(self, path: str) -> str:
        return f"See what it says of itself: `curl {self._url}/{path}`"


def _message(answer: httpx.Response) -> str:
    """The sentence that the service sends for people to read."""
    try:
        told: Any = msgspec.json.decode(answer.content, type=_Told)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return ""
    if told.error is not None:
        return str(told.error.message)
    # The framework's own words for an address that is none say nothing to a manager.
    return "" if told.detail in ("Not Found", "Method Not Allowed") else str(told.detail)
