"""Saying no to what Amazon Bedrock cannot do."""

from llm_core.errors import UnsupportedParameter
from llm_core.providers.bedrock.errors import PROVIDER


def unsupported(param: str, why: str) -> UnsupportedParameter:
    """Make the refusal.

    Args:
        param: The field, in OpenAI's dotted form.
        why: Ends the sentence "Amazon Bedrock does not support 'x': ...".
    """
    return UnsupportedParameter(f"{PROVIDER} does not support '{param}': {why}", param=param)
