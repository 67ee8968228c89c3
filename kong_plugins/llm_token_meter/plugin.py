"""May this call be made, and what did it use? Asks before, reports after."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from kong_plugins._runtime import measures, shared_context, spans
from kong_plugins._runtime.decision_ids import new_decision_id
from kong_plugins._runtime.pdk import Kong
from kong_plugins._runtime.policy_client import PolicyClient
from kong_plugins._runtime.shared_context import HandedDecision
from kong_plugins.llm_token_meter.journal import Journal, Waiting
from kong_plugins.llm_token_meter.report import report_of, reservation_of, unsent
from kong_plugins.llm_token_meter.schema import AUTO, Config
from llm_core.errors import (
    BodyTooLarge,
    GatewayFault,
    MalformedRequest,
    PolicyUnavailable,
    Undecided,
)
from llm_core.operation import OWN_BODIES, OWN_OPERATIONS, Operation
from llm_core.policy.call import Call
from llm_core.policy.call_facts import USE_CASE_HEADER, call_of, operation_at, replayed
from llm_core.policy.decision import TICKET_HEADER, DecisionRequest, Reservation, UsageReport
from llm_core.policy.request_facts import RequestFacts
from llm_core.tokens.estimate import openai_counter

_log = logging.getLogger(__name__)
_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream; charset=utf-8"}
_LONG_BODY_BYTES = 256 * 1024
"""Longer ones are counted beside the event loop: 5 MB take 90 ms, in which others want answers."""
_OWN_BODY_BYTES = 16 * 1024
"""What the gateway itself takes is short."""

_CLOSE_WAIT_S = 0.8
_TAKE_BACK_AFTER_S = (0.5, 2.0, 8.0, 30.0)
_MOST_TAKEN_BACK = 1000
"""Calls in an outage that are followed up at once; for the rest the lease ends by itself."""


class Plugin:
    """Kong builds one per configuration and calls its phases."""

    def __init__(self, raw_config: dict[str, Any]) -> None:
        config = Config.from_kong(raw_config)
        self._config = config
        self._policy = PolicyClient(
            config.policy_url, config.policy_secret, config.timeout_ms / 1000
        )
        self._count = openai_counter()
        self._journal = Journal(Path(config.journal_path))
        self._tasks: set[asyncio.Task[Any]] = set()
        self._taking_back = 0
        self._delivering = self._spawn(
            self._journal.keep_delivering(self._report, config.journal_retry_s)
        )

    async def access(self, kong: Kong) -> None:
        """Ask for a decision; hand it on, or answer the refusal."""
        who = await shared_context.read_caller(kong)
        if who is None:
            raise Undecided("The caller was not identified: llm-auth did not run. Try again.")
        started_s = time.monotonic()
        caller = who.caller
        decision_id = who.decision_id or new_decision_id()
        trace = spans.follow(who.facts.traceparent, decision_id)
        body, call = await self._call(kong, who.facts)
        spans.note({"gatehouse.operation": call.operation.value, spans.DECISION: decision_id})
        try:
            own = body if call.operation in OWN_BODIES else b""
            decision = await self._policy.decide(
                DecisionRequest(caller, call, decision_id, self._config.route, own),
                traceparent=spans.own(trace),
            )
        except BaseException:
            # The service may have decided and reserved all the same: its answer came too late.
            self._take_back_later(decision_id)
            raise
        if decision.denial is not None:
            refused = decision.denial
            spans.refused(_code_of(refused.body), refused.status)
            await _answer(kong, refused.status, refused.body, refused.headers)
        spans.note({spans.TRANSPORT: decision.transport.value})
        if decision.answer is not None:
            if call.is_streaming:
                events = replayed(call.operation, body, decision.answer)
                await kong.response.exit(200, events, {**decision.headers, **_EVENTS})
            await _answer(kong, 200, decision.answer, decision.headers)
        try:
            # The ticket is set even for a direct call: should the transform plugin not run, Kong
            # proxies to the relay, and the relay serves the call whole.
            await kong.service.request.set_headers({TICKET_HEADER: decision.ticket})
            # The client's address was for the decision; nobody after it is told.
            call = replace(call, source_ip=None)
            handed = HandedDecision(decision, call, body, started_s, trace)
            await shared_context.write_decision(kong, handed)
        except BaseException:
            # Kong does not take the decision any more, so the log phase will not find it: what was
            # reserved is given back from here.
            self._spawn(self._deliver(unsent(), reservation_of(decision, call, caller), trace))
            raise

    async def log(self, kong: Kong) -> None:
        """Report what the call used; the relay reports what it served itself."""
        handed = await shared_context.read_decision(kong)
        if handed is None:
            return
        who = await shared_context.read_caller(kong)
        usage = await shared_context.read_usage(kong)
        record = await kong.log.serialize()
        report = report_of(handed.decision, usage, record)
        if report is not None and who is not None:
            decided = reservation_of(handed.decision, handed.call, who.caller)
            self._spawn(self._deliver(report, decided, handed.traceparent))

    async def close(self) -> None:
        """Stop the journal, let deliveries finish, let go of connections.

        A delivery that is cut off goes into the journal.
        """
        self._delivering.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_CLOSE_WAIT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._policy.close()

    async def _call(self, kong: Kong, facts: RequestFacts) -> tuple[bytes, Call]:
        operation = await self._operation(kong)
        if operation in OWN_OPERATIONS:
            takes = operation in OWN_BODIES
            return await self._body(kong, _OWN_BODY_BYTES) if takes else b"", Call(operation)
        if self._config.require_use_case and facts.use_case is None:
            raise MalformedRequest(
                f"Calls to this route say what they are for: send the header {USE_CASE_HEADER}."
            )
        body = await self._body(kong, self._config.max_body_bytes)
        if len(body) > _LONG_BODY_BYTES:
            call = await asyncio.to_thread(call_of, operation, body, self._count, facts)
        else:
            call = call_of(operation, body, self._count, facts)
        return body, call

    async def _operation(self, kong: Kong) -> Operation:
        if self._config.operation != AUTO:
            return Operation(self._config.operation)
        return operation_at(await kong.request.get_method(), await kong.request.get_path())

    async def _body(self, kong: Kong, longest: int) -> bytes:
        # Kong answers 500 for a spooled body longer than what is asked for, so ask for more than is
        # allowed; llm-auth has turned away what says in Content-Length that it is too long.
        body = await kong.request.get_raw_body(2 * self._config.max_body_bytes)
        if len(body) > longest:
            raise BodyTooLarge(f"The body is longer than {longest} bytes.")
        return body

    async def _deliver(self, report: UsageReport, decided: Reservation, trace: str | None) -> None:
        """Report; bring along what was decided when the service does not know it any more."""
        whole = replace(report, reservation=decided)
        with spans.work("report"):
            own = spans.own(spans.follow(trace, decided.decision_id))
            try:
                outcome = await self._report(decided.decision_id, report, own)
                if outcome == "unknown":
                    outcome = await self._report(decided.decision_id, whole, own)
                spans.note({"gatehouse.report": outcome, spans.DECISION: decided.decision_id})
            except (PolicyUnavailable, asyncio.CancelledError) as away:
                spans.note({"gatehouse.report": "journalled", spans.DECISION: decided.decision_id})
                spans.failed(type(away).__name__)
                self._keep(Waiting(decided.decision_id, whole))
                _log.warning("the usage of %s waits in the journal", decided.decision_id)

    async def _report(
        self, decision_id: str, report: UsageReport, traceparent: str | None = None
    ) -> str:
        """See `PolicyClient.report`; says as well how the journal stands."""
        standing = self._journal.gauge.standing()
        return await self._policy.report(
            decision_id, report, traceparent=traceparent, journal=standing
        )

    def _keep(self, waiting: Waiting) -> None:
        try:
            self._journal.append(waiting)
        except OSError:
            measures.lost()
            raise
        measures.journalled()

    def _take_back_later(self, decision_id: str) -> None:
        if self._taking_back < _MOST_TAKEN_BACK:
            self._taking_back += 1
            self._spawn(self._take_back(decision_id))

    async def _take_back(self, decision_id: str) -> None:
        """Give back what may have been reserved; the service may hear of the call only now."""
        try:
            for wait_s in _TAKE_BACK_AFTER_S:
                await asyncio.sleep(wait_s)
                try:
                    if await self._report(decision_id, unsent()) != "unknown":
                        return
                except PolicyUnavailable:
                    continue
        finally:
            self._taking_back -= 1

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("usage could not be kept: %s: %s", type(fault).__name__, fault)


def _code_of(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else GatewayFault.code


async def _answer(
    kong: Kong, status: int, body: dict[str, Any], headers: Mapping[str, str]
) -> None:
    await kong.response.exit(status, msgspec.json.encode(body), {**headers, **_JSON})
