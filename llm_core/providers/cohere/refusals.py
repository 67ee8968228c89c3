"""Saying no to what Cohere cannot do, or is not asked for."""

from llm_core.errors import UnsupportedParameter
from llm_core.providers.cohere.errors import PROVIDER


def unsupported(param: str, why: str) -> UnsupportedParameter:
    """Make the refusal.

    Args:
        param: The field, in OpenAI's dotted form.
        why: Ends the sentence "Cohere does not support 'x': ...".
    """
    return UnsupportedParameter(f"{PROVIDER} does not support '{param}': {why}", param=param)
