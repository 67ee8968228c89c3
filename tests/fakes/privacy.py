"""A chain of audit events that can be emptied, user by user."""

from llm_core.policy.roles import Actor


class FakeAuditChain:
    """Implements `ports.privacy.AuditChain`.

    Args:
        events: How many events there are on each user.

    Attributes:
        asked: User, actor and reason of each erasure, in order.
    """

    def __init__(self, events: dict[str, int]) -> None:
        self.events = dict(events)
        self.asked: list[tuple[str, str, str]] = []

    async def erase(self, user: str, actor: Actor, reason: str) -> int:
        """Empty them."""
        self.asked.append((user, actor.name, reason))
        return self.events.pop(user, 0)
