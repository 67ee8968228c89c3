"""The API operations that the gateway governs."""

from enum import StrEnum


class Operation(StrEnum):
    """What a client asks for, by the API it asks in."""

    CHAT_COMPLETIONS = "chat.completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    MESSAGES = "messages"
    MODELS = "models"
    ME = "me"
    """Who am I, what may I use, what is left? Answered by the gateway itself."""
    ME_USAGE = "me.usage"
    """What did I use? Likewise."""
    APPROVALS = "approvals"
    """What did I ask approval for, and what came of it? Likewise."""
    APPROVALS_REQUEST = "approvals.request"
    """Asks for an approval. Likewise, with a body."""


ABOUT_CALLER = frozenset(
    {Operation.ME, Operation.ME_USAGE, Operation.APPROVALS, Operation.APPROVALS_REQUEST}
)
"""Those that any caller may ask, whatever its key is for."""

OWN_OPERATIONS = ABOUT_CALLER | {Operation.MODELS}
"""Those that the gateway answers by itself: no provider, nothing reserved or charged."""

OWN_BODIES = frozenset({Operation.APPROVALS_REQUEST})
"""Those of them that take a body; the others have none."""
