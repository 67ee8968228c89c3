"""The rule on approvals, with a model on compliance's list, on both engines."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from llm_core.policy.approvals import ApprovalGrant
from policy_service.adapters.opa_policy import OpaPolicy
from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.ports.policy import PolicyEngine
from tests.fixtures.opa_server import start_opa
from tests.fixtures.policy_folder import requiring_approval
from tests.fixtures.policy_inputs import AT, chat_input, listing_input

pytestmark = pytest.mark.integration
GRANT = ApprovalGrant("apr_1", "user:ada", ("chat",), AT + timedelta(days=1), Decimal(50))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return requiring_approval(tmp_path_factory.mktemp("policy"), ["chat"])


@pytest.fixture(scope="module")
def opa_url(folder: Path) -> Iterator[str]:
    with start_opa(folder) as server:
        yield server.url


@pytest.fixture(params=["opa", "regopy"])
async def engine(
    request: pytest.FixtureRequest, folder: Path, opa_url: str
) -> AsyncIterator[PolicyEngine]:
    made: PolicyEngine
    if request.param == "opa":
        made = OpaPolicy(opa_url, timeout_s=10.0)
    else:
        made = RegopyPolicy(load_bundle(folder))
    yield made
    await made.close()


async def test_without_a_grant_the_model_is_denied(engine: PolicyEngine) -> None:
    result = await engine.evaluate(chat_input())
    assert [reason.code for reason in result.reasons] == ["approval_required"]
    assert (result.allow, result.approval) == (False, None)


async def test_a_grant_opens_it_and_is_named(engine: PolicyEngine) -> None:
    others = (
        ApprovalGrant("apr_0", "user:ada", ("o1-pro",), AT + timedelta(days=1)),
        ApprovalGrant("apr_over", "user:ada", ("chat",), AT),
    )
    result = await engine.evaluate(chat_input(approvals=(*others, GRANT)))
    assert (result.allow, result.approval) == (True, "apr_1")


async def test_the_first_of_several_is_relied_on(engine: PolicyEngine) -> None:
    other = ApprovalGrant("apr_2", "team:emea-sales", ("o1-pro", "chat"), AT + timedelta(days=9))
    for grants in ((GRANT, other), (other, GRANT)):
        result = await engine.evaluate(chat_input(approvals=grants))
        assert result.approval == grants[0].id


async def test_a_listing_relies_on_none(engine: PolicyEngine) -> None:
    result = await engine.evaluate(listing_input("chat"))
    assert (result.models, result.approval) == (("chat",), None)
