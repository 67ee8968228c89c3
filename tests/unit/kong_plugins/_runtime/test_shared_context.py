from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import msgspec
import pytest

from kong_plugins._runtime import shared_context
from kong_plugins._runtime.shared_context import (
    MAX_HANDED_BODY_BYTES,
    HandedCaller,
    HandedDecision,
    RequestFacts,
    read_caller,
    read_decision,
    read_usage,
    write_caller,
    write_decision,
    write_usage,
)
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller, ProofOfIdentity
from llm_core.policy.decision import (
    Decision,
    Denial,
    ErrorClass,
    PricedDeployment,
    Transport,
    UsageReport,
)
from llm_core.policy.limits import Limit, Measure
from llm_core.pricing.charge import ModelPrice, Rates
from llm_core.tokens.usage import TokenUsage

CALLER = Caller(
    "acme", "r-and-d", "search", ProofOfIdentity.API_KEY,
    roles=("dev",), limits=(Limit("team:search", Measure.USD_PER_MONTH, Decimal("12.50")),),
)  # fmt: skip
CALL = Call(Operation.CHAT_COMPLETIONS, "gpt-4o-mini", prompt_tokens=12, body_digest="ab" * 32)
DECISION = Decision(
    "d-1",
    "r-7",
    transport=Transport.DIRECT,
    ticket="t",
    deployments=(
        PricedDeployment(
            Deployment("openai-1", ProviderKind.OPENAI, "gpt-4o-mini", "https://api.openai.com/v1"),
            ModelPrice("v1", Rates(Decimal("0.15"), Decimal("0.60"))),
        ),
    ),
    headers={"x-gatehouse-decision-id": "d-1"},
    issued_at=datetime(2026, 11, 20, tzinfo=UTC),
)
USAGE = UsageReport(
    "openai-1", Transport.DIRECT, 200, ErrorClass.NONE, TokenUsage(input_tokens=12, output_tokens=3)
)


class LuaShared:
    """Keeps values as Lua does: bytes in, and text out whatever the bytes are."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.calls = 0

    async def set(self, key: str, value: str | bytes) -> None:
        self.calls += 1
        as_bytes = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        self.values[key] = as_bytes

    async def get(self, key: str) -> str | None:
        self.calls += 1
        value = self.values.get(key)
        return None if value is None else value.decode("utf-8", "surrogateescape")


@pytest.fixture
def kong() -> SimpleNamespace:
    return SimpleNamespace(ctx=SimpleNamespace(shared=LuaShared()))


async def test_a_caller_comes_out_as_it_went_in(kong: SimpleNamespace):
    handed = HandedCaller(CALLER, RequestFacts(reads_cache=False))
    await write_caller(kong, handed)
    assert await read_caller(kong) == handed
    assert kong.ctx.shared.calls == 2


async def test_a_usage_report_comes_out_as_it_went_in(kong: SimpleNamespace):
    await write_usage(kong, USAGE)
    assert await read_usage(kong) == USAGE
    assert kong.ctx.shared.calls == 2


@pytest.mark.parametrize(
    "body", [None, b"", b'{"a": 1}', b"line\nline\n", b"\xff\x00\x80", b"x" * MAX_HANDED_BODY_BYTES]
)
async def test_a_decision_comes_out_as_it_went_in_with_its_body(
    kong: SimpleNamespace, body: bytes | None
):
    handed = HandedDecision(DECISION, CALL, body, started_monotonic_s=17.25)
    await write_decision(kong, handed)
    assert await read_decision(kong) == handed
    assert kong.ctx.shared.calls == 2


async def test_a_refusal_is_handed_on_too(kong: SimpleNamespace):
    denied = Decision("d-2", "r-7", denial=Denial(403, {"error": {"code": "policy_denied"}}))
    await write_decision(kong, HandedDecision(denied, CALL))
    read = await read_decision(kong)
    assert read is not None
    assert read.decision == denied


async def test_a_body_that_is_too_long_stays_behind(kong: SimpleNamespace):
    await write_decision(kong, HandedDecision(DECISION, CALL, b"x" * (MAX_HANDED_BODY_BYTES + 1)))
    read = await read_decision(kong)
    assert read == HandedDecision(DECISION, CALL)


async def test_what_nobody_wrote_is_none(kong: SimpleNamespace):
    assert await read_caller(kong) is None
    assert await read_decision(kong) is None
    assert await read_usage(kong) is None


async def test_what_another_wrote_is_an_error(kong: SimpleNamespace):
    for key, read in (
        (shared_context.CALLER_KEY, read_caller),
        (shared_context.DECISION_KEY, read_decision),
        (shared_context.USAGE_KEY, read_usage),
    ):
        await kong.ctx.shared.set(key, "{}")
        with pytest.raises(msgspec.MsgspecError):
            await read(kong)
