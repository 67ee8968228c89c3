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
