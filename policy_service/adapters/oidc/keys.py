"""The public keys of one issuer: fetched, kept, renewed, and kept on through an outage."""

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from llm_core.errors import PolicyUnavailable
from llm_core.nesting import is_too_deep
from policy_service.adapters.oidc.issuers import Algorithm, Issuer, url_fault
from policy_service.ports.clock import Clock

_MAX_DOCUMENT_BYTES = 512 * 1024
_MAX_KEYS = 200
_MAX_WITHDRAWN = 1000
_MIN_RSA_BITS = 2048
_RETRY_S = 2.0
_LONGEST_RETRY_S = 30.0
_SECRET_MEMBERS = frozenset({"d", "k", "p", "q"})

_CURVES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    Algorithm.ES256: ("EC", ("P-256",)),
    Algorithm.ES384: ("EC", ("P-384",)),
    Algorithm.ES512: ("EC", ("P-521",)),
    Algorithm.EDDSA: ("OKP", ("Ed25519", "Ed448")),
}
"""The kind of key that an algorithm needs; all others need RSA.

Source:
    https://www.rfc-editor.org/rfc/rfc7518#section-3.4,
    https://www.rfc-editor.org/rfc/rfc8037#section-3.1 (checked 2026-11-21)
"""

Keys = Mapping[tuple[str | None, str], tuple[PyJWK, ...]]
"""By key id and algorithm; all of an algorithm under the key id `None`."""

_log = logging.getLogger(__name__)


class _NoDocument(Exception):
    """A document of the issuer cannot be had, or is not what it should be."""


_FAULTS = (
    *(_NoDocument, TimeoutError, OSError, UnicodeError),
    *(httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict),
)


class IssuerKeys:
    """Keys of one issuer.

    They are renewed every `refresh_s`, and at once for a key that is unknown, but not more often
    than every `new_key_wait_s`: who sends made-up key ids must not make us hammer the issuer. While
    it cannot be asked, the keys that it had stay good for `keep_s`.
    """

    def __init__(self, issuer: Issuer, client: httpx.AsyncClient, clock: Clock) -> None:
        """Start without keys.

        Args:
            issuer: Whose keys.
            client: Fetches; follows no redirects.
            clock: Says how old the keys are.
        """
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._keys: Keys | None = None
        self._withdrawn: set[str | None] = set()
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._searched_at: datetime | None = None
        self._is_down = False
        self._fetching: asyncio.Task[None] | None = None

    async def matching(
        self, key_id: str | None, algorithm: str, issued_s: float | None
    ) -> tuple[PyJWK, ...]:
        """The keys that may have made a signature; none when the issuer has no such key.

        Args:
            key_id: Which key the token names, if it does.
            algorithm: How it is signed.
            issued_s: When it says that it was made, in seconds since 1970.

        Raises:
            PolicyUnavailable: That cannot be told: there are no keys, they are too old, or this one
                is unknown and the issuer cannot be asked, or was asked a moment ago.
        """
        if not self._are_good() and self._is_past(self._asked_at, _RETRY_S):
            await self.refresh()
        found = self._found(key_id, algorithm)
        if found or self._is_known(key_id):
            return found
        is_allowed = self._is_past(self._searched_at, self._issuer.new_key_wait_s)
        if is_allowed:
            self._searched_at = self._clock()
        if is_allowed or self._fetching is not None:
            await self.refresh()
            found = self._found(key_id, algorithm)
        elif key_id not in self._withdrawn and self._may_be_newer(issued_s):
            raise _unavailable()
        if not found and self._is_down:
            raise _unavailable()
        return found

    async def refresh(self) -> None:
        """Fetch the keys; whoever asks meanwhile waits for the same fetch. Never raises."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._refresh())
        fetching = self._fetching
        # A caller that is given up must not end what others wait for.
        await asyncio.shield(fetching)

    async def run(self) -> None:
        """Renew the keys before they are old, for ever."""
        retry_s = _RETRY_S
        while True:
            await self.refresh()
            if self._is_down:
                pause_s = min(retry_s, self._issuer.refresh_s)
                retry_s = min(2 * retry_s, _LONGEST_RETRY_S)
            else:
                pause_s, retry_s = self._issuer.refresh_s, _RETRY_S
            await asyncio.sleep(pause_s)

    async def close(self) -> None:
        """Give a fetch up that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    def _found(self, key_id: str | None, algorithm: str) -> tuple[PyJWK, ...]:
        if self._keys is None or not self._are_good():
            raise _unavailable()
        return self._keys.get((key_id, algorithm), ())

    def _is_known(self, key_id: str | None) -> bool:
        """Whether a key has that id, though it may not be one for the token's algorithm."""
        return key_id is not None and any(known == key_id for known, _ in self._keys or ())

    def _may_be_newer(self, issued_s: float | None) -> bool:
        """Whether a token could be of a key that came after ours were fetched."""
        if issued_s is None or self._fetched_at is None:
            return True
        return issued_s + self._issuer.leeway_s > self._fetched_at.timestamp()

    def _are_good(self) -> bool:
        return bool(self._keys) and not self._is_past(self._fetched_at, self._issuer.keep_s)

    def _is_past(self, moment: datetime | None, wait_s: float) -> bool:
        return moment is None or (self._clock() - moment).total_seconds() >= wait_s

    async def _refresh(self) -> None:
        self._asked_at = self._clock()
        try:
            async with asyncio.timeout(self._issuer.timeout_s):
                keys = await self._fetch()
        except _FAULTS as fault:
            if not self._is_down:
                _log.warning(
                    "keys of %s cannot be had: %s: %s",
                    self._issuer.issuer,
                    type(fault).__name__.lstrip("_"),
                    fault,
                )
            self._is_down = True
            return
        finally:
            self._fetching = None
        if self._is_down or self._keys is None:
            _log.info("keys of %s: %d", self._issuer.issuer, len(keys))
        if not keys:
            _log.warning("%s publishes no key that its entry allows", self._issuer.issuer)
        had = {key_id for key_id, _ in self._keys or ()}
        known_once = had | self._withdrawn if len(self._withdrawn) < _MAX_WITHDRAWN else had
        self._withdrawn = known_once - {key_id for key_id, _ in keys}
        self._keys, self._fetched_at, self._is_down = keys, self._clock(), False

    async def _fetch(self) -> Keys:
        url = self._issuer.jwks_url or await self._discovered()
        found = (await self._document(url)).get("keys")
        if not isinstance(found, list):
            raise _NoDocument("the set of keys has none")
        return usable_keys(found[:_MAX_KEYS], self._issuer.algorithms)

    async def _discovered(self) -> str:
        """Where the keys are, as the issuer's discovery document says."""
        document = await self._document(self._issuer.discovery_url)
        if document.get("issuer") != self._issuer.issuer:
            raise _NoDocument("the discovery document is another issuer's")
        url = document.get("jwks_uri")
        if not isinstance(url, str):
            raise _NoDocument("the discovery document does not say where the keys are")
        if fault := url_fault(url, allow_http=self._issuer.allow_http):
            raise _NoDocument(f"the discovery document's jwks_uri {fault}")
        return url

    async def _document(self, url: str) -> Mapping[str, Any]:
        """A JSON object of bounded size."""
        wanted = {"accept": "application/json", "accept-encoding": "identity"}
        async with self._client.stream("GET", url, headers=wanted) as answer:
            if answer.status_code != httpx.codes.OK:
                raise _NoDocument(f"status {answer.status_code}")
            body = bytearray()
            # Raw: what is packed small could unpack to anything.
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > _MAX_DOCUMENT_BYTES:
                    raise _NoDocument("the document is too long")
        if is_too_deep(bytes(body)):
            raise _NoDocument("the document is nested too deeply")
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise _NoDocument("the document is no JSON") from None
        if not isinstance(document, dict):
            raise _NoDocument("the document is no JSON object")
        return document


def usable_keys(found: list[Any], algorithms: tuple[str, ...]) -> Keys:
    """The keys of a set (JWKS) that may be used, each bound to the algorithms that it fits.

    Keys for other purposes, too short ones, broken ones and secret ones are left out.
    """
    keys: dict[tuple[str | None, str], tuple[PyJWK, ...]] = {}
    for one in found:
        if not isinstance(one, dict) or not _is_for_signatures(one):
            continue
        for algorithm in algorithms:
            key = _bound(one, algorithm)
            if key is None:
                continue
            # A token without a key id may be of any key.
            for key_id in dict.fromkeys((one.get("kid"), None)):
                keys[key_id, algorithm] = (*keys.get((key_id, algorithm), ()), key)
    return keys


def _is_for_signatures(key: Mapping[str, Any]) -> bool:
    operations = key.get("key_ops")
    return (
        key.get("use") in (None, "sig")
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and isinstance(key.get("kid"), str | None)
        # Whoever publishes a secret has no secret any more.
        and not _SECRET_MEMBERS & key.keys()
    )


def _bound(key: Mapping[str, Any], algorithm: str) -> PyJWK | None:
    """The key for one algorithm; `None` when it does not fit."""
    kind, curves = _CURVES.get(algorithm, ("RSA", ()))
    if key.get("kty") != kind or key.get("alg") not in (None, algorithm):
        return None
    if curves and key.get("crv") not in curves:
        return None
    try:
        bound = PyJWK(dict(key), algorithm)
        is_short = kind == "RSA" and bound.key.key_size < _MIN_RSA_BITS
    except (PyJWTError, ValueError, TypeError, AttributeError):
        return None
    return None if is_short else bound


def _unavailable() -> PolicyUnavailable:
    return PolicyUnavailable("The identity provider cannot be asked right now: try again.")
