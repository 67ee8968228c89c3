"""What administrators do with policies: each bundle is checked before anything depends on it."""

import asyncio

from llm_core.policy.roles import Actor
from policy_service.adapters.policies.lists import require_readable
from policy_service.adapters.policies.signing import BrokenSignature, TrustedKeys
from policy_service.adapters.policies.tarball import SignedBundle, read_tarball
from policy_service.adapters.policies.trial import compiled, own_tests, require_passing
from policy_service.adapters.policy_bundle import BrokenBundle
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.policies import SqlPolicies
from policy_service.ports.clock import Clock
from policy_service.ports.organisation import Check
from policy_service.ports.policies import (
    ActivationRecord,
    BundleRecord,
    PolicyRefused,
    ShadowReport,
    Standing,
)

_MOST_REASON_CHARS = 1000


class Desk:
    """Implements `ports.PolicyDesk`.

    Args:
        store: Where policies are kept.
        keys: Whose signatures count; without any no bundle is taken.
    """

    def __init__(self, store: SqlPolicies, keys: TrustedKeys, clock: Clock = utc_now) -> None:
        """Use `store`."""
        self._store = store
        self._keys = keys
        self._clock = clock

    async def upload(self, actor: Actor, tarball: bytes) -> BundleRecord:
        """Keep a bundle that is signed, compiles, and passes its own tests."""
        signed = await self._tried(tarball)
        run = await asyncio.to_thread(own_tests, signed.policy, signed.tests)
        try:
            require_passing(run)
        except BrokenBundle as fault:
            raise PolicyRefused(str(fault)) from fault
        left_out = f", {len(run.left_out)} left out" if run.left_out else ""
        bundle = BundleRecord(
            digest=signed.policy.digest,
            revision=signed.policy.revision,
            key_id=signed.key_id,
            tests=f"{run.passed} passed on {run.engine}{left_out}",
            uploaded_by=actor.name,
            uploaded_at=self._clock(),
        )
        return await self._store.keep(actor, bundle, tarball)

    async def activate(
        self, actor: Actor, bundle: str, reason: str, *, check: Check[Standing] | None = None
    ) -> ActivationRecord:
        """Make a bundle live."""
        _require_reason(reason)
        digest = await self._usable(bundle)
        return await self._store.activate(actor, digest, reason, check=check)

    async def rollback(
        self, actor: Actor, reason: str, *, check: Check[Standing] | None = None
    ) -> ActivationRecord:
        """Make live again what was so before the live one."""
        _require_reason(reason)
        before = await self._store.before_live()
        if before is not None:
            await self._usable(before)
        return await self._store.rollback(actor, reason, before, check=check)

    async def shadow(
        self, actor: Actor, bundle: str | None, *, check: Check[Standing] | None = None
    ) -> BundleRecord | None:
        """Evaluate a bundle beside the live one from now on, or none."""
        if bundle is None:
            await self._store.shadow(actor, None, check=check)
            return None
        digest = await self._usable(bundle)
        await self._store.shadow(actor, digest, check=check)
        return await self._store.find(digest)

    async def bundles(self) -> tuple[BundleRecord, ...]:
        """What was uploaded, the newest first."""
        return await self._store.bundles()

    async def find(self, bundle: str) -> BundleRecord:
        """One bundle."""
        return await self._store.find(bundle)

    async def history(self) -> tuple[ActivationRecord, ...]:
        """What was live, the newest first."""
        return await self._store.history()

    async def standing(self) -> Standing:
        """What is live and what is shadow."""
        return await self._store.standing()

    async def shadow_report(self, nodes: frozenset[str] | None = None) -> ShadowReport:
        """What the shadow came to."""
        return await self._store.shadow_report(nodes)

    async def organisations(self) -> frozenset[str]:
        """Every organisation's id."""
        return await self._store.organisations()

    async def _usable(self, name: str) -> str:
        """The digest of a bundle that still verifies and compiles here."""
        digest = (await self._store.find(name)).digest
        signed = await self._tried(await self._store.tarball(digest))
        if signed.policy.digest != digest:
            raise PolicyRefused("the database holds another bundle under this digest")
        return digest

    async def _tried(self, tarball: bytes) -> SignedBundle:
        if not self._keys:
            raise PolicyRefused(
                "no key is trusted to sign policies: POLICY_BUNDLE_KEYS names a public key, or a "
                "folder of them"
            )
        try:
            signed = read_tarball(tarball, self._keys)
            require_readable(signed.policy)
            await (await compiled(signed.policy)).close()
        except (BrokenBundle, BrokenSignature) as fault:
            raise PolicyRefused(str(fault)) from fault
        return signed


def _require_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > _MOST_REASON_CHARS:
        raise PolicyRefused(f"say why, in at most {_MOST_REASON_CHARS} characters")
