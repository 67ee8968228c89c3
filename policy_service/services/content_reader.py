"""Reading what was said: by whoever may, with a reason, and never unseen."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import msgspec

from llm_core.errors import GatewayFault, MalformedRequest, NotServed
from llm_core.policy.roles import Actor
from policy_service.ports.clock import Clock
from policy_service.ports.content import (
    Content,
    ContentFacts,
    ContentRow,
    ContentStore,
    Damaged,
    NoKey,
    Part,
    Sealer,
)

FEWEST_REASON_CHARS = 10
_MOST_REASON_CHARS = 1000


@dataclass(frozen=True, slots=True)
class ContentReader:
    """Gives the words of one call out.

    Args:
        store: The content log.
        sealer: Opens what is sealed; without it only redacted words can be read.
        clock: A line whose time is over is not there.
    """

    store: ContentStore
    sealer: Sealer | None
    clock: Clock

    async def read(
        self,
        decision_id: str,
        actor: Actor,
        reason: str | None,
        allow: Callable[[ContentRow], None],
    ) -> Content:
        """Read a line. That it is read is in the audit log before anybody sees a word.

        Args:
            decision_id: Of the call.
            actor: Who reads.
            reason: Why; the audit log has it.
            allow: Raises when the actor may not read this line.

        Raises:
            MalformedRequest: No reason, or one that says nothing.
            NotServed: There is no such line, or its time is over.
            GatewayFault: It was tampered with, or its key is not here.
            PolicyUnavailable: The database failed; nothing is given out.
        """
        why = checked_reason(reason)
        row = await self.store.find(decision_id, self.clock())
        if row is None:
            raise NotServed("Nothing is kept of that call's words.")
        allow(row)
        await self.store.note_read(row, actor, why)
        return Content(
            _facts(row),
            self._words(row, Part.QUESTION, row.question, row.sealed_question),
            self._words(row, Part.ANSWER, row.answer, row.sealed_answer),
        )

    def _words(self, row: ContentRow, part: Part, text: str | None, sealed: bytes | None) -> Any:  # noqa: ANN401 - JSON
        if sealed is None:
            return None if text is None else _decoded(text.encode())
        missing = f"The key {row.key_id} that would open it is not here."
        if self.sealer is None:
            raise GatewayFault(missing)
        try:
            opened = self.sealer.opened(row.key_id, row.organisation, row.decision_id, part, sealed)
        except NoKey as fault:
            raise GatewayFault(missing) from fault
        except Damaged as fault:
            raise GatewayFault(
                "It does not open: somebody has changed it, or moved it here from another call."
            ) from fault
        return _decoded(opened)


def checked_reason(reason: str | None) -> str:
    """A reason that says something, without spaces around it.

    Raises:
        MalformedRequest: It is not there, too short or too long.
    """
    text = (reason or "").strip()
    if not FEWEST_REASON_CHARS <= len(text) <= _MOST_REASON_CHARS:
        raise MalformedRequest(
            f"Say why, in {FEWEST_REASON_CHARS} to {_MOST_REASON_CHARS} characters.",
            param="reason",
        )
    return text


def _facts(row: ContentRow) -> ContentFacts:
    return ContentFacts(**{one.name: getattr(row, one.name) for one in fields(ContentFacts)})


def _decoded(text: bytes) -> Any:  # noqa: ANN401 - JSON
    """JSON; where the words were cut, what is left of its text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text.decode(errors="replace")
