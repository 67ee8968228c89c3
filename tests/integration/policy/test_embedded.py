"""What is particular to the engine inside the process. Needs no service."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.policy_bundle import BrokenBundle, PolicyBundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.ports.policy import PolicyResult
from tests.fixtures.policy_inputs import UNPRICED, budget, chat_input

EVALUATIONS = 10_000
GROWTH_KB = 4096
REPOSITORY = Path(__file__).parents[3]


def _bundle_of(bundle: PolicyBundle, **modules: str) -> PolicyBundle:
    return PolicyBundle(
        modules={
            path: source for path, source in {**bundle.modules, **modules}.items() if source != ""
        },
        data=bundle.data,
        revision=bundle.revision,
        digest="",
    )


def _workers() -> list[int]:
    """Worker processes of this one; zombies left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) != os.getpid() or fields[0] == "Z":
            continue
        if b"regopy_worker" in stat.with_name("cmdline").read_bytes():
            found.append(int(stat.parent.name))
    return found


def _resident_kb(process: int | str) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1])


@pytest.mark.integration  # for its length
async def test_memory_stays_flat(bundle: PolicyBundle) -> None:
    policy = RegopyPolicy(bundle)
    questions = [
        chat_input(),
        chat_input(budgets=(budget("95"),), candidates=(UNPRICED,)),
        chat_input(asked_model='not "mine"\n'),
        {},
    ]
    for _ in range(EVALUATIONS // 20):
        await policy.evaluate(questions[0])
    [worker] = _workers()
    before = _resident_kb(worker), _resident_kb("self")
    for number in range(EVALUATIONS):
        await policy.evaluate(questions[number % len(questions)])
    assert _resident_kb(worker) - before[0] < GROWTH_KB
    assert _resident_kb("self") - before[1] < GROWTH_KB
    await policy.close()


async def test_calls_at_once_get_each_their_own_answer(bundle: PolicyBundle) -> None:
    policy = RegopyPolicy(bundle)
    asked = [f"model-{number % 3}" if number % 2 else "chat" for number in range(200)]
    results = await asyncio.gather(
        *(policy.evaluate(chat_input(asked_model=model)) for model in asked)
    )
    assert [result.allow for result in results] == [model == "chat" for model in asked]
    await policy.close()


async def test_an_asker_that_gives_up_leaves_no_answer_for_the_next(bundle: PolicyBundle) -> None:
    policy = RegopyPolicy(bundle)
    for _ in range(20):
        gone = asyncio.create_task(policy.evaluate(chat_input()))
        await asyncio.sleep(0)
        gone.cancel()
        result = await policy.evaluate(chat_input(asked_model="another"))
        assert [reason.code for reason in result.reasons] == ["model_not_allowed"]
        with pytest.raises(asyncio.CancelledError):
            await gone
    await policy.close()


async def test_an_engine_whose_process_died_is_back_with_the_next_call(
    bundle: PolicyBundle,
) -> None:
    policy = RegopyPolicy(bundle)
    assert (await policy.evaluate(chat_input())).allow
    [worker] = _workers()
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(PolicyUnavailable):
        await policy.evaluate(chat_input())
    assert (await policy.evaluate(chat_input())).allow
    await policy.close()
    assert _workers() == []


async def test_a_process_that_hangs_is_unavailable_after_the_timeout_and_replaced(
    bundle: PolicyBundle,
) -> None:
    policy = RegopyPolicy(bundle, timeout_s=1.0)
    [worker] = _workers()
    os.kill(worker, signal.SIGSTOP)
    with pytest.raises(PolicyUnavailable):
        await policy.evaluate(chat_input())
    assert (await policy.evaluate(chat_input())).allow
    await policy.close()


async def test_calls_that_wait_while_the_engine_closes_are_unavailable(
    bundle: PolicyBundle,
) -> None:
    policy = RegopyPolicy(bundle)
    waiting = [asyncio.create_task(policy.evaluate(chat_input())) for _ in range(50)]
    await asyncio.sleep(0)
    await policy.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert PolicyUnavailable in {type(outcome) for outcome in outcomes}
    assert {type(outcome) for outcome in outcomes} <= {PolicyUnavailable, PolicyResult}


def test_the_process_ends_with_the_service(bundle: PolicyBundle) -> None:
    """Killed, the service closes nothing; the worker sees its socket end."""
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from policy_service.adapters.policy_bundle import load_bundle\n"
        "from policy_service.adapters.regopy_policy import RegopyPolicy\n"
        "policy = RegopyPolicy(load_bundle(Path(sys.argv[1])))\n"
        "print(policy._process._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(REPOSITORY / "rego")],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as service:
        assert service.stdout is not None
        worker = int(service.stdout.readline())
        watched = os.pidfd_open(worker)
        service.kill()
        ended, _, _ = select.select([watched], [], [], 30)
        os.close(watched)
    assert ended


@pytest.mark.parametrize(
    "source",
    [
        "package llm.extra\n\nx := {{",
        "package llm.extra\n\nx := [i | some i, y in [1]]",
        "no rego at all",
    ],
)
def test_a_module_that_does_not_compile_is_named(bundle: PolicyBundle, source: str) -> None:
    with pytest.raises(BrokenBundle, match=r"llm/extra/extra\.rego"):
        RegopyPolicy(_bundle_of(bundle, **{"llm/extra/extra.rego": source}))


def test_a_module_that_ends_its_process_does_not_end_ours(bundle: PolicyBundle) -> None:
    """rego-cpp 1.5 calls std::terminate on `with` over a rule that negates another one."""
    source = (
        "package llm.main\n\ndecision := 1\n\n"
        "x if not y\n\ny if input.a\n\nz if x with input as {}\n"
    )
    fatal = PolicyBundle({"llm/main/main.rego": source}, bundle.data, revision="x", digest="")
    with pytest.raises(BrokenBundle, match=r"its process ended.*std::runtime_error"):
        RegopyPolicy(fatal)


@pytest.mark.parametrize("source", ["decision := foo(1)", "decision := x", "decision := input.a"])
def test_an_entrypoint_without_a_value_for_nothing_is_refused(
    bundle: PolicyBundle, source: str
) -> None:
    with pytest.raises(BrokenBundle):
        RegopyPolicy(
            _bundle_of(bundle, **{"llm/main/main.rego": f"package llm.main\n\n{source}\n"})
        )


@pytest.mark.parametrize("question", ["budgets", "models", "pricing", "request"])
async def test_a_question_that_is_not_loaded_denies_everything(
    bundle: PolicyBundle, question: str
) -> None:
    policy = RegopyPolicy(_bundle_of(bundle, **{f"llm/{question}/{question}.rego": ""}))
    result = await policy.evaluate(chat_input())
    assert not result.allow
    assert "policy_incomplete" in {reason.code for reason in result.reasons}
    await policy.close()


async def test_compliances_lists_may_hold_any_text(bundle: PolicyBundle) -> None:
    name = 'é "quoted" \\ line\n'
    restricted = {"restricted": {name: {"roles": ["x"], "departments": []}}}
    lists = {**bundle.data["data"], "models": restricted}
    policy = RegopyPolicy(PolicyBundle(bundle.modules, {"data": lists}, bundle.revision, ""))
    document = chat_input(asked_model=name)
    document["caller"]["allowed_models"] = ["*"]
    result = await policy.evaluate(document)
    assert [reason.code for reason in result.reasons] == ["model_restricted"]
    await policy.close()


async def test_a_document_that_is_no_json_is_a_fault(bundle: PolicyBundle) -> None:
    policy = RegopyPolicy(bundle)
    with pytest.raises(PolicyUnavailable):
        await policy.evaluate({"caller": object()})
    with pytest.raises(PolicyUnavailable):
        await policy.evaluate(chat_input(asked_model="\ud800"))
    assert (await policy.evaluate(chat_input())).allow
    await policy.close()
