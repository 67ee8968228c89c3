"""Redis' own exceptions, translated where they arise."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis.exceptions

from llm_core.errors import PolicyUnavailable

# The library's exceptions have several roots and grow with its versions, so it lists them itself.
FOREIGN_ERRORS: tuple[type[Exception], ...] = (
    *(
        member
        for member in vars(redis.exceptions).values()
        if isinstance(member, type) and issubclass(member, Exception)
    ),
    OSError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Turn whatever Redis or the network raises into `PolicyUnavailable`."""
    try:
        yield
    except FOREIGN_ERRORS as error:
        raise PolicyUnavailable("The store of limits does not answer.") from error
