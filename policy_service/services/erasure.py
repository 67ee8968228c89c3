"""Takes a person out of the logs and the ledger, and leaves sums and proofs as they are."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from llm_core.errors import MalformedRequest
from llm_core.policy.roles import Actor
from policy_service.ids import new_id
from policy_service.ports.privacy import ERASED, AuditChain, Erasure, PersonalData, Told
from policy_service.services.content_reader import checked_reason

_PSEUDONYM_BYTES = 12


@dataclass(frozen=True, slots=True)
class Erasures:
    """Carries out what people may ask for by law.

    Args:
        data: The logs and the ledger.
        chain: The audit chain, whose events are emptied too; `None`: there is none.
    """

    data: PersonalData
    chain: AuditChain | None = None

    async def preview(self, user: str) -> Erasure:
        """What an erasure would find; the audit chain is not counted."""
        return Erasure("", None, await self.data.count(user))

    async def erase(
        self,
        user: str,
        actor: Actor,
        reason: str | None,
        *,
        organisation: str = "",
        told: Told = lambda _place, _done: None,
    ) -> Erasure:
        """Erase a user; doing it again erases what came since.

        Args:
            user: The user's id.
            actor: Who does it.
            reason: Why, without naming the person: the number of their request.
            organisation: Whose audit log has it; empty: the platform's.
            told: Hears how far it is.

        Raises:
            MalformedRequest: There is no good reason, it names the user, or the user is a
                pseudonym already.
            PolicyUnavailable: The database failed; begin again, nothing is done twice.
        """
        why = _checked(user, reason)
        pseudonym = f"{ERASED}{secrets.token_hex(_PSEUDONYM_BYTES)}"
        begun = Erasure(new_id("ers"), pseudonym, await self.data.count(user))
        if not begun.is_empty:
            # Before anything is changed, so that no pseudonym is there without its entry.
            await self.data.note("privacy.erase", actor, begun, why, organisation)
        found: Mapping[str, int] = await self.data.erase(user, pseudonym, told)
        emptied = 0 if self.chain is None else await self.chain.erase(user, actor, why)
        done = replace(begun, found={**found, "audit_chain": emptied})
        if done.is_empty:
            return Erasure("", None, done.found)
        await self.data.note("privacy.erased", actor, done, why, organisation)
        return done


def _checked(user: str, reason: str | None) -> str:
    """The reason, if it may stand in the audit log for ever."""
    if not user or user.startswith(ERASED):
        raise MalformedRequest("Name a user by their id.", param="user")
    why = checked_reason(reason)
    if user.casefold() in why.casefold():
        raise MalformedRequest(
            "The reason stays in the audit log: write the request's number, not the user's id.",
            param="reason",
        )
    return why
