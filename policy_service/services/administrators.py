"""Finds out who administers, by the bearer token of a request.

Three things prove who somebody is: the root token from the settings, an admin token from the
database, and a person's token of the company's identity provider.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from llm_core.errors import InvalidKey, PermissionDenied, PolicyUnavailable
from llm_core.policy.claims import Claims
from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.keys import is_mistyped
from policy_service.ports.administrators import AdminTokens, Grants
from policy_service.ports.callers import Unknown
from policy_service.ports.clock import Clock
from policy_service.ports.tokens import NotProven, Tokens

ADMIN_MARK = "ga-"
ROOT = Actor("root_token", "root_token", (Grant(Role.PLATFORM_ADMIN, PLATFORM),))
CLAIMED_ROLES = (Role.PLATFORM_ADMIN, Role.AUDITOR)
"""Roles that a token's own claims can give, on the whole platform, where settings let them.

The others mean something on one part of the organisation only, which a claim does not name.
"""
_KEY_MARK = "gk-"
_DOTS_OF_JWT = 2
_TELL_AGAIN = timedelta(hours=1)
_USED_AGAIN = timedelta(minutes=1)
_TRY_AGAIN = timedelta(seconds=30)
_MOST_REMEMBERED = 10_000
_WHY_NOT = {
    Unknown.EXPIRED: "Your sign-in has expired: sign in again.",
    Unknown.NOT_YET_VALID: "The token is not valid yet: check the clocks.",
}


class _Recently:
    """Lets a thing through once in a while."""

    def __init__(self, every: timedelta, most: int = _MOST_REMEMBERED) -> None:
        self._every = every
        self._most = most
        self._until: dict[str, datetime] = {}

    def was(self, what: str, now: datetime) -> bool:
        """Whether it was let through lately."""
        until = self._until.get(what)
        return until is not None and now < until

    def note(self, what: str, now: datetime) -> None:
        """It has been let through."""
        if len(self._until) >= self._most:
            self._until = {one: until for one, until in self._until.items() if now < until}
            # All of them are fresh: rather tell something twice than grow without end.
            if len(self._until) >= self._most:
                self._until.clear()
        self._until[what] = now + self._every


@dataclass(frozen=True, slots=True)
class Administrators:
    """Who administers.

    Args:
        root_token: The one of the settings; `None`: there is none.
        admin_tokens: Those of the database.
        grants: What people hold.
        clock: Tells what has expired.
        tokens: Verifies people's tokens; `None` when no identity provider is set.
        heeds_claimed_roles: Whether a token's own claims can give `CLAIMED_ROLES`.
    """

    root_token: str | None = field(repr=False)
    admin_tokens: AdminTokens
    grants: Grants
    clock: Clock
    tokens: Tokens | None = None
    heeds_claimed_roles: bool = False
    _told: _Recently = field(default_factory=lambda: _Recently(_TELL_AGAIN))
    _used: _Recently = field(default_factory=lambda: _Recently(_USED_AGAIN))
    _untold: _Recently = field(default_factory=lambda: _Recently(_TRY_AGAIN))

    async def actor_of(self, text: str) -> Actor:
        """Whoever holds this token.

        Raises:
            InvalidKey: It proves nothing; the message says what to do.
            PermissionDenied: The account was switched off.
            PolicyUnavailable: It cannot be told now.
        """
        actor = await self._known(text)
        await self._tell(actor)
        return actor

    async def _known(self, text: str) -> Actor:
        if self._is_root(text):
            return ROOT
        if text.startswith(ADMIN_MARK):
            return await self._by_admin_token(text)
        if text.count(".") == _DOTS_OF_JWT and self.tokens is not None:
            return await self._by_claims(text, self.tokens)
        raise InvalidKey(_refusal(text, has_sign_in=self.tokens is not None))

    def _is_root(self, text: str) -> bool:
        if self.root_token is None:
            return False
        return hmac.compare_digest(text.encode(), self.root_token.encode())

    async def _by_admin_token(self, text: str) -> Actor:
        if is_mistyped(text, ADMIN_MARK):
            raise InvalidKey("This admin token is mistyped: copy it again, whole.")
        found = await self.admin_tokens.find(text)
        now = self.clock()
        if found is None:
            raise InvalidKey("Nobody knows this admin token.")
        if found.revoked_at is not None:
            raise InvalidKey("This admin token was revoked.")
        if found.expires_at is not None and found.expires_at <= now:
            raise InvalidKey("This admin token has expired.")
        if not self._used.was(found.id, now):
            await self.admin_tokens.note_used(found.id)
            self._used.note(found.id, now)
        return Actor(f"admin_token:{found.name}", "admin_token", found.grants)

    async def _by_claims(self, text: str, tokens: Tokens) -> Actor:
        proven = await tokens.verify(text)
        if isinstance(proven, NotProven):
            raise InvalidKey(_WHY_NOT.get(proven.why) or f"The token is refused: {proven.detail}")
        holder = await self.grants.of_claims(proven)
        if not holder.is_active:
            raise PermissionDenied("Your account here is switched off: ask an administrator.")
        grants = (*holder.grants, *self._claimed(proven))
        return Actor(holder.name, "oidc", tuple(dict.fromkeys(grants)), holder.also)

    def _claimed(self, claims: Claims) -> Iterable[Grant]:
        if not (self.heeds_claimed_roles and claims.is_home):
            return ()
        return (Grant(role, PLATFORM) for role in CLAIMED_ROLES if role.value in claims.roles)

    async def _tell(self, actor: Actor) -> None:
        """Write the sign-in down, once an hour for each actor."""
        now = self.clock()
        what = f"{actor.proof} {actor.name}"
        if self._told.was(what, now) or self._untold.was(what, now):
            return
        try:
            await self.grants.note_sign_in(actor)
        except PolicyUnavailable:
            # Who operates must see how providers fare while the database is away, and soon.
            self._untold.note(what, now)
            return
        self._told.note(what, now)


def _refusal(text: str, *, has_sign_in: bool) -> str:
    if text.startswith(_KEY_MARK):
        return "This is an API key for models; the admin API takes an admin token (`ga-...`)."
    ways = "an admin token (`ga-...`)" + (
        " or sign in with `gatehouse login`" if has_sign_in else ""
    )
    return f"The admin API needs `Authorization: Bearer <token>`: send {ways}."
