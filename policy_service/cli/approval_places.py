"""Approvals at a policy service, and at its database: the same questions, the same answers.

A request is a `dict` as `GET /admin/v1/approvals/{id}` has it. What cannot be ends the command.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from llm_core.policy.approvals import ApprovalState, Step, StepRefused
from policy_service.cli.asking import asking
from policy_service.cli.database import operator, with_database
from policy_service.cli.failures import fail, needs
from policy_service.cli.places import Place
from policy_service.cli.server import AdminApi, path_part

if TYPE_CHECKING:
    from policy_service.adapters.sql.approvals import SqlApprovals
    from policy_service.ports.approvals import ApprovalRecord

T = TypeVar("T")
Approval = dict[str, Any]
_PATH = "/admin/v1/approvals"


class ApprovalPlace(Protocol):
    """Where approvals are."""

    def listed(
        self, state: ApprovalState | None, team: str | None, model: str | None, most: int
    ) -> list[Approval]:
        """The newest first, as far as one may see them."""

    def find(self, approval_id: str) -> Approval:
        """One with its history, `steps`."""

    def grant(
        self, approval_id: str, amount_usd: Decimal | None, until: datetime | None, reason: str
    ) -> Approval:
        """Grant it; `None` is as it was asked for."""

    def end(self, approval_id: str, step: Step, reason: str) -> Approval:
        """Refuse or revoke it."""


@contextmanager
def approvals_at(place: Place) -> Iterator[ApprovalPlace]:
    """The approvals there."""
    if place.server is None:
        yield _ApprovalsAtDatabase(place.database_url)
        return
    with asking(place.server, place.token) as api:
        yield _ApprovalsAtService(api)


@dataclass(frozen=True, slots=True)
class _ApprovalsAtService:
    api: AdminApi

    def listed(
        self, state: ApprovalState | None, team: str | None, model: str | None, most: int
    ) -> list[Approval]:
        wanted = {"state": state, "team": team, "model": model, "limit": str(most)}
        query: dict[str, str | list[str]] = {
            name: str(value) for name, value in wanted.items() if value is not None
        }
        found: list[Approval] = self.api.ask("GET", _PATH, query=query)["rows"]
        return found

    def find(self, approval_id: str) -> Approval:
        found: Approval = self.api.ask("GET", f"{_PATH}/{path_part(approval_id)}")
        return found

    def grant(
        self, approval_id: str, amount_usd: Decimal | None, until: datetime | None, reason: str
    ) -> Approval:
        return self._step(
            approval_id, "grant", {"amount_usd": amount_usd, "until": until, "reason": reason}
        )

    def end(self, approval_id: str, step: Step, reason: str) -> Approval:
        return self._step(approval_id, step.value, {"reason": reason})

    def _step(self, approval_id: str, step: str, body: Mapping[str, object]) -> Approval:
        made: Approval = self.api.ask("POST", f"{_PATH}/{path_part(approval_id)}/{step}", body=body)
        return made


@dataclass(frozen=True, slots=True)
class _ApprovalsAtDatabase:
    url: str

    def listed(
        self, state: ApprovalState | None, team: str | None, model: str | None, most: int
    ) -> list[Approval]:
        found = self._with(
            lambda approvals: approvals.listed(state=state, team=team, model=model, most=most)
        )
        return [_shown(one) for one in found]

    def find(self, approval_id: str) -> Approval:
        return _known(self._with(lambda approvals: approvals.find(approval_id)), approval_id)

    def grant(
        self, approval_id: str, amount_usd: Decimal | None, until: datetime | None, reason: str
    ) -> Approval:
        made = self._with(
            lambda approvals: approvals.grant(
                approval_id, operator(), amount_usd=amount_usd, until=until, reason=reason
            )
        )
        return _known(made, approval_id)

    def end(self, approval_id: str, step: Step, reason: str) -> Approval:
        made = self._with(lambda approvals: approvals.end(approval_id, step, operator(), reason))
        return _known(made, approval_id)

    def _with(self, work: "Callable[[SqlApprovals], Awaitable[T]]") -> T:
        with needs("service"):
            from policy_service.adapters.sql.approvals import SqlApprovals

        try:
            return with_database(self.url, lambda engine: work(SqlApprovals(engine)))
        except StepRefused as refused:
            raise fail(str(refused)) from refused


def _known(found: "ApprovalRecord | None", approval_id: str) -> Approval:
    if found is None:
        raise fail(f"there is no approval {approval_id[:100]!r}; see `gatehouse approvals list`")
    return _shown(found)


def _shown(record: "ApprovalRecord") -> Approval:
    from policy_service.services.approvals import shown

    return shown(record)
