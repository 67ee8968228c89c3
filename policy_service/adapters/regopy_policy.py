"""Evaluates the policy inside this process, with regopy (rego-cpp): for a machine without OPA.

The bundle is built once and its entrypoint queried; a query that is not compiled costs 10 ms, and
more with every list. One evaluation takes one to two milliseconds, half of it to read the input.
The engine is not thread-safe and lets go of the GIL, so that it runs in one thread of its own, and
the event loop serves others meanwhile. Memory stays flat (`tests/integration/policy` holds it).

What it leaves out of Rego is listed in `rego/README.md`.
"""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from regopy import Interpreter
from regopy.rego_shared import LogLevel, RegoError

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.policy_answer import policy_result
from policy_service.adapters.policy_bundle import ENTRYPOINT, BrokenBundle, PolicyBundle
from policy_service.adapters.regopy_text import from_rego, rego_term
from policy_service.ports import PolicyResult

_PROBE = Path(__file__).with_name("regopy_probe.py")
_PROBE_TIMEOUT_S = 60.0
_SHOWN_CHARS = 1000


class RegopyPolicy:
    """A `PolicyEngine` without a server.

    Args:
        bundle: Is built at once.

    Raises:
        BrokenBundle: rego-cpp cannot compile it; the message says where.
    """

    def __init__(self, bundle: PolicyBundle) -> None:
        """Build the bundle, first in a process that may die of it."""
        data = rego_term(dict(bundle.data))
        _probe(bundle, data)
        self._interpreter = Interpreter()
        # It would write every fault to standard error, the input with it.
        self._interpreter.log_level = LogLevel.NONE
        for path, source in bundle.modules.items():
            self._interpreter.add_module(path, source)
        # Not `add_data`: that spells `é` as an escape, and then it equals no `é` of the input.
        self._interpreter.add_data_json(data)
        self._built = self._interpreter.build(None, [ENTRYPOINT])
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="regopy")

    @property
    def name(self) -> str:
        """Names the engine in the decision log."""
        return "regopy"

    async def evaluate(self, document: dict[str, Any]) -> PolicyResult:
        """Decide about `document`.

        Raises:
            PolicyUnavailable: The evaluation failed or gave no decision.
        """
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._thread, self._decision, document)
        # RuntimeError: the thread has been closed.
        except (RegoError, ValueError, RuntimeError) as error:
            raise PolicyUnavailable("The policy engine cannot be asked.") from error
        return policy_result(answer, document)

    async def ready(self) -> bool:
        """Whether the entrypoint answers; the empty question has a defined answer: no."""
        try:
            return not (await self.evaluate({})).allow
        except PolicyUnavailable:
            return False

    async def close(self) -> None:
        """End the thread; every later question is `PolicyUnavailable`."""
        self._thread.shutdown(wait=True)

    def _decision(self, document: dict[str, Any]) -> object:
        """The entrypoint's value, `None` when it is undefined."""
        self._interpreter.set_input_term(rego_term(document))
        output = self._interpreter.query_bundle_entrypoint(self._built, ENTRYPOINT)
        if not output.ok():
            raise RegoError("the evaluation ended in an error")
        expressions = output.results[0].expressions if output.results else []
        return from_rego(expressions[0]) if expressions else None


def _probe(bundle: PolicyBundle, data: str) -> None:
    """Raise `BrokenBundle` where building would fail, or take the process down."""
    question = {"modules": dict(bundle.modules), "data": data, "entrypoint": ENTRYPOINT}
    try:
        ended = subprocess.run(  # noqa: S603 - our own file, run by our own interpreter
            [sys.executable, "-P", str(_PROBE)],
            input=msgspec.json.encode(question),
            capture_output=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BrokenBundle("regopy does not come to an end with the policy") from None
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip()[:_SHOWN_CHARS]
        raise BrokenBundle(f"regopy cannot use the policy: {said or ended.returncode}")
