"""Looking at words by the lists of the policy in force."""

from collections.abc import Callable, Sequence

from llm_core.screening.redact import Finding
from llm_core.screening.words import Word
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.adapters.screening.pool import ScreeningPool
from policy_service.ports.screening import Guarded


class LiveScreener:
    """Implements `Screener`; goes by other lists as soon as another policy is the live one.

    Args:
        pool: Looks at words. Lists that it cannot use never come here: no such policy becomes live.
        live: The bundle that decides now.
    """

    def __init__(self, pool: ScreeningPool, live: Callable[[], PolicyBundle]) -> None:
        """Read nothing yet."""
        self._pool = pool
        self._live = live
        self._read_from: PolicyBundle | None = None

    async def find(self, texts: Sequence[str], kinds: Sequence[str]) -> list[list[Finding]]:
        """What is in each text; see `Screener.find`.

        Raises:
            PolicyUnavailable: Which policy is live is not known.
        """
        return await self.pool.find(texts, kinds)

    async def guard(self, profile: str, words: Sequence[Word]) -> Guarded:
        """What a profile says; see `Screener.guard`, and `find`."""
        return await self.pool.guard(profile, words)

    @property
    def pool(self) -> ScreeningPool:
        """The processes, which go by the lists in force from here on."""
        bundle = self._live()
        if bundle is not self._read_from:
            self._pool.use(bundle.data["data"].get("content", {}))
            self._read_from = bundle
        return self._pool
