"""Verifies tokens of the trusted issuers."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import httpx

from llm_core.policy.claims import Claims, claims_of
from policy_service.adapters.oidc.issuers import Issuer
from policy_service.adapters.oidc.keys import IssuerKeys
from policy_service.adapters.oidc.proof import (
    claims_fault,
    header_fault,
    is_signed,
    no_proof,
    taken_apart,
)
from policy_service.ports.clock import Clock
from policy_service.ports.tokens import NotProven


class OidcTokens:
    """Implements `Tokens`."""

    def __init__(self, issuers: Iterable[Issuer], clock: Clock) -> None:
        """Start without keys; `run` fetches them, and the first token that needs them does.

        Args:
            issuers: Whom to trust.
            clock: The time by which tokens are valid or not.
        """
        # Its one client is for fetching keys alone: it never sends anything of a caller's.
        self._client = httpx.AsyncClient(timeout=30.0, follow_redirects=False, trust_env=True)
        self._clock = clock
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._keys = {
            name: IssuerKeys(issuer, self._client, clock) for name, issuer in self._issuers.items()
        }
        self._longest = max(
            (issuer.max_token_bytes for issuer in self._issuers.values()), default=0
        )

    async def verify(self, token: str) -> Claims | NotProven:
        """Check a token and read its claims; see `Tokens.verify`."""
        payload = await self.payload_of(token)
        if isinstance(payload, NotProven):
            return payload
        issuer = self._issuers[payload["iss"]]
        return claims_of(payload, issuer.claims, is_home=issuer.is_home)

    async def payload_of(
        self, token: str, audience: Collection[str] = ()
    ) -> Mapping[str, Any] | NotProven:
        """Check a token and give its payload as it is.

        Args:
            token: A JSON Web Token.
            audience: Whom it must be meant for; by default whom the issuer's entry names.

        Raises:
            PolicyUnavailable: The issuer's keys cannot be had just now.
        """
        unproven = taken_apart(token, self._longest)
        if isinstance(unproven, NotProven):
            return unproven
        named = unproven.payload.get("iss")
        issuer = self._issuers.get(named) if isinstance(named, str) else None
        if issuer is None:
            return no_proof("the token's issuer is not trusted here")
        if len(token) > issuer.max_token_bytes:
            return no_proof("the token is too long")
        if fault := header_fault(unproven, issuer):
            return fault
        keys = await self._keys[issuer.issuer].matching(
            unproven.key_id, unproven.algorithm, unproven.issued_s
        )
        if not is_signed(unproven, keys):
            return no_proof("the token's signature is not its issuer's")
        fault = claims_fault(unproven.payload, issuer, audience or issuer.audience, self._clock())
        return fault or unproven.payload

    async def run(self) -> None:
        """Keep the keys of all issuers fresh, for ever."""
        async with asyncio.TaskGroup() as group:
            for keys in self._keys.values():
                group.create_task(keys.run())

    async def close(self) -> None:
        """Let go of connections."""
        for keys in self._keys.values():
            await keys.close()
        await self._client.aclose()
