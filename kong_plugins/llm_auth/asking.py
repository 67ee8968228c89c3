"""Asking who is behind a credential, once for all who want to know it at that moment."""

import asyncio
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from kong_plugins._runtime.policy_client import Identity, PolicyClient
from kong_plugins.llm_auth.cache import CallerCache
from llm_core.policy.credential import Credential
from llm_core.policy.presented import TOO_MANY_FAILURES

_Asked = tuple[str, str | None]
"""A credential's digest, and the address it came from where the route tells it."""


@dataclass(frozen=True, slots=True)
class _Question:
    asked_s: float
    answer: "asyncio.Task[Identity]"


class Asking:
    """Asks the policy service, and has the cache remember.

    When everybody has to be asked about again, a busy key has hundreds of calls that want to know:
    one of them asks, the others wait for its answer. No one waits for an answer to a question that
    was put before the last change: that change may not be in it.

    Args:
        policy: Whom to ask.
        cache: Remembers the answers.
    """

    def __init__(self, policy: PolicyClient, cache: CallerCache) -> None:
        self._policy = policy
        self._cache = cache
        self._open: dict[_Asked, _Question] = {}

    async def identity(self, digest: str, credential: Credential) -> Identity:
        """Who is behind a credential.

        Args:
            digest: Of the credential.
            credential: What to ask about.

        Raises:
            PolicyUnavailable: Nobody can say right now.
        """
        asked = (digest, credential.source_ip)
        question = self._open.get(asked)
        if question is None or not self._cache.has_heard_nothing_since(question.asked_s):
            asked_s = time.monotonic()
            question = _Question(
                asked_s, asyncio.create_task(self._ask(digest, credential, asked_s))
            )
            self._open[asked] = question
            question.answer.add_done_callback(lambda done: self._answered(asked, done))
        # The others need it too, should this call be given up meanwhile.
        return await asyncio.shield(question.answer)

    async def close(self) -> None:
        """Wait for the answers that are still to come; close the client first, and none is."""
        answers = [question.answer for question in self._open.values()]
        await asyncio.gather(*answers, return_exceptions=True)

    async def _ask(self, digest: str, credential: Credential, asked_s: float) -> Identity:
        found = await self._policy.identify(credential)
        if found.unknown != TOO_MANY_FAILURES:  # that says nothing of the credential
            self._cache.remember(digest, found, asked_s=asked_s, ends_s=_end_of(found, asked_s))
        return found

    def _answered(self, asked: _Asked, task: "asyncio.Task[Identity]") -> None:
        question = self._open.get(asked)
        if question is not None and question.answer is task:
            del self._open[asked]
        if not task.cancelled():
            # Looked at here: whoever asked may have gone.
            task.exception()


def _end_of(identity: Identity, now_s: float) -> float:
    """When the credential ends, by the steady clock."""
    if identity.valid_until is None:
        return math.inf
    return now_s + (identity.valid_until - datetime.now(UTC)).total_seconds()
