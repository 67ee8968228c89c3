"""Which API an operation is asked in."""

from llm_core.apis.ask import Ask
from llm_core.apis.chat_completions import read_chat_completion
from llm_core.apis.completions import read_completion
from llm_core.apis.dialect import DROP_PARAMS
from llm_core.apis.embeddings import read_embeddings
from llm_core.apis.messages import read_messages
from llm_core.apis.responses import read_responses
from llm_core.errors import MalformedRequest, NotServed
from llm_core.operation import Operation


def read_ask(operation: Operation, body: bytes) -> Ask:
    """Read and check one request.

    Args:
        operation: Any that has a body, which `models` has not.
        body: The client's bytes; their Content-Type does not matter.

    Raises:
        MalformedRequest: The body is none of that operation.
    """
    ask = _read(operation, body)
    # Taken for true, a word or a number in its place would drop what may not be dropped.
    if not isinstance(ask.fields.get(DROP_PARAMS), bool | None):
        raise MalformedRequest(f"'{DROP_PARAMS}' must be true or false.", param=DROP_PARAMS)
    return ask


def _read(operation: Operation, body: bytes) -> Ask:
    match operation:
        case Operation.CHAT_COMPLETIONS:
            return read_chat_completion(body)
        case Operation.COMPLETIONS:
            return read_completion(body)
        case Operation.EMBEDDINGS:
            return read_embeddings(body)
        case Operation.MESSAGES:
            return read_messages(body)
        case Operation.RESPONSES:
            return read_responses(body)
        case _:
            raise NotServed(f"{operation.value} takes no body.")
