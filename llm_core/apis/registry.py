"""Which API an operation is asked in."""

from llm_core.apis.ask import Ask
from llm_core.apis.chat_completions import read_chat_completion
from llm_core.errors import NotServed
from llm_core.operation import Operation


def read_ask(operation: Operation, body: bytes) -> Ask:
    """Read and check one request.

    Args:
        operation: Any that has a body, which `models` has not.
        body: The client's bytes; their Content-Type does not matter.

    Raises:
        MalformedRequest: The body is none of that operation.
    """
    match operation:
        case Operation.CHAT_COMPLETIONS:
            return read_chat_completion(body)
        case _:
            raise NotServed(f"{operation.value} takes no body.")
