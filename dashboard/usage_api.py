"""Asks the policy service what was used."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Protocol, Self, TypeVar

import httpx
import msgspec

from dashboard.settings import Settings


@dataclass(frozen=True, slots=True)
class SpendRow:
    """A month's sums for one team and one asked model; money exact."""

    department: str
    team: str
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A team's budget for a month and what it has used; `None` when it has no budget."""

    department: str
    team: str
    budget_usd: Decimal | None
    used_usd: Decimal


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call, as far as the dashboard shows it; the service sends more."""

    at: datetime
    team: str
    asked_model: str
    served_model: str | None
    http_status: int
    error_class: str
    input_tokens: int | None
    output_tokens: int | None
    usd: Decimal
    total_ms: float | None = None


class UsageUnavailable(Exception):
    """The figures cannot be had.

    Args:
        what: One sentence on what is wrong, in Markdown.
        hint: One sentence on what to do about it, in Markdown.
    """

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class SignInNeeded(UsageUnavailable):
    """Whoever looks is signed in no longer."""


class NotPermitted(UsageUnavailable):
    """Whoever looks may not see this."""


class UsageApi(Protocol):
    """What the pages need. Every method raises `UsageUnavailable` when it cannot answer."""

    def spend(self, month: str) -> Sequence[SpendRow]:
        """By department, team and model; `month` is written `2026-11`."""
        ...

    def budgets(self, month: str) -> Sequence[BudgetRow]:
        """Every team."""
        ...

    def recent(self, limit: int) -> Sequence[CallRow]:
        """The newest calls, newest first."""
        ...


@dataclass(frozen=True, slots=True)
class _SpendAnswer:
    rows: list[SpendRow]


@dataclass(frozen=True, slots=True)
class _BudgetAnswer:
    rows: list[BudgetRow]


@dataclass(frozen=True, slots=True)
class _RecentAnswer:
    rows: list[CallRow]


@dataclass(frozen=True, slots=True)
class _Error:
    message: str


@dataclass(frozen=True, slots=True)
class _Refusal:
    error: _Error


_Answer = TypeVar("_Answer")


class HttpUsageApi:
    """The policy service's admin API.

    Args:
        settings: Where it is.
        transport: In place of the network, for tests.
    """

    def __init__(self, settings: Settings, *, transport: httpx.BaseTransport | None = None) -> None:
        self._url = settings.policy_url
        self._timeout_s = settings.timeout_s
        self._token = settings.admin_token
        self._speaks_for_person = False
        self._client = httpx.Client(
            base_url=f"{settings.policy_url}/admin/v1/",
            timeout=settings.timeout_s,
            transport=transport,
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
        self._client.close()

    def spend(self, month: str) -> list[SpendRow]:
        """`GET /admin/v1/usage/spend`."""
        return self._get("usage/spend", {"month": month}, _SpendAnswer).rows

    def budgets(self, month: str) -> list[BudgetRow]:
        """`GET /admin/v1/budgets`."""
        return self._get("budgets", {"month": month}, _BudgetAnswer).rows

    def recent(self, limit: int) -> list[CallRow]:
        """`GET /admin/v1/usage/recent`."""
        return self._get("usage/recent", {"limit": str(limit)}, _RecentAnswer).rows

    def _get(self, path: str, query: Mapping[str, str], kind: type[_Answer]) -> _Answer:
        try:
            answer = self._client.get(
                path, params=dict(query), headers={"authorization": f"Bearer {self._token}"}
            )
        except httpx.TimeoutException as error:
            raise UsageUnavailable(
                f"The policy service at `{self._url}` did not answer within {self._timeout_s:g} s.",
                self._look_at("readyz"),
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise UsageUnavailable(
                f"The policy service at `{self._url}` cannot be reached.", self._look_at("healthz")
            ) from error
        self._check_access(answer)
        if not answer.is_success:
            raise UsageUnavailable(
                f"The policy service answered {answer.status_code} to a question about usage.",
                self._look_at("readyz"),
            )
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise UsageUnavailable(
                "The policy service's answer is not one this dashboard understands.",
                f"Check that `{self._url}` is the policy service and of the same version.",
            ) from error

    def _check_access(self, answer: httpx.Response) -> None:
        if answer.status_code == HTTPStatus.FORBIDDEN:
            raise NotPermitted(
                "You may not see this.", _message(answer) or "Ask an administrator for a role."
            )
        if answer.status_code != HTTPStatus.UNAUTHORIZED:
            return
        if self._speaks_for_person:
            raise SignInNeeded(
                "You are signed in no longer.",
                _message(answer) or "Your sign-in has expired: sign in again.",
            )
        raise UsageUnavailable(
            "The policy service does not accept the dashboard's token.",
            "Set `DASHBOARD_ADMIN_TOKEN` to the service's `POLICY_ADMIN_TOKEN`, then restart.",
        )

    def _look_at(self, path: str) -> str:
        return f"See what it says of itself: `curl {self._url}/{path}`"


def _message(answer: httpx.Response) -> str:
    """The sentence that the service sends for people to read."""
    try:
        return msgspec.json.decode(answer.content, type=_Refusal).error.message
    except (msgspec.ValidationError, msgspec.DecodeError):
        return ""
