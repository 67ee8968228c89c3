"""Policies at a policy service, and at its database: the same questions and answers.

At a service its own keys say whose signature counts. What cannot be ends the command.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from policy_service.cli.asking import asking, whole
from policy_service.cli.database import operator, with_database
from policy_service.cli.failures import misused
from policy_service.cli.places import Place
from policy_service.cli.policy.sources import desk_at
from policy_service.cli.server import AdminApi, path_part
from policy_service.ports.policies import (
    ActivationRecord,
    BundleRecord,
    ShadowReport,
    Standing,
)

if TYPE_CHECKING:
    from policy_service.adapters.policies.desk import Desk

T = TypeVar("T")
_PATH = "/admin/v1/policies"
_UPLOAD_TIMEOUT_S = 300.0
"""A bundle's own tests are run before it is kept."""


@dataclass(frozen=True, slots=True)
class Policies:
    """What was uploaded, what is live and shadow, and what was live when.

    Args:
        etag: At a service: of what is live and what is shadow.
    """

    rows: tuple[BundleRecord, ...]
    standing: Standing
    history: tuple[ActivationRecord, ...]
    etag: str | None = None


class PolicyPlace(Protocol):
    """Where policies are."""

    def upload(self, tarball: bytes) -> BundleRecord:
        """Keep a bundle."""

    def activate(self, bundle: str, reason: str, if_match: str | None) -> ActivationRecord:
        """Make one live."""

    def rollback(self, reason: str, if_match: str | None) -> ActivationRecord:
        """Make live again what was so before."""

    def listed(self) -> Policies:
        """All of them."""

    def find(self, bundle: str) -> BundleRecord:
        """One of them."""

    def shadow(self, bundle: str | None, if_match: str | None) -> BundleRecord | None:
        """Evaluate one beside the live one, or none."""

    def shadow_report(self) -> ShadowReport:
        """What the shadow came to."""


@contextmanager
def policies_at(place: Place, keys: Path | None = None) -> Iterator[PolicyPlace]:
    """The policies there.

    Args:
        place: Where.
        keys: At a database: whose signatures count.
    """
    if place.server is None:
        yield _PoliciesAtDatabase(place.database_url, keys)
        return
    with asking(place.server, place.token) as api:
        yield _PoliciesAtService(api)


def refuse_keys(place: Place, *, are_typed: bool) -> None:
    """Say that keys are of no use at a service, where somebody has typed them."""
    if place.server is not None and are_typed:
        raise misused("--keys is for a database: a service has its own, POLICY_BUNDLE_KEYS")


@dataclass(frozen=True, slots=True)
class _PoliciesAtService:
    api: AdminApi

    def upload(self, tarball: bytes) -> BundleRecord:
        made = self.api.ask("POST", _PATH, body=tarball, timeout_s=_UPLOAD_TIMEOUT_S)
        return msgspec.convert(made, BundleRecord)

    def activate(self, bundle: str, reason: str, if_match: str | None) -> ActivationRecord:
        return self._moved("activate", {"bundle": bundle, "reason": reason}, if_match)

    def rollback(self, reason: str, if_match: str | None) -> ActivationRecord:
        return self._moved("rollback", {"reason": reason}, if_match)

    def listed(self) -> Policies:
        # The tag first: what is sent with it was seen in this list, or in a later state.
        found, etag = self.api.ask_tagged(_PATH)
        if found["next"] is not None:
            found = whole(self.api, _PATH)
        return msgspec.convert({**found, "etag": etag}, Policies)

    def find(self, bundle: str) -> BundleRecord:
        found = self.api.ask("GET", f"{_PATH}/{path_part(bundle)}")
        return msgspec.convert(found, BundleRecord)

    def shadow(self, bundle: str | None, if_match: str | None) -> BundleRecord | None:
        done: Any = self.api.ask(
            "PUT",
            f"{_PATH}/shadow",
            body={"bundle": bundle},
            if_match=if_match,
            timeout_s=_UPLOAD_TIMEOUT_S,
        )
        return msgspec.convert(done, BundleRecord | None)

    def shadow_report(self) -> ShadowReport:
        return msgspec.convert(self.api.ask("GET", f"{_PATH}/shadow"), ShadowReport)

    def _moved(self, how: str, body: dict[str, str], if_match: str | None) -> ActivationRecord:
        done = self.api.ask(
            "POST", f"{_PATH}/{how}", body=body, if_match=if_match, timeout_s=_UPLOAD_TIMEOUT_S
        )
        return msgspec.convert(done, ActivationRecord)


@dataclass(frozen=True, slots=True)
class _PoliciesAtDatabase:
    url: str
    keys: Path | None

    def upload(self, tarball: bytes) -> BundleRecord:
        return self._with(lambda desk: desk.upload(operator(), tarball))

    def activate(self, bundle: str, reason: str, if_match: str | None) -> ActivationRecord:
        _refuse(if_match)
        return self._with(lambda desk: desk.activate(operator(), bundle, reason))

    def rollback(self, reason: str, if_match: str | None) -> ActivationRecord:
        _refuse(if_match)
        return self._with(lambda desk: desk.rollback(operator(), reason))

    def listed(self) -> Policies:
        async def work(desk: "Desk") -> Policies:
            return Policies(await desk.bundles(), await desk.standing(), await desk.history())

        return self._with(work)

    def find(self, bundle: str) -> BundleRecord:
        return self._with(lambda desk: desk.find(bundle))

    def shadow(self, bundle: str | None, if_match: str | None) -> BundleRecord | None:
        _refuse(if_match)
        return self._with(lambda desk: desk.shadow(operator(), bundle))

    def shadow_report(self) -> ShadowReport:
        return self._with(lambda desk: desk.shadow_report())

    def _with(self, work: "Callable[[Desk], Awaitable[T]]") -> T:
        return with_database(self.url, lambda engine: work(desk_at(engine, self.keys)))


def _refuse(if_match: str | None) -> None:
    if if_match is not None:
        raise misused("--if-match is for a service: there is no ETag at the database")
