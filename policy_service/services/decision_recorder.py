"""Takes note of decisions and other events, and brings them to where they wait to be written.

`note` and `note_event` are called in the course of a call: they put a few references into a list
and come back. What is to be written is made of them afterwards, a few at a time, so that no call
waits for another's.

With Redis, events reach the stream within milliseconds: what a process that is killed had not
handed over by then is lost. Without Redis, or while it is away, they wait in this process. There is
room for `most` of them here; beyond that they are counted, by chain, and once there is room again
an event of the kind `lost` says how many there were.
"""

import asyncio
import logging
import re
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any

import msgspec

from llm_core.audit.event import LOST, NewEvent, chain_of
from llm_core.digest import canonical
from llm_core.errors import GatewayError, PolicyUnavailable
from llm_core.policy.caller import Caller
from llm_core.policy.decision import Decision, DecisionRequest
from llm_core.policy.limits import Measure
from policy_service.digests import Digests
from policy_service.ids import new_id
from policy_service.ports.audit import LocalSpool, Noted, Spool
from policy_service.ports.clock import Clock
from policy_service.ports.decision_log import LoggedDecision
from policy_service.ports.policy import PolicyEngine, PolicyResult
from policy_service.services.background import for_ever

MOST = 50_000
_GATHER_S = 0.02
"""How long notes gather: each hand-over to Redis takes 0.2 ms of processor time."""

_LOOK_S = 1.0
_AT_ONCE = 20
"""So many are made ready before others get their turn: about 2 ms."""

_LONGEST_TEXT = 200
_NAME = re.compile(r"[\w./:@+-]{1,200}")
"""What a model may be called; whoever wrote something else there may have written anything."""

_US = "gatehouse"
_NO_ROOM = "no room in memory"
_NO_EVENT = "no event could be made of it"

_log = logging.getLogger(__name__)


class Heard:
    """What policy was asked in the course of one decision, and what it said."""

    __slots__ = ("document", "engine", "exceeded", "result", "taken_s")

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = None
        self.result: PolicyResult | None = None
        self.engine = ""
        self.taken_s = 0.0
        self.exceeded: Measure | None = None
        """Of the limit that refused the call in the end."""

    async def evaluate(self, policy: PolicyEngine, document: dict[str, Any]) -> PolicyResult:
        """Ask policy, and keep what was said; see `PolicyEngine.evaluate`."""
        self.document, self.engine = document, policy.name
        started_s = perf_counter()
        try:
            self.result = await policy.evaluate(document)
        finally:
            self.taken_s = perf_counter() - started_s
        self.engine = self.result.engine or self.engine
        return self.result


@dataclass(frozen=True, slots=True)
class _Decided:
    decision_id: str
    request: DecisionRequest
    heard: Heard
    at: datetime
    made: Decision | None
    fault: GatewayError | None

    @property
    def chain(self) -> str:
        return chain_of(self.request.caller.organisation)


@dataclass(slots=True)
class DecisionRecorder:
    """Brings events to the spool.

    Args:
        memory: Waits in this process.
        shared: Where all processes' events wait; `None` without Redis.
        digests: Keyed, for what may not be kept itself.
        clock: Dates what is noted without a time.
        most: So many events wait in this process at most.
    """

    memory: LocalSpool
    shared: Spool | None
    digests: Digests
    clock: Clock
    most: int = MOST
    make_id: Callable[[str], str] = new_id
    _noted: deque[_Decided | NewEvent] = field(default_factory=deque)
    _lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _is_away: bool = False
    lost: int = 0
    """How many events of this process were lost since it started."""

    def note(
        self,
        decision_id: str,
        request: DecisionRequest,
        heard: Heard,
        at: datetime,
        *,
        made: Decision | None = None,
        fault: GatewayError | None = None,
    ) -> None:
        """Take note of a decision; never waits and never raises.

        Args:
            decision_id: Its id.
            request: What was to be decided.
            heard: What policy was asked and said, if it came to that.
            at: When.
            made: What was decided; `None` where no decision could be had.
            fault: Why not, then.
        """
        self._take(_Decided(decision_id, request, heard, at, made, fault))

    def note_event(
        self,
        kind: str,
        organisation: str | None,
        payload: dict[str, Any],
        *,
        actor: str = _US,
        subject: str = "",
        at: datetime | None = None,
    ) -> None:
        """Take note of something else that happened; never waits and never raises.

        Args:
            kind: A word, such as `screening`.
            organisation: Whose chain it belongs to; `None` for the platform's.
            payload: In JSON's types, ids and counts, never words of callers. Not changed later.
            actor: Who did it.
            subject: What it is about, `<kind>:<id>`.
            at: When; now if left out.
        """
        self._take(
            NewEvent(
                id=self.make_id("evt"),
                chain=chain_of(organisation),
                at=at or self.clock(),
                kind=kind,
                actor=_plain(actor),
                subject=_plain(subject),
                payload=payload,
            )
        )

    @property
    def waiting(self) -> int:
        """How many events wait in this process."""
        return len(self._noted) + len(self.memory)

    def note_lost(self, chain: str, why: str) -> None:
        """An event of this chain cannot be kept: have the chain say so."""
        self._lost[chain, why] += 1
        self.lost += 1
        self._came.set()

    async def run(self) -> None:
        """Hand over what is noted until cancelled; then `flush`."""
        await for_ever("the decision recorder", self._gather_and_flush)

    async def flush(self) -> None:
        """Hand over all that is noted; never raises for an outage."""
        while self._noted:
            some = [self._noted.popleft() for _ in range(min(_AT_ONCE, len(self._noted)))]
            await self._put([one for noted in some if (one := self._made(noted)) is not None])
        await self._put(self._losses())

    def _take(self, noted: _Decided | NewEvent) -> None:
        if self.waiting >= self.most:
            self.note_lost(noted.chain, _NO_ROOM)
            return
        self._noted.append(noted)
        self._came.set()

    async def _gather_and_flush(self) -> None:
        with suppress(TimeoutError):  # what was lost is told once there is room, asked or not
            async with asyncio.timeout(_LOOK_S):
                await self._came.wait()
        await asyncio.sleep(_GATHER_S)
        self._came.clear()
        await self.flush()

    async def _put(self, noted: list[Noted]) -> None:
        if not noted:
            return
        if self.shared is not None:
            try:
                # A hand-over is not broken off half-way when the service stops.
                await asyncio.shield(self.shared.put(noted))
            except PolicyUnavailable as outage:
                self._tell_once(outage)
            else:
                self._is_away = False
                return
        await self.memory.put(noted)
        await asyncio.sleep(0)

    def _tell_once(self, outage: PolicyUnavailable) -> None:
        if not self._is_away:
            _log.warning("audit events wait in this process for now: %s", outage)
        self._is_away = True

    def _losses(self) -> list[Noted]:
        """What was lost, once there is room to say so."""
        if not self._lost or self.waiting >= self.most:
            return []
        lost, self._lost = self._lost, Counter()
        for (chain, why), count in lost.items():
            _log.error("%d events of the audit chain %s were lost: %s", count, chain, why)
        return [
            Noted(
                NewEvent(
                    id=self.make_id("evt"),
                    chain=chain,
                    at=self.clock(),
                    kind=LOST,
                    actor=_US,
                    subject=f"chain:{chain}",
                    payload={"events": count, "reason": why},
                )
            )
            for (chain, why), count in lost.items()
        ]

    def _made(self, noted: _Decided | NewEvent) -> Noted | None:
        try:
            if isinstance(noted, NewEvent):
                msgspec.json.encode(noted.payload)
                return Noted(noted)
            return self._decision(noted)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the others must go on
            _log.error("an audit event could not be made: %s", type(fault).__name__)
            self.note_lost(noted.chain, _NO_EVENT)
            return None

    def _decision(self, one: _Decided) -> Noted:
        caller, call, result = one.request.caller, one.request.call, one.heard.result
        organisation = caller.organisation
        document = None
        digest = ""
        if one.heard.document is not None:
            document = self._redacted(organisation, one.heard.document)
            digest = self.digests.of(organisation, canonical(document))
        outcome = _outcome(one)
        said = {**_said(result), "outcome": outcome}
        codes = sorted({reason.code for reason in result.reasons} if result else outcome["codes"])
        logged = LoggedDecision(
            decision_id=one.decision_id,
            at=one.at,
            organisation=organisation,
            department=caller.department,
            team=caller.team,
            user=caller.user,
            operation=call.operation.value,
            asked_model=call.asked_model if _NAME.fullmatch(call.asked_model) else "",
            allow=result is not None and result.allow,
            codes=tuple(codes),
            revision=result.revision if result else "",
            engine=one.heard.engine,
            duration_ms=round(one.heard.taken_s * 1000, 3),
            input_digest=digest,
            input=document,
            result=said,
            refused_for=None if outcome["allow"] else (*outcome["codes"], outcome["code"])[0],
        )
        event = NewEvent(
            id=self.make_id("evt"),
            chain=one.chain,
            at=one.at,
            kind="decision",
            actor=_plain(_who(caller)),
            subject=f"decision:{one.decision_id}",
            payload={
                "allow": outcome["allow"],
                "code": outcome["code"],
                "codes": sorted({*codes, *outcome["codes"]}),
                "revision": logged.revision,
                "engine": logged.engine,
                "operation": logged.operation,
                "asked_model": logged.asked_model,
                "department": caller.department,
                "team": caller.team,
                "project": caller.project,
                "user": caller.user,
                "application": caller.application,
                "key_id": caller.key_id,
                "approval": result.approval if result else None,
                "input_digest": digest,
                "result_digest": self.digests.of(organisation, canonical(said)),
            },
        )
        return Noted(event, logged)

    def _redacted(self, organisation: str, document: dict[str, Any]) -> dict[str, Any]:
        """The document without what tells of the words: their digest becomes a keyed one."""
        call = document["call"]
        if not call.get("body_digest"):
            return document
        keyed = self.digests.of(organisation, str(call["body_digest"]).encode())
        return {**document, "call": {**call, "body_digest": keyed}}


def _outcome(one: _Decided) -> dict[str, Any]:
    """What became of the call in the end: limits may refuse what policy permits."""
    if one.fault is not None or one.made is None:
        code = one.fault.code if one.fault is not None else "internal_error"
        return {"allow": False, "code": code, "status": None, "codes": [code]}
    denial = one.made.denial
    if denial is None:
        return {"allow": True, "code": "", "status": None, "codes": []}
    error = denial.body.get("error", {})
    codes = [reason["code"] for reason in error.get("reasons", ()) if "code" in reason]
    code = str(error.get("code"))
    return {"allow": False, "code": code, "status": denial.status, "codes": codes or [code]}


def _said(result: PolicyResult | None) -> dict[str, Any]:
    if result is None:
        return {"allow": False, "permitted": [], "models": [], "reasons": [], "obligations": {}}
    return {
        "allow": result.allow,
        "permitted": list(result.permitted),
        "models": list(result.models),
        "reasons": [{"code": reason.code, "rule": reason.rule} for reason in result.reasons],
        "obligations": msgspec.to_builtins(result.obligations),
    }


def _who(caller: Caller) -> str:
    if caller.user is not None:
        return f"user:{caller.user}"
    if caller.application is not None:
        return f"application:{caller.application}"
    return f"key:{caller.key_id}" if caller.key_id is not None else f"team:{caller.team}"


def _plain(text: str) -> str:
    """Text that every database can keep, and no longer than a name may be."""
    cut = text[:_LONGEST_TEXT].replace("\0", "")
    return cut.encode("utf-8", "replace").decode("utf-8")
