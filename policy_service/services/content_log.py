"""Keeps the words of calls where policy wants that: redacted, or encrypted.

The relay tells what was asked and what was answered while a call is under way. When the call is
booked its words are set aside, and written with others' a moment later: nobody waits for that.
Until then they are in this process's memory and nowhere else. What is lost when it dies is what
waits, `most_waiting_bytes` at most.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import msgspec

from llm_core.errors import ContentLogUnavailable, PolicyUnavailable
from llm_core.policy.decision import LogLevel, Obligations, Reservation, UsageReport
from policy_service.digests import Digests
from policy_service.ports.content import (
    ContentRow,
    ContentStore,
    Gap,
    Part,
    Redactor,
    Sealer,
    Unredactable,
)
from policy_service.services.background import for_ever
from policy_service.services.traces import traces_of
from policy_service.services.words import encoded, replaced, texts_in, without_blobs

_log = logging.getLogger(__name__)
_BATCH = 100
_BATCH_BYTES = 4 * 1024 * 1024
_GATHER_S = 0.25
_FINISH_S = 5.0
_MOST_WAITING = 100_000
"""Rows without words take room, too."""


@dataclass(slots=True)
class _Words:
    """What was said in a call that is under way."""

    question: Mapping[str, Any]
    answer: Any = None


@dataclass(frozen=True, slots=True)
class _Draft:
    """A line to be written, its words still as they were said: JSON by part."""

    row: ContentRow
    words: Mapping[Part, bytes]

    @property
    def takes_bytes(self) -> int:
        """How much memory the words take."""
        return sum(map(len, self.words.values()))


class _Waiting:
    """Drafts in the order in which their calls ended, and how much memory their words take."""

    def __init__(self) -> None:
        self._drafts: deque[_Draft] = deque()
        self._has_come = asyncio.Event()
        self.takes_bytes = 0

    def __len__(self) -> int:
        return len(self._drafts)

    def put(self, draft: _Draft) -> None:
        """Add one at the end."""
        self._drafts.append(draft)
        self.takes_bytes += draft.takes_bytes
        self._has_come.set()

    async def some(self) -> None:
        """Wait until there is one."""
        self._has_come.clear()
        if not self._drafts:
            await self._has_come.wait()

    def first(self) -> list[_Draft]:
        """The first ones, as many as make a good batch; they stay."""
        batch: list[_Draft] = []
        held_bytes = 0
        for draft in self._drafts:
            held_bytes += draft.takes_bytes
            if batch and (held_bytes > _BATCH_BYTES or len(batch) == _BATCH):
                break
            batch.append(draft)
        return batch

    def drop(self, count: int) -> None:
        """Take the first ones away."""
        for _ in range(count):
            self.takes_bytes -= self._drafts.popleft().takes_bytes


@dataclass(frozen=True, slots=True)
class ContentLog:
    """Collects, redacts or encrypts, and writes.

    Args:
        store: Where the lines go.
        sealer: Encrypts; without it nothing can be kept at the level `full`.
        redactor: Redacts; without it nothing can be kept at the level `redacted`.
        digests: Those that the ledger has as well.
        most_part_bytes: What is longer is cut; of a redacted part, characters.
        most_waiting_bytes: Of words that wait to be written, together.
        most_days: No line is kept longer, whatever policy says; `None` leaves it to policy.
    """

    store: ContentStore
    sealer: Sealer | None
    redactor: Redactor | None
    digests: Digests
    most_part_bytes: int
    most_waiting_bytes: int
    most_days: int | None = None
    _open: dict[str, _Words] = field(default_factory=dict)
    _waiting: _Waiting = field(default_factory=_Waiting)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def can_seal(self, organisation: str) -> bool:
        """Whether there is a key for its words."""
        return self.sealer is not None and self.sealer.key_id(organisation) is not None

    def asked(self, reservation: Reservation, question: Mapping[str, Any]) -> None:
        """Note what goes to a provider, screened; nothing where policy wants no words kept."""
        if reservation.obligations.keeps_words:
            self._open[reservation.decision_id] = _Words(question)

    def answered(self, reservation: Reservation, answer: object) -> None:
        """Note what was answered, whole, as the client is given it."""
        words = self._open.get(reservation.decision_id)
        if words is not None:
            words.answer = answer

    def ends(self, reservation: Reservation, report: UsageReport) -> None:
        """Set the words of a call that is over aside for writing; never waits, never raises."""
        words = self._open.pop(reservation.decision_id, None)
        if words is None:
            return
        try:
            self._put(self._draft(reservation, report, words))
        except Exception as fault:  # noqa: BLE001 - the call is booked all the same
            _log.error("%s: its words are lost: %s", reservation.decision_id, type(fault).__name__)

    async def run(self) -> None:
        """Write until cancelled; then `finish`."""
        await for_ever("the content log", self._write_and_gather)

    async def finish(self) -> None:
        """Write what waits when the service stops."""
        try:
            async with asyncio.timeout(_FINISH_S):
                while self._waiting or self._writing.locked():
                    await self.write_once()
        except (PolicyUnavailable, TimeoutError) as outage:
            _log.error("%d calls' words are lost: %s", len(self._waiting), outage or "no time")

    async def write_once(self) -> int:
        """Write one batch; a batch that an outage stopped stays first in line.

        Returns:
            How many lines.
        """
        async with self._writing:
            drafts = self._waiting.first()
            if drafts:
                rows = await asyncio.gather(*map(self._finished, drafts))
                await self.store.record(rows)
                self._waiting.drop(len(drafts))
            return len(drafts)

    async def _write_and_gather(self) -> None:
        if not self._waiting:
            await self._waiting.some()
            await asyncio.sleep(_GATHER_S)
        await asyncio.shield(self.write_once())

    def _draft(self, reservation: Reservation, report: UsageReport, words: _Words) -> _Draft:
        obligations, caller = reservation.obligations, reservation.caller
        traces = traces_of(self.digests, reservation, report)
        days = min(obligations.log_days, self.most_days or obligations.log_days)
        row = ContentRow(
            decision_id=reservation.decision_id,
            at=reservation.decided_at,
            organisation=caller.organisation,
            department=caller.department,
            team=caller.team,
            user=caller.user,
            asked_model=reservation.call.asked_model,
            level=obligations.log_level.value,
            kept_until=reservation.decided_at + timedelta(days=days),
            error_class=report.error_class.value,
            request_digest=traces.request_digest,
            response_digest=traces.response_digest,
            request_bytes=traces.request_bytes,
            response_bytes=traces.response_bytes,
        )
        said = {Part.QUESTION: words.question, Part.ANSWER: words.answer}
        parts = {part: encoded(value) for part, value in said.items() if value is not None}
        if obligations.log_level is not LogLevel.FULL:
            return _Draft(row, parts)
        is_cut = any(len(text) > self.most_part_bytes for text in parts.values())
        cut = {part: text[: self.most_part_bytes] for part, text in parts.items()}
        return _Draft(replace(row, is_cut=is_cut), cut)

    def _put(self, draft: _Draft) -> None:
        if self._waiting.takes_bytes + draft.takes_bytes > self.most_waiting_bytes:
            _log.error("%s: its words are lost: too many wait", draft.row.decision_id)
            draft = _Draft(replace(draft.row, gap=Gap.OVERLOADED.value), {})
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.put(draft)

    async def _finished(self, draft: _Draft) -> ContentRow:
        """The line as it is to be stored: with words that anybody may find, or with none."""
        row = draft.row
        if row.gap:
            return row
        is_full = row.level == LogLevel.FULL.value
        try:
            if is_full:
                return await asyncio.to_thread(self._sealed, row, draft.words)
            return await self._redacted(row, draft.words)
        except Exception as fault:  # noqa: BLE001 - a line without words is better than none
            gap = Gap.SEALING_FAILED if is_full else Gap.REDACTION_FAILED
            _log.error("%s: %s: %s", row.decision_id, gap.value, type(fault).__name__)
            return replace(row, gap=gap.value)

    def _sealed(self, row: ContentRow, words: Mapping[Part, bytes]) -> ContentRow:
        if self.sealer is None:
            raise ContentLogUnavailable("There is no content key.")
        sealed = {
            part: self.sealer.seal(row.organisation, row.decision_id, part, text)
            for part, text in words.items()
        }
        return replace(
            row,
            sealed_question=sealed.get(Part.QUESTION),
            sealed_answer=sealed.get(Part.ANSWER),
            key_id=self.sealer.key_id(row.organisation),
        )

    async def _redacted(self, row: ContentRow, words: Mapping[Part, bytes]) -> ContentRow:
        texts: dict[Part, str] = {}
        is_cut = False
        for part, text in words.items():
            texts[part], was_cut = await self._without_personal(text)
            is_cut |= was_cut
        return replace(
            row,
            question=texts.get(Part.QUESTION),
            answer=texts.get(Part.ANSWER),
            is_cut=is_cut,
        )

    async def _without_personal(self, text: bytes) -> tuple[str, bool]:
        """JSON without what is personal in it, and whether it was cut."""
        if self.redactor is None:
            raise Unredactable("nothing here redacts")
        # A body can be a million small pieces: other calls go on while they are looked through.
        value, found, is_cut = await asyncio.to_thread(_looked_through, text, self.most_part_bytes)
        redacted = await self.redactor.redacted(found)
        texts = dict(zip(found, redacted, strict=True))
        return await asyncio.to_thread(_put_back, value, texts), is_cut


def _looked_through(text: bytes, most_chars: int) -> tuple[Any, list[str], bool]:
    value, is_cut = without_blobs(msgspec.json.decode(text), most_chars)
    return value, texts_in(value), is_cut


def _put_back(value: Any, texts: Mapping[str, str]) -> str:  # noqa: ANN401 - JSON
    return encoded(replaced(value, texts)).decode()


def require_log(log: ContentLog | None, obligations: Obligations, organisation: str) -> None:
    """Let no call past whose words must be kept and cannot be.

    Raises:
        ContentLogUnavailable: They cannot; nothing may be sent.
    """
    if not obligations.keeps_words:
        return
    is_full = obligations.log_level is LogLevel.FULL
    if log is None or (is_full and not log.can_seal(organisation)):
        raise ContentLogUnavailable(
            "Policy wants the words of this call kept, and the gateway cannot keep them as it "
            "asks: there is no key to encrypt them with. Tell your administrator."
        )
