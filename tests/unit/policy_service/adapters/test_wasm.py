"""Rules compiled to WebAssembly: what they cannot do, and what becomes of those that misbehave."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.policies.trial import embedded
from policy_service.adapters.policy_bundle import (
    BrokenBundle,
    PolicyBundle,
    digest_of,
    load_bundle,
)
from policy_service.adapters.wasm.policy import WasmPolicy
from policy_service.adapters.wasm.program import Program, ProgramFailed
from policy_service.adapters.wasm.rules import NotCompiled, compiled_rules
from policy_service.ports.policy import EmbeddedEngine
from tests.fixtures.opa_server import opa_binary
from tests.fixtures.policies import REGO
from tests.fixtures.policy_inputs import chat_input

DENIES = """package llm.main
decision := {"allow": false, "revision": data.data.revision, "said": input}
"""
ENDLESS = """package llm.main
decision := {"allow": n > 0} if {
\tn := count([1 | some a in numbers.range(0, 2000); some b in numbers.range(0, 2000); a == b])
}
"""
LARGE = """package llm.main
decision := [input.words | some _ in numbers.range(1, 200)]
"""
ASKS_THE_NETWORK = """package llm.main
decision := http.send({"method": "get", "url": "http://127.0.0.1"}).status_code
"""


def rules(source: str) -> bytes:
    return compiled_rules(opa_binary(), {"llm/main/main.rego": source})


def program(source: str, data: Mapping[str, Any] | None = None) -> Program:
    return Program(rules(source), json.dumps(data or {"data": {}}).encode())


def answer(asked: Program, document: object) -> Any:
    [found] = json.loads(asked.ask(json.dumps(document).encode()))
    return found["result"]


def test_input_and_lists_come_to_the_rules_as_they_are() -> None:
    words: dict[str, Any] = {
        "a": "ÄÖ \u0000 \U0001f600",
        "n": [1, 0.1, -3e10, None, True],
        "deep": [[[{}]]],
    }
    asked = program(DENIES, {"data": {"revision": "7"}})
    assert answer(asked, words) == {"allow": False, "revision": "7", "said": words}


def test_what_is_undefined_has_no_answer() -> None:
    assert program(DENIES).ask(b"{}") == b"[]"


def test_nothing_of_a_question_is_left_for_the_next() -> None:
    asked = program(DENIES, {"data": {"revision": "7"}})
    for number in range(200):
        document = {"words": "x" * (number * 997 % 60_000)}
        assert answer(asked, document)["said"] == document


def test_a_question_larger_than_the_memory_so_far_gets_room() -> None:
    asked = program("package llm.main\ndecision := count(input.words)\n")
    assert answer(asked, {"words": "x" * 1_000_000}) == 1_000_000


def test_who_takes_too_long_is_stopped() -> None:
    with pytest.raises(ProgramFailed, match="fuel"):
        program(ENDLESS).ask(b"{}")


def test_who_takes_too_much_memory_is_stopped() -> None:
    asked = program(LARGE)
    with pytest.raises(ProgramFailed):
        asked.ask(json.dumps({"words": "x" * 4_000_000}).encode())


def test_rules_that_would_call_out_are_refused() -> None:
    with pytest.raises(NotCompiled, match=r"http\.send"):
        program(ASKS_THE_NETWORK)


@pytest.mark.parametrize("content", [b"", b"\0asm", b"no module"])
def test_what_is_no_module_is_refused(content: bytes) -> None:
    with pytest.raises(NotCompiled):
        Program(content, b"{}")


def test_rules_that_opa_refuses_are_told() -> None:
    with pytest.raises(NotCompiled, match="rego_parse_error"):
        rules("package llm.main\ndecision := {")


async def test_who_was_stopped_decides_the_next_question() -> None:
    made = WasmPolicy(PolicyBundle({}, {"data": {}}, "7", ""), rules(ENDLESS))
    for _ in range(2):
        with pytest.raises(PolicyUnavailable):
            await made.evaluate({})
    policy = WasmPolicy(bundle := load_bundle(REGO), compiled_rules(opa_binary(), bundle.modules))
    policy._program = None  # as after a failure
    assert (await policy.evaluate(chat_input())).allow


async def test_who_is_closed_decides_nothing() -> None:
    bundle = load_bundle(REGO)
    policy = WasmPolicy(bundle, compiled_rules(opa_binary(), bundle.modules))
    assert await policy.ready()
    await policy.close()
    assert not await policy.ready()
    with pytest.raises(PolicyUnavailable):
        await policy.evaluate(chat_input())


@pytest.mark.parametrize("which", EmbeddedEngine)
async def test_which_engine_is_embedded_is_a_choice(which: EmbeddedEngine) -> None:
    opa_binary()
    engine = await embedded(load_bundle(REGO), which)
    await engine.close()
    assert engine.name == ("regopy" if which is EmbeddedEngine.REGOPY else "wasm")


async def test_without_opa_regopy_decides_unless_webassembly_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("policy_service.adapters.policies.trial.opa_program", lambda: None)
    bundle = load_bundle(REGO)
    engine = await embedded(bundle)
    assert engine.name == "regopy"
    await engine.close()
    with pytest.raises(BrokenBundle, match="not installed"):
        await embedded(bundle, EmbeddedEngine.WASM)


async def test_rules_that_opa_cannot_compile_are_left_to_regopy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    opa_binary()
    bundle = load_bundle(REGO)
    hours = "llm/hours/hours.rego"
    late = '\ndeny contains "late" if time.now_ns() < 0\n'
    modules = {**bundle.modules, hours: bundle.modules[hours] + late}
    odd = PolicyBundle(modules, bundle.data, bundle.revision, digest_of(modules, bundle.data))
    engine = await embedded(odd)
    await engine.close()
    assert engine.name == "regopy"
    assert "slower: the rules call what OPA cannot compile: time.now_ns" in caplog.text


async def test_a_policy_that_allows_who_says_nothing_is_refused() -> None:
    allows = """package llm.main
decision := {
\t"allow": true, "permitted": [], "models": [], "reasons": [], "revision": "7", "approval": "",
}
"""
    bundle = PolicyBundle({"llm/main/main.rego": allows}, {"data": {}}, "7", "")
    with pytest.raises(BrokenBundle):
        await embedded(bundle, EmbeddedEngine.WASM)
