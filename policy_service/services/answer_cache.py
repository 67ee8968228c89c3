"""Answers that were given before: looked up, given again, kept, and asked for once at a time.

The cache is a convenience. When it is away a call is carried out as if there were none; nothing in
here fails a call on its account.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from llm_core.answer_headers import deployment_headers
from llm_core.apis.ask import Ask
from llm_core.digest import sha256_hex
from llm_core.errors import PolicyUnavailable
from llm_core.policy.cache_key import cache_key, is_told_apart
from llm_core.policy.decision import (
    CacheUse,
    DecisionRequest,
    Obligations,
    PricedDeployment,
    Reservation,
    Transport,
    UsageReport,
)
from llm_core.policy.keepable import may_be_kept
from llm_core.policy.limits import Amounts
from llm_core.pricing.charge import UnpriceableUsage, usd_for
from llm_core.tokens.usage import TokenUsage
from policy_service.ports.cache import ResponseCache
from policy_service.services.semantic_cache import SemanticCache
from policy_service.services.settle import Settler

_log = logging.getLogger(__name__)
_OK = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, and what is to be known about it when it is given again.

    Args:
        body: Whole, in the client's API.
        deployment_id: Who gave it.
        usage: What it consumed then.
        dropped_params: Which of the question's parameters it does not heed.
    """

    body: dict[str, Any]
    deployment_id: str
    usage: TokenUsage
    served_model: str | None = None
    dropped_params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A kept answer that may be given to a call.

    Args:
        priced: Who gave it, at the price in force now.
        similarity: How near the question was that it was given to, 0 to 1; `None` for the same.
    """

    kept: Kept
    priced: PricedDeployment
    similarity: float | None = None

    @property
    def saved_usd(self) -> Decimal:
        """What the answer would cost now."""
        try:
            return usd_for(self.kept.usage, self.priced.price)
        except UnpriceableUsage:
            return Decimal(0)

    def headers(self) -> dict[str, str]:
        """What the client is told of it."""
        near = {} if self.similarity is None else _similarity_header(self.similarity)
        return {
            **deployment_headers(self.priced, self.kept.dropped_params, CacheUse.HIT),
            "x-gatehouse-fallbacks": "0",
            "x-gatehouse-cost-usd": "0",
            **near,
        }

    def marked(self, report: UsageReport) -> UsageReport:
        """The report on a call that was answered so."""
        encoded = msgspec.json.encode(self.kept.body)
        return replace(
            report,
            deployment_id=self.kept.deployment_id,
            http_status=_OK,
            usage=TokenUsage(input_tokens=0, output_tokens=0),
            served_model=self.kept.served_model,
            response_digest=sha256_hex(encoded),
            response_bytes=len(encoded),
            cache=CacheUse.HIT,
            saved_usd=self.saved_usd,
        )


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the cache had to say about a call that policy allows.

    Args:
        use: For headers and the ledger.
        key: Under which the answer is to be kept; `None` where it must not be.
    """

    use: CacheUse = CacheUse.BYPASS
    key: str | None = None
    hit: Hit | None = None

    def left_to_relay(self) -> "Lookup":
        """The same without the hit: the relay, which sees the question, finds it once more."""
        return self if self.hit is None else replace(self, use=CacheUse.MISS, hit=None)


@dataclass(frozen=True, slots=True)
class AnswerCache:
    """Looks up, waits, keeps.

    Args:
        most_bytes: Longer answers are not kept.
        wait_s: Longest wait for an answer that somebody else is being given just now.
        semantic: Finds near questions; without it only the very same is found.
    """

    cache: ResponseCache
    settler: Settler
    most_bytes: int
    wait_s: float
    semantic: SemanticCache | None = None

    async def look_up(
        self,
        request: DecisionRequest,
        permitted: Sequence[PricedDeployment],
        obligations: Obligations,
        revision: str,
    ) -> Lookup:
        """See whether an allowed call has been answered before."""
        call = request.call
        is_off = not request.route.has_cache or obligations.cache_seconds <= 0
        if is_off or not call.question_digest or not (call.reads_cache or call.fills_cache):
            return Lookup()
        if not is_told_apart(request.caller, obligations.cache_scope):
            return Lookup()
        deployments = [priced.deployment for priced in permitted]
        key = cache_key(call, request.caller, deployments, obligations, revision)
        to_fill = key if call.fills_cache else None
        if not call.reads_cache:
            return Lookup(key=to_fill)
        try:
            hit = self._hit(await self.cache.get(key), permitted)
        except PolicyUnavailable as outage:
            _log.warning("the response cache is passed by: %s", outage)
            return Lookup()
        return Lookup(CacheUse.HIT if hit else CacheUse.MISS, to_fill, hit)

    async def give(self, reservation: Reservation, hit: Hit) -> None:
        """Book a call that is answered while it is decided: one row, which costs nothing.

        Raises:
            PolicyUnavailable: It cannot be booked, so it must not be answered.
        """
        report = UsageReport(deployment_id=None, transport=Transport.ANSWER, http_status=_OK)
        await self.settler.book(reservation, hit.marked(report))

    async def join(self, reservation: Reservation) -> Hit | None:
        """Wait for the answer when somebody is asking the same; else let this call ask for all.

        Returns:
            `None` when this call is to go to a provider itself: nobody else is asking, who did has
            failed, or it takes too long.
        """
        key = reservation.cache_key
        if key is None or reservation.cache is not CacheUse.MISS:
            return None
        try:
            if not await self.cache.claim(key, reservation.decision_id, self.wait_s):
                value = await self.cache.wait(key, self.wait_s)
                return self._hit(value, reservation.deployments)
            # Who asked before may have been answered between our look and our claim.
            hit = self._hit(await self.cache.get(key), reservation.deployments)
            if hit is not None:
                await self.cache.release(key, reservation.decision_id)
        except PolicyUnavailable as outage:
            _log.warning("%s: nobody is waited for: %s", reservation.decision_id, outage)
            return None
        return hit

    async def near(self, reservation: Reservation, ask: Ask) -> Hit | None:
        """The answer to a question that is near enough; the next one when it is forgotten."""
        if self.semantic is None or reservation.cache is not CacheUse.MISS:
            return None
        try:
            for near in await self.semantic.look_up(reservation, ask):
                value = await self.cache.get(near.key)
                hit = self._hit(value, reservation.deployments)
                if hit is not None:
                    return replace(hit, similarity=near.similarity)
                if value is None:
                    await self.semantic.forget(reservation, near)
        except PolicyUnavailable as outage:
            _log.warning("%s: near answers are passed by: %s", reservation.decision_id, outage)
        return None

    async def land(self, reservation: Reservation, kept: Kept | None) -> None:
        """Keep a good answer, and let those go on who wait for it.

        Args:
            reservation: Of the call that has ended.
            kept: What it was answered; `None` when it failed or was cut off.
        """
        key = reservation.cache_key
        if key is None:
            return
        is_kept = False
        try:
            is_kept = await self._put(key, reservation, kept)
            if reservation.cache is CacheUse.MISS:
                await self.cache.release(key, reservation.decision_id)
        except PolicyUnavailable as outage:
            _log.warning("%s: its answer is not kept: %s", reservation.decision_id, outage)
        if self.semantic is not None:
            await self.semantic.land(reservation, is_kept=is_kept)

    async def _put(self, key: str, reservation: Reservation, kept: Kept | None) -> bool:
        if kept is None or not may_be_kept(reservation.operation, kept.body):
            return False
        value = msgspec.json.encode(kept)
        if len(value) > self.most_bytes:
            return False
        await self.cache.put(key, value, reservation.obligations.cache_seconds)
        return True

    def _hit(self, value: bytes | None, permitted: Sequence[PricedDeployment]) -> Hit | None:
        if value is None:
            return None
        try:
            kept = msgspec.json.decode(value, type=Kept)
        except msgspec.MsgspecError:
            return None
        for priced in permitted:
            if priced.deployment.id == kept.deployment_id:
                return Hit(kept, priced)
        return None


def answered_before(reservation: Reservation, hit: Hit) -> tuple[Reservation, Amounts]:
    """What a call takes that a kept answer answers: one request, no tokens, no money."""
    free = replace(
        reservation,
        deployments=(hit.priced,),
        prompt_tokens=0,
        max_output_tokens=0,
        usd=Decimal(0),
        cache_key=None,
    )
    return free, Amounts(requests=1, input_tokens=0, output_tokens=0, usd=Decimal(0))


def _similarity_header(similarity: float) -> Mapping[str, str]:
    return {"x-gatehouse-cache-similarity": f"{similarity:.4f}"}
