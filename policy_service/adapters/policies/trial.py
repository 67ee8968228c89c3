"""Tries a bundle before anybody depends on it.

In processes of their own, since a policy that cannot be compiled may take the engine with it: it
compiles, it denies the empty question, and its own tests hold.
"""

from collections.abc import Mapping

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.making import made_in_thread
from policy_service.adapters.policies.testing import TestRun, opa_program, run_on_opa, run_on_regopy
from policy_service.adapters.policy_bundle import BrokenBundle, PolicyBundle
from policy_service.adapters.regopy_policy import RegopyPolicy

_NAMED = 5


async def compiled(bundle: PolicyBundle) -> RegopyPolicy:
    """An engine with the bundle, which has denied the empty question.

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


async def _require_denial(engine: RegopyPolicy) -> None:
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
