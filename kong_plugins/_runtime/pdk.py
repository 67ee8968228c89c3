"""The part of Kong's PDK that our plugins use, with its types.

Every call is one round trip to Kong and costs about 0.1 ms: the number of calls is the budget.
Calls are awaited. `exit` never comes back to the plugin's code: the phase ends there.
"""

from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

Headers = Mapping[str, list[str]]
"""Lower-case name -> values."""


class Request(Protocol):
    """`kong.request`: what the client sent."""

    async def get_headers(self, max_headers: int) -> Headers: ...
    async def get_method(self) -> str: ...
    async def get_path(self) -> str: ...
    async def get_raw_body(self, max_allowed_file_size: int) -> bytes: ...


class ClientInfo(Protocol):
    """`kong.client`: whom Kong's own plugins recognised."""

    async def get_consumer(self) -> dict[str, Any] | None: ...
    async def get_forwarded_ip(self) -> str: ...


class ServiceRequest(Protocol):
    """`kong.service.request`: what the upstream will get."""

    async def set_scheme(self, scheme: str) -> None: ...
    async def set_path(self, path: str) -> None: ...
    async def set_raw_query(self, query: str) -> None: ...
    async def set_headers(self, headers: Mapping[str, str | list[str]]) -> None: ...
    async def clear_header(self, name: str) -> None: ...
    async def set_raw_body(self, body: bytes) -> None: ...


class ServiceResponse(Protocol):
    """`kong.service.response`: what the upstream answered; with buffering only."""

    async def get_status(self) -> int: ...
    async def get_raw_body(self) -> bytes: ...


class Service(Protocol):
    """`kong.service`."""

    request: ServiceRequest
    response: ServiceResponse

    async def set_target(self, host: str, port: int) -> None: ...


class Response(Protocol):
    """`kong.response`: what the client will get."""

    async def exit(
        self, status: int, body: str | bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> NoReturn: ...
    async def get_source(self) -> str: ...
    async def get_headers(self) -> Headers: ...
    async def get_status(self) -> int: ...
    async def set_headers(self, headers: Mapping[str, str]) -> None: ...


class SharedContext(Protocol):
    """`kong.ctx.shared`: values that travel with one request from plugin to plugin."""

    async def get(self, key: str) -> Any: ...  # noqa: ANN401 - whatever was set
    async def set(self, key: str, value: Any) -> None: ...  # noqa: ANN401


class Context(Protocol):
    """`kong.ctx`."""

    shared: SharedContext


class Nginx(Protocol):
    """`kong.nginx`."""

    async def set_ctx(self, key: str, value: Any) -> None: ...  # noqa: ANN401


class Log(Protocol):
    """`kong.log`."""

    async def serialize(self) -> dict[str, Any]: ...


class Kong(Protocol):
    """The `kong` that a phase is given."""

    request: Request
    client: ClientInfo
    service: Service
    response: Response
    ctx: Context
    nginx: Nginx
    log: Log
