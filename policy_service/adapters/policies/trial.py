"""Tries a bundle before anybody depends on it.

In processes of their own, since a policy that cannot be compiled may take the engine with it: it
compiles, it denies the empty question, and its own tests hold.
"""

import asyncio
import logging
from collections.abc import Mapping

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.making import made_in_thread
from policy_service.adapters.policies.testing import TestRun, opa_program, run_on_opa, run_on_regopy
from policy_service.adapters.policy_bundle import BrokenBundle, PolicyBundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.adapters.wasm.policy import WasmPolicy
from policy_service.adapters.wasm.rules import NotCompiled, compiled_rules
from policy_service.ports.policy import EmbeddedEngine, PolicyEngine

_NAMED = 5
_log = logging.getLogger(__name__)


async def embedded(
    bundle: PolicyBundle, which: EmbeddedEngine = EmbeddedEngine.AUTO
) -> PolicyEngine:
    """The embedded engine with the bundle, which has denied the empty question.

    Raises:
        BrokenBundle: It does not compile, gives no decision, or allows who says nothing.
    """
    if which is EmbeddedEngine.REGOPY:
        return await compiled(bundle)
    opa = opa_program()
    if opa is None and which is EmbeddedEngine.AUTO:
        return await compiled(bundle)
    try:
        engine = await asyncio.to_thread(_as_wasm, opa, bundle)
    except NotCompiled as fault:
        if which is EmbeddedEngine.WASM:
            raise BrokenBundle(f"the rules do not become WebAssembly: {fault}") from fault
        _log.warning("regopy evaluates the policy, which is slower: %s", fault)
        return await compiled(bundle)
    await _require_denial(engine)
    return engine


def _as_wasm(opa: str | None, bundle: PolicyBundle) -> WasmPolicy:
    if opa is None:
        raise NotCompiled("`opa`, which compiles them, is not installed")
    return WasmPolicy(bundle, compiled_rules(opa, bundle.modules))


async def compiled(bundle: PolicyBundle) -> RegopyPolicy:
    """An engine of regopy's with the bundle, which has denied the empty question.

    Raises:
        BrokenBundle: It does not compile, gives no decision, or allows who says nothing.
    """
    engine = await made_in_thread(lambda: RegopyPolicy(bundle), RegopyPolicy.kill)
    try:
        await _require_denial(engine)
    except BaseException:
        await engine.close()
        raise
    return engine


async def _require_denial(engine: PolicyEngine) -> None:
    try:
        allows = (await engine.evaluate({})).allow
    except PolicyUnavailable as fault:
        raise BrokenBundle("the policy gives no decision about the empty question") from fault
    if allows:
        raise BrokenBundle(
            "the policy allows the empty question: it must deny when nothing is said"
        )


def own_tests(bundle: PolicyBundle, tests: Mapping[str, str]) -> TestRun:
    """Run the bundle's tests: on OPA where it is installed, else those that regopy can run."""
    opa = opa_program()
    return run_on_regopy(bundle, tests) if opa is None else run_on_opa(opa, bundle, tests)


def require_passing(run: TestRun) -> None:
    """Refuse a bundle whose tests do not hold.

    Raises:
        BrokenBundle: Which do not.
    """
    if run.fault:
        raise BrokenBundle(f"the policy's tests cannot be run: {run.fault}")
    if run.failed:
        more = f" and {len(run.failed) - _NAMED} more" if len(run.failed) > _NAMED else ""
        raise BrokenBundle(
            f"the policy fails its own tests: {', '.join(run.failed[:_NAMED])}{more}"
        )
