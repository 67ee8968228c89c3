"""What can go wrong in devkong, as Kong would name it."""


class ConfigError(Exception):
    """kong.yaml, kong.conf or a plugin's description cannot be used; devkong does not start.

    Args:
        sentence: Says where.
        field: The place in an entity, from the outside in, as the Admin API names it.
    """

    def __init__(self, sentence: str, field: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.field = field


class LuaError(Exception):
    """What a Lua `error()` is in Kong: it ends the phase, and the client gets a 500.

    An external plugin never hears of it: its event is abandoned where it stands.
    """


class ResponseExit(Exception):
    """`kong.response.exit` was called: the phase ends, the plugin's event is abandoned.

    Not an error, but it has to unwind the same way as one.
    """

    def __init__(self, status: int, body: bytes, headers: dict[str, list[str]]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


class UpstreamFailure(Exception):
    """The upstream gave no whole answer.

    Attributes:
        status: What nginx makes of it: 502, 504, or 503 when the name does not resolve.
        is_retryable: Nothing was sent yet, or the method may be repeated.
    """

    def __init__(self, status: int, reason: str, *, is_retryable: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.is_retryable = is_retryable


class ClientGone(Exception):
    """The client closed its connection while the upstream was answering."""
