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


OWN_OPERATIONS = frozenset({Operation.MODELS, Operation.ME, Operation.ME_USAGE})
"""Those that the gateway answers by itself: no body, no provider, nothing reserved or charged."""
