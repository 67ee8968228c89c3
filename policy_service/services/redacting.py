"""Takes personal data out of what is kept of calls, as it is taken out on its way to a provider."""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_core.errors import GatewayError
from llm_core.screening.redact import Placeholders
from policy_service.ports.content import Unredactable
from policy_service.ports.screening import Screener


@dataclass(frozen=True, slots=True)
class ScreeningRedactor:
    """Implements `Redactor`: looks for every kind, whatever a call's own screening looks for."""

    screener: Screener

    async def redacted(self, words: Sequence[str]) -> Sequence[str]:
        """The same texts, with placeholders; see the port.

        Raises:
            Unredactable: They could not be looked at.
        """
        try:
            found = await self.screener.find(words, ())
        except GatewayError as fault:
            raise Unredactable("The words could not be looked at.") from fault
        placeholders = Placeholders()
        for text in words:
            placeholders.avoid(text)
        return [
            placeholders.redacted(text, findings)
            for text, findings in zip(words, found, strict=True)
        ]
