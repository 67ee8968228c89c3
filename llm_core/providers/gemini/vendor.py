"""The two places that serve Gemini's format: what differs between them.

Source:
    https://ai.google.dev/api
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/start/api-keys
    The pages were seen in excerpts, 2026-11-20.
"""

from dataclasses import dataclass

from llm_core.errors import UnsupportedParameter

_ACCESS_TOKEN = "ya29."  # noqa: S105 - how every access token of Google's begins
_BEARER = "Bearer "


@dataclass(frozen=True, slots=True)
class Vendor:
    """Who is spoken to.

    Args:
        name: For a sentence, for example `Gemini`.
    """

    name: str

    def unsupported(self, param: str, why: str) -> UnsupportedParameter:
        """Make a refusal.

        Args:
            param: The field, in OpenAI's dotted form.
            why: Ends the sentence "Gemini does not support 'x': ...".
        """
        return UnsupportedParameter(f"{self.name} does not support '{param}': {why}", param=param)


GOOGLE_AI = Vendor("Gemini")
VERTEX_AI = Vendor("Vertex AI")


def google_ai_credential(secret: str) -> dict[str, str]:
    """The API key's header; in the query, as older examples have it, it would reach logs."""
    return {"x-goog-api-key": secret}


def vertex_credential(secret: str) -> dict[str, str]:
    """The header of a static credential: an access token goes as `Authorization`, a key does not.

    An access token lives an hour, so it is for trying out. What lasts is an API key bound to a
    service account, or the service account itself (`auth: google_service_account`).

    Args:
        secret: An API key; or an access token, which begins with `ya29.` or is written `Bearer x`.
    """
    if secret.startswith(_BEARER):
        return {"authorization": secret}
    if secret.startswith(_ACCESS_TOKEN):
        return {"authorization": f"{_BEARER}{secret}"}
    return {"x-goog-api-key": secret}
