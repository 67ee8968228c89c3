"""The policy that decides now; which one that is can change while calls are decided.

Without an activated bundle the service's own folder is live, and what is changed there becomes live
by itself. With one, that bundle is, in every process: each follows the audit log. A policy becomes
live when it has been verified, compiled in a new process and has denied the empty question; then it
takes the old one's place in one step, and the old one answers what it was asked before.

What cannot be used changes nothing: the last good policy stays. A process that has none, since its
database was away from the start or the live bundle does not verify here, decides nothing: it cannot
know what compliance has put in place of the folder.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.policies.engines import Engines
from policy_service.adapters.policies.folder import WatchedFolder
from policy_service.adapters.policies.shadow import Shadow
from policy_service.adapters.policies.signing import BrokenSignature, TrustedKeys
from policy_service.adapters.policies.tarball import SignedBundle, read_tarball
from policy_service.adapters.policy_bundle import BrokenBundle, PolicyBundle
from policy_service.ports.policies import PolicyRefused, PolicyStore, Standing
from policy_service.ports.policy import PolicyEngine, PolicyResult
from policy_service.services.changes import Changes, Listener

POLL_S = 1.0
"""How often the folder is looked at."""
_LOOKS_AGAIN_AFTER = 10
"""So many polls without a word of a change, and the database is looked at all the same."""

_log = logging.getLogger(__name__)


class _Held:
    """An engine, and how many questions it has not answered yet."""

    def __init__(self, engine: PolicyEngine) -> None:
        self.engine = engine
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[PolicyEngine]:
        self._open += 1
        self._idle.clear()
        try:
            yield self.engine
        finally:
            self._open -= 1
            if self._open == 0:
                self._idle.set()

    async def retire(self) -> None:
        """Close the engine once it has answered everything."""
        await self._idle.wait()
        await self.engine.close()


class LivePolicy:
    """Implements `PolicyEngine` with whatever policy is live.

    Args:
        engines: Makes the engine for a bundle.
        folder: The service's own policy.
        store: Says which bundle is live and which is shadow.
        keys: Whose signatures count; looked at again in every process, so that who can write into
            the database cannot write the policy.
        shadow: Is asked what is asked here.
    """

    def __init__(
        self,
        engines: Engines,
        folder: WatchedFolder,
        store: PolicyStore,
        keys: TrustedKeys,
        shadow: Shadow | None = None,
    ) -> None:
        """Know nothing yet: see `start`."""
        self._engines = engines
        self._folder = folder
        self._store = store
        self._keys = keys
        self._shadow = shadow
        self._held: _Held | None = None
        self._bundle: PolicyBundle | None = None
        self._signed: SignedBundle | None = None
        self._fault = ""
        self._retiring: dict[asyncio.Task[None], _Held] = {}

    @property
    def name(self) -> str:
        """The name of the engine; a result says which one it really was."""
        return self._held.engine.name if self._held else "none"

    @property
    def bundle(self) -> PolicyBundle:
        """The policy that is live.

        Raises:
            PolicyUnavailable: It is not known.
        """
        if self._bundle is None:
            raise PolicyUnavailable("Which policy is live is not known yet.")
        return self._bundle

    @property
    def signed(self) -> SignedBundle | None:
        """The live bundle as it is handed out; `None` while the folder is live."""
        return self._signed

    def detail(self) -> dict[str, Any]:
        """What `/readyz` tells: revision, where it comes from, what kept a newer one out."""
        return {
            "revision": self._bundle.revision if self._bundle else None,
            "source": "bundle" if self._signed else "folder",
            "fault": self._fault or None,
            "shadow": self._shadow.revision if self._shadow else None,
        }

    async def evaluate(self, document: dict[str, Any]) -> PolicyResult:
        """Decide about `document`.

        Raises:
            PolicyUnavailable: The engine cannot answer, or no policy is known.
        """
        held = self._held
        if held is None:
            raise PolicyUnavailable("Which policy is live is not known yet.")
        async with held.asked() as engine:
            result = await engine.evaluate(document)
        if self._shadow is not None:
            self._shadow.note(document, result)
        return result

    async def ready(self) -> bool:
        """Whether the engine answers; the empty question has a defined answer: no."""
        if self._held is None:
            return False
        async with self._held.asked() as engine:
            return await engine.ready()

    async def close(self) -> None:
        """Let go of every engine."""
        if self._held is not None:
            await self._held.engine.close()
        if self._shadow is not None:
            await self._shadow.close()
        retiring = dict(self._retiring)
        for task in retiring:
            task.cancel()
        await asyncio.gather(*retiring, return_exceptions=True)
        for held in retiring.values():  # a task that never began has closed nothing
            await held.engine.close()

    async def start(self) -> None:
        """Find out what is live, before the first question.

        Raises:
            BrokenBundle: The folder is live, and holds no policy.
        """
        try:
            await self._serve(await self._store.standing())
        except (PolicyUnavailable, PolicyRefused, BrokenSignature) as fault:
            self._tell(f"which policy is live is not known: {fault}")
            if self._engines.knows_by_itself:
                self._held = _Held(self._engines.alone())

    async def run(self, changes: Changes) -> None:
        """Follow the database and the folder until cancelled, or until changes end."""
        with changes.listening() as listener:
            while await self._follow(listener):
                pass

    async def _follow(self, listener: Listener) -> bool:
        """Some polls of the folder, and one look at the database."""
        await self._look_safely()
        for _ in range(_LOOKS_AGAIN_AFTER):
            told = await listener.next(POLL_S)
            if told is None:
                return False
            if told or self._bundle is None:
                break
            if self._signed is None and await asyncio.to_thread(self._folder.has_changed):
                await self._look_safely(is_reloading=True)
        return True

    async def _look_safely(self, *, is_reloading: bool = False) -> None:
        try:
            await self._serve(await self._store.standing(), is_reloading=is_reloading)
        except PolicyUnavailable as outage:
            _log.warning("the live policy cannot be followed for now: %s", outage)
        except (BrokenBundle, BrokenSignature, PolicyRefused) as fault:
            self._tell(f"a newer policy cannot be used: {fault}")
        except Exception:  # noqa: BLE001 - the work must go on, whatever the fault
            _log.exception("following the live policy stumbled and goes on")

    async def _serve(self, standing: Standing, *, is_reloading: bool = False) -> None:
        """Make live what is said to be.

        Raises:
            BrokenBundle: It cannot be used.
            BrokenSignature: Nobody we trust has signed it.
        """
        if standing.live is not None:
            if self._signed is None or self._signed.policy.digest != standing.live:
                signed = await self._read(standing.live)
                await self._swap(signed.policy, signed)
        elif is_reloading or self._bundle is None or self._signed is not None:
            await self._swap(await asyncio.to_thread(self._folder.load), None)
        if self._shadow is not None:
            await self._serve_shadow(self._shadow, standing)

    async def _serve_shadow(self, shadow: Shadow, standing: Standing) -> None:
        if standing.shadow_run == shadow.run_number:
            return
        signed = None if standing.shadow is None else await self._read(standing.shadow)
        await shadow.serve(standing.shadow_run, signed.policy if signed else None)

    async def _read(self, digest: str) -> SignedBundle:
        signed = read_tarball(await self._store.tarball(digest), self._keys)
        if signed.policy.digest != digest:
            raise BrokenBundle("the database holds another bundle under this digest")
        return signed

    async def _swap(self, bundle: PolicyBundle, signed: SignedBundle | None) -> None:
        if self._bundle is None or self._bundle != bundle:
            old, self._held = self._held, _Held(await self._engines.make(bundle))
            if self._bundle is not None:
                _log.warning("the policy is now %s", bundle.revision)
            if old is not None:
                task = asyncio.create_task(old.retire())
                self._retiring[task] = old
                task.add_done_callback(self._retiring.pop)
        self._bundle, self._signed, self._fault = bundle, signed, ""

    def _tell(self, fault: str) -> None:
        if fault != self._fault:
            _log.error("%s", fault)
        self._fault = fault
