"""Every engine over the same bundle, and an OPA that has it loaded."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from policy_service.adapters.opa_policy import OpaPolicy
from policy_service.adapters.policy_bundle import PolicyBundle, load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.adapters.wasm.policy import WasmPolicy
from policy_service.adapters.wasm.rules import compiled_rules
from policy_service.ports.policy import PolicyEngine
from tests.fixtures.opa_server import OpaServer, opa_binary, start_opa

REGO = Path(__file__).parents[3] / "rego"

settings.register_profile(
    "engines",
    max_examples=int(os.environ.get("GATEHOUSE_ENGINE_EXAMPLES", "100")),  # noqa: TID251
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="session")
def rego() -> Path:
    """Our policy's folder."""
    return REGO


@pytest.fixture(scope="session")
def bundle() -> PolicyBundle:
    """Our policy."""
    return load_bundle(REGO)


@pytest.fixture(scope="session")
def opa() -> Iterator[OpaServer]:
    """An OPA that has loaded our policy as its bundle; nothing may be pushed to it."""
    with start_opa(REGO) as server:
        yield server


@pytest.fixture(params=["opa", "opa-pushed", "regopy", "wasm"])
async def engine(
    request: pytest.FixtureRequest, bundle: PolicyBundle
) -> AsyncIterator[PolicyEngine]:
    """Each way to have the policy evaluated."""
    match request.param:
        case "opa":
            server: OpaServer = request.getfixturevalue("opa")
            made: PolicyEngine = OpaPolicy(server.url, timeout_s=10.0)
        case "opa-pushed":
            empty: OpaServer = request.getfixturevalue("empty_opa")
            made = OpaPolicy(empty.url, timeout_s=10.0, bundle=bundle)
        case "wasm":
            made = WasmPolicy(bundle, compiled_rules(opa_binary(), bundle.modules))
        case _:
            made = RegopyPolicy(bundle)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture(scope="session")
def empty_opa() -> Iterator[OpaServer]:
    """An OPA without a bundle, to which a policy may be pushed."""
    with start_opa(None) as server:
        yield server
