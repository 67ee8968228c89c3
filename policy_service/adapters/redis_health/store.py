"""The `Health` port over any number of processes.

Every process has a standing of each deployment in memory and answers from there. In the background
it reads what stands in Redis, works what it has seen into that, and writes it back if nobody else
has meanwhile; else it works its own into the newer one. So the rules of the breaker are written
once, in Python, and Redis only compares and swaps.

A standing carries its breaker's last steps, so whoever reads it tells of those that it did not know
yet. The first to do so may be any process, and the one that won the swap may die: that each step is
kept once is for whoever is told (`ports.breakers.Told`).
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from importlib import resources
from typing import Any

from redis.asyncio import Redis

from llm_core.errors import PolicyUnavailable
from llm_core.routing.breaker import BreakerRules
from llm_core.routing.facts import BreakerState, DeploymentFacts, Observation
from llm_core.routing.standing import UNCALLED, Standing, noted
from policy_service.adapters.memory_health import TRIAL_S, MemoryHealth
from policy_service.adapters.redis_health.wire import Keys, read, written
from policy_service.adapters.redis_limits.faults import translated
from policy_service.adapters.redis_pool import redis_client
from policy_service.adapters.windows import epoch_ms
from policy_service.ports.breakers import Told, told_to_nobody
from policy_service.ports.clock import Clock

_log = logging.getLogger(__name__)

REFRESH_S = 0.5
_GATHER_S = 0.05
"""How long observations gather before they are sent, so that a busy process sends 20 times a s."""

_KEPT_MS = 3_600_000
_MOST_WAITING = 200
"""Observations of one deployment that wait for Redis; the oldest give way."""

_ROUNDS = 5
_COMMAND_TIMEOUT_S = 1.0

_Seen = tuple[datetime, Observation]


class RedisHealth:
    """Implements `Health`; `run` must be running for other processes to know.

    Args:
        redis: A URL, or a client of its own making (then `close` leaves it open). It must not
            decode responses.
        rules: When breakers open, and for how long.
        clock: Says what time it is; all processes should agree to within a fraction of a second.
        deployment_ids: Known from the start; others from when they are first asked about.
        trial_s: How long a half-open deployment waits for the outcome of its one trial.
        refresh_s: How often Redis is read.
        prefix: What every key begins with.
        tell: Is told of each step that a breaker took over all processes.
    """

    def __init__(
        self,
        redis: Redis | str,
        rules: BreakerRules,
        clock: Clock,
        *,
        deployment_ids: Iterable[str] = (),
        trial_s: float = TRIAL_S,
        refresh_s: float = REFRESH_S,
        prefix: str = "gatehouse",
        tell: Told = told_to_nobody,
    ) -> None:
        self._is_ours = isinstance(redis, str)
        self._redis = (
            redis_client(
                redis,
                slot_of=Keys(prefix).standing(""),
                connect_timeout_s=_COMMAND_TIMEOUT_S,
                command_timeout_s=_COMMAND_TIMEOUT_S,
                max_connections=8,
            )
            if isinstance(redis, str)
            else redis
        )
        if self._redis.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError("health needs a Redis client that answers in bytes")
        self._swap = self._redis.register_script(_text("swap"))
        self._trial = self._redis.register_script(_text("trial"))
        self._keys = Keys(prefix)
        self._rules = rules
        self._clock = clock
        self._trial_ms = int(trial_s * 1000)
        self._refresh_s = refresh_s
        self._local = MemoryHealth(rules, clock, trial_s)
        self._tell_steps = tell
        self._shared: dict[str, Standing] = {}
        self._waiting: defaultdict[str, deque[_Seen]] = defaultdict(_queue)
        self._wake = asyncio.Event()
        self._is_away = False
        for deployment_id in deployment_ids:
            self._local.facts(deployment_id)

    def facts(self, deployment_id: str) -> DeploymentFacts:
        """See `Health.facts`."""
        return self._local.facts(deployment_id)

    def observe(self, observation: Observation) -> None:
        """See `Health.observe`."""
        self._local.observe(observation)
        self._waiting[observation.deployment_id].append((self._clock(), observation))
        self._wake.set()

    async def may_try(self, deployment_id: str) -> bool:
        """See `Health.may_try`; Redis is asked only while half-open."""
        state = self._local.facts(deployment_id).breaker
        if state is not BreakerState.HALF_OPEN:
            return state is BreakerState.CLOSED
        if not self._local.begin_trial(deployment_id):
            return False
        if self._is_away:
            return True
        try:
            with translated():
                granted: Any = await self._trial(
                    keys=[self._keys.standing(deployment_id), self._keys.trial(deployment_id)],
                    args=[epoch_ms(self._clock()), self._trial_ms],
                )
        except PolicyUnavailable:
            return True
        if not granted:
            self._local.put_off_trial(deployment_id, self._refresh_s)
        return bool(granted)

    async def run(self) -> None:
        """Keep in touch with the other processes until cancelled."""
        while True:
            try:
                await self.refresh()
                self._note(is_away=False)
                await self._something_seen()
            except PolicyUnavailable:
                self._note(is_away=True)
                await asyncio.sleep(self._refresh_s)
            except Exception:  # noqa: BLE001 - the work must go on, whatever the fault
                _log.exception("the health of deployments could not be shared; going on")
                await asyncio.sleep(self._refresh_s)

    async def refresh(self) -> None:
        """Tell what was seen here, and learn what was seen elsewhere: two round trips at most.

        Raises:
            PolicyUnavailable: Redis does not answer; what was to be told waits.
        """
        telling = {key: tuple(seen) for key, seen in self._waiting.items() if seen}
        self._waiting.clear()
        try:
            standing = await self._read()
            standing = await self._tell(standing, telling)
        finally:
            # Whatever is told by now has been taken out.
            for deployment_id, seen in telling.items():
                later = self._waiting[deployment_id]
                self._waiting[deployment_id] = _queue((*seen, *later))
        for deployment_id, text in standing.items():
            shared = read(text)
            self._note_shared(deployment_id, shared)
            seen = tuple(self._waiting.get(deployment_id, ()))
            self._local.take_over(deployment_id, self._worked_in(shared, seen))

    async def close(self) -> None:
        """Let go of the connections that this made."""
        if self._is_ours:
            with suppress(PolicyUnavailable), translated():
                await self._redis.aclose()

    async def _something_seen(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._refresh_s):
                await self._wake.wait()
                await asyncio.sleep(min(_GATHER_S, self._refresh_s))
        self._wake.clear()

    async def _read(self) -> dict[str, bytes]:
        ids = self._local.deployment_ids
        if not ids:
            return {}
        with translated():
            texts: Any = await self._redis.mget([self._keys.standing(one) for one in ids])
        return {one: text or b"" for one, text in zip(ids, texts, strict=True)}

    async def _tell(
        self, standing: Mapping[str, bytes], telling: dict[str, tuple[_Seen, ...]]
    ) -> dict[str, bytes]:
        """Work `telling` into what stands in Redis; takes out of it what was told.

        Returns:
            What stands there now.
        """
        stands = dict(standing)
        for _ in range(_ROUNDS):
            if not telling:
                break
            made = {
                one: written(self._worked_in(read(stands[one]), seen))
                for one, seen in telling.items()
            }
            for one, found in (await self._swap_all(stands, made)).items():
                if found is None:
                    stands[one] = made[one]
                    del telling[one]
                else:
                    stands[one] = found
        return stands

    async def _swap_all(
        self, old: Mapping[str, bytes], new: Mapping[str, bytes]
    ) -> dict[str, bytes | None]:
        """Write each that has not changed; for the others, what stands there instead."""
        keys = [key for one in new for key in (self._keys.standing(one), self._keys.trial(one))]
        texts = [text for one in new for text in (old[one], new[one])]
        with translated():
            answer: Any = await self._swap(keys=keys, args=[_KEPT_MS, *texts])
        pairs = zip(answer[::2], answer[1::2], strict=True)
        return {
            one: None if is_swapped else found
            for one, (is_swapped, found) in zip(new, pairs, strict=True)
        }

    def _note_shared(self, deployment_id: str, shared: Standing) -> None:
        before = self._shared.get(deployment_id, UNCALLED)
        self._shared[deployment_id] = shared
        if made := shared.transitions_since(before):
            self._tell_steps(deployment_id, made)

    def _worked_in(self, standing: Standing, seen: Sequence[_Seen]) -> Standing:
        for at, observation in seen:
            standing = noted(standing, observation, at, self._rules)
        return standing

    def _note(self, *, is_away: bool) -> None:
        if is_away is not self._is_away:
            self._is_away = is_away
            _log.warning(
                "Redis is away: breakers go by what this process has seen"
                if is_away
                else "Redis is back: breakers are shared again"
            )


def _queue(seen: Iterable[_Seen] = ()) -> deque[_Seen]:
    return deque(seen, maxlen=_MOST_WAITING)


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
