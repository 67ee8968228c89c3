"""Limits and raises at a policy service, and at its database: the same questions and answers.

A limit is a `dict` as a row of `GET /admin/v1/limits`, a raise as one of `GET
/admin/v1/limits/raises`. What cannot be ends the command.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from llm_core.policy.limits import Limit, Measure
from policy_service.cli.asking import asking, every_row
from policy_service.cli.database import operator, with_database
from policy_service.cli.failures import fail, misused, needs
from policy_service.cli.places import Place
from policy_service.cli.server import AdminApi, path_part

if TYPE_CHECKING:
    from policy_service.adapters.sql.organisation import Organisation

T = TypeVar("T")
Row = dict[str, Any]
_PATH = "/admin/v1/limits"


@dataclass(frozen=True, slots=True)
class NewRaise:
    """As `POST /admin/v1/limits/raises` takes it."""

    node: str
    scope: str
    measure: Measure
    amount: Decimal
    until: datetime
    reason: str


class LimitPlace(Protocol):
    """Where limits are."""

    def limits(self, node: str | None) -> list[Row]:
        """Those of a node, or all that one may see; with `etag` if changes are compared."""

    def put(self, limit: Limit, if_match: str | None) -> None:
        """Set or change one."""

    def lift(self, limit: Limit, if_match: str | None) -> None:
        """Remove one, whatever its amount."""

    def raises(self, node: str | None, *, past: bool) -> list[Row]:
        """Those that hold or will, or all."""

    def add_raise(self, wanted: NewRaise) -> Row:
        """Give more, from now on."""

    def withdraw(self, raise_id: str) -> None:
        """End a raise."""


@contextmanager
def limits_at(place: Place) -> Iterator[LimitPlace]:
    """The limits there."""
    if place.server is None:
        yield _LimitsAtDatabase(place.database_url)
        return
    with asking(place.server, place.token) as api:
        yield _LimitsAtService(api)


@dataclass(frozen=True, slots=True)
class _LimitsAtService:
    api: AdminApi

    def limits(self, node: str | None) -> list[Row]:
        return list(every_row(self.api, _PATH, _at(node)))

    def put(self, limit: Limit, if_match: str | None) -> None:
        body = {
            "node": limit.node,
            "scope": limit.scope,
            "measure": limit.measure,
            "amount": limit.amount,
            "interactive_share": limit.interactive_share,
        }
        self.api.ask("PUT", _PATH, body=body, if_match=if_match)

    def lift(self, limit: Limit, if_match: str | None) -> None:
        query: dict[str, str | list[str]] = {
            "node": limit.node,
            "measure": limit.measure.value,
            "scope": limit.scope,
        }
        self.api.ask("DELETE", _PATH, query=query, if_match=if_match)

    def raises(self, node: str | None, *, past: bool) -> list[Row]:
        query = {**_at(node), "with_past": str(past).lower()}
        return list(every_row(self.api, f"{_PATH}/raises", query))

    def add_raise(self, wanted: NewRaise) -> Row:
        made: Row = self.api.ask("POST", f"{_PATH}/raises", body=wanted)
        return made

    def withdraw(self, raise_id: str) -> None:
        self.api.ask("DELETE", f"{_PATH}/raises/{path_part(raise_id)}")


@dataclass(frozen=True, slots=True)
class _LimitsAtDatabase:
    url: str

    def limits(self, node: str | None) -> list[Row]:
        found = self._with(lambda organisation: organisation.limits())
        return [_row(one) for one in found if node in (None, one.node)]

    def put(self, limit: Limit, if_match: str | None) -> None:
        _refuse(if_match)
        self._with(lambda organisation: organisation.put_limit(limit, operator()))

    def lift(self, limit: Limit, if_match: str | None) -> None:
        _refuse(if_match)
        if not self._with(
            lambda organisation: organisation.remove_limit(
                limit.node, limit.measure, limit.scope, operator()
            )
        ):
            raise fail("there is no such limit; see `gatehouse limits list`")

    def raises(self, node: str | None, *, past: bool) -> list[Row]:
        found = self._with(lambda organisation: organisation.raises(node, with_past=past))
        return [_row(one) for one in found]

    def add_raise(self, wanted: NewRaise) -> Row:
        return _row(
            self._with(
                lambda organisation: organisation.raise_limit(
                    wanted.node,
                    wanted.scope,
                    wanted.measure,
                    wanted.amount,
                    until=wanted.until,
                    author=operator(),
                    reason=wanted.reason,
                )
            )
        )

    def withdraw(self, raise_id: str) -> None:
        if not self._with(lambda organisation: organisation.withdraw_raise(raise_id, operator())):
            raise fail(f"there is no raise {raise_id!r} that holds; see `gatehouse limits raises`")

    def _with(self, work: "Callable[[Organisation], Awaitable[T]]") -> T:
        with needs("service"):
            from policy_service.adapters.sql.organisation import Organisation

        return with_database(self.url, lambda engine: work(Organisation(engine)))


def _at(node: str | None) -> dict[str, str | list[str]]:
    return {} if node is None else {"node": node}


def _row(record: Any) -> Row:  # noqa: ANN401 - a dataclass of either kind
    """As the admin API writes it."""
    row: Row = msgspec.json.decode(msgspec.json.encode(asdict(record)))
    return row


def _refuse(if_match: str | None) -> None:
    if if_match is not None:
        raise misused("--if-match is for a service: there is no ETag at the database")
