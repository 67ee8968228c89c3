"""Questions that are near enough to one that was answered before.

Near are questions of the same caller's scope whose setting is the very same, down to the last
parameter, and whose last turn has almost the same meaning, by an embedding model. How near is the
route's choice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from llm_core.apis.ask import Ask
from llm_core.digest import sha256_hex
from llm_core.errors import GatewayError, PolicyUnavailable
from llm_core.policy.cache_key import cache_key
from llm_core.policy.decision import Reservation
from llm_core.policy.last_turn import last_turn
from policy_service.ports.cache import Neighbours

_log = logging.getLogger(__name__)
_LONGEST_S = 5.0
"""For the embedding; a caller is better served by the model itself than by waiting longer."""


@dataclass(frozen=True, slots=True)
class Near:
    """A kept answer's key, and how near its question is."""

    key: str
    similarity: float


@dataclass(frozen=True, slots=True)
class _Question:
    group: str
    vector: Sequence[float]


@dataclass(frozen=True, slots=True)
class SemanticCache:
    """Finds near questions, and remembers those that were answered.

    Args:
        embed: Gives a text's vector for a call; see `Embedder`.
        model: Which model embeds; vectors of two models are not compared.
    """

    neighbours: Neighbours
    embed: Callable[[Reservation, str], Awaitable[Sequence[float]]]
    model: str
    _asked: dict[str, _Question] = field(default_factory=dict)

    async def look_up(self, reservation: Reservation, ask: Ask) -> Sequence[Near]:
        """The questions near this one, the nearest first; none when that cannot be told.

        What is learned of the question is kept until `land`.
        """
        threshold = reservation.route.similarity
        turn = last_turn(ask.operation, ask.fields)
        if threshold is None or turn is None:
            return ()
        try:
            async with asyncio.timeout(_LONGEST_S):
                vector = await self.embed(reservation, turn.text)
                question = _Question(self._group(reservation, turn.setting), vector)
                self._asked[reservation.decision_id] = question
                found = await self.neighbours.nearest(question.group, vector)
        except (GatewayError, TimeoutError) as fault:
            _log.warning(
                "%s: no near question is looked for: %s",
                reservation.decision_id,
                type(fault).__name__,
            )
            return ()
        return [Near(name, nearness) for name, nearness in found if nearness >= threshold]

    async def forget(self, reservation: Reservation, near: Near) -> None:
        """Its answer is gone.

        Raises:
            PolicyUnavailable: The store is away.
        """
        question = self._asked.get(reservation.decision_id)
        if question is not None:
            await self.neighbours.forget(question.group, near.key, question.vector)

    async def land(self, reservation: Reservation, *, is_kept: bool) -> None:
        """The call has ended; when its answer was kept, let near questions find it."""
        question = self._asked.pop(reservation.decision_id, None)
        key, ttl_s = reservation.cache_key, reservation.obligations.cache_seconds
        if question is None or key is None or not is_kept:
            return
        try:
            await self.neighbours.add(question.group, key, question.vector, ttl_s)
        except PolicyUnavailable as outage:
            _log.warning("%s: near questions miss it: %s", reservation.decision_id, outage)

    def _group(self, reservation: Reservation, setting: str) -> str:
        """Everything that two questions must share, made as the key of an answer is."""
        marked = sha256_hex(f"near {self.model} {setting}".encode())
        return cache_key(
            replace(reservation.call, question_digest=marked),
            reservation.caller,
            [priced.deployment for priced in reservation.deployments],
            reservation.obligations,
            reservation.policy_revision,
        )
