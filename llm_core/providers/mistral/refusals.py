"""Saying no to what Mistral cannot do, or is not asked for."""

from llm_core.errors import UnsupportedParameter
from llm_core.providers.mistral.errors import PROVIDER


def unsupported(param: str, why: str) -> UnsupportedParameter:
    """Make the refusal.

    Args:
        param: The field, in OpenAI's dotted form.
        why: Ends the sentence "Mistral does not support 'x': ...".
    """
    return UnsupportedParameter(f"{PROVIDER} does not support '{param}': {why}", param=param)
