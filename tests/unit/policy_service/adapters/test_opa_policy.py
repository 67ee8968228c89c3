"""What can be said about the OPA adapter without an OPA."""

import inspect
import ssl
from typing import Any

import aiohttp
import pytest
from aiohttp import client_exceptions
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from opa_client import AsyncOpaClient
from opa_client import errors as opa_errors
from yarl import URL

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.opa_policy import FOREIGN_ERRORS, OpaPolicy, opa_client
from tests.fixtures.policy_inputs import chat_input


class FailingClient(AsyncOpaClient):  # type: ignore[misc]
    """A client whose every question ends in the given error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.asked = 0

    async def query_rule(self, *_: object, **__: object) -> dict[str, Any]:
        self.asked += 1
        raise self.error


URL_OF_OPA = URL("http://opa")
REQUEST = aiohttp.RequestInfo(URL_OF_OPA, "POST", CIMultiDictProxy(CIMultiDict[str]()), URL_OF_OPA)
KEY = ConnectionKey("opa", 8181, False, True, None, None, None)
# By the first base class that matches, since each constructor wants something else.
ARGUMENTS: list[tuple[type[Exception], tuple[Any, ...]]] = [
    (aiohttp.ClientResponseError, (REQUEST, ())),
    (aiohttp.ServerFingerprintMismatch, (b"", b"", "host", 1)),
    (aiohttp.ClientConnectorCertificateError, (KEY, ValueError("certificate"))),
    (aiohttp.ClientConnectorError, (KEY, OSError(111, "refused"))),
    (aiohttp.InvalidURL, ("https://x",)),
    (opa_errors.TypeException, ("expression",)),
]


def _made(error_type: type[Exception]) -> Exception:
    """An instance, whatever its constructor wants."""
    if error_type.__module__ == opa_errors.__name__ and error_type is not opa_errors.TypeException:
        return error_type("expression", "message")
    for base, arguments in ARGUMENTS:
        if issubclass(error_type, base):
            return error_type(*arguments)
    return error_type()


OPA_ERRORS = [
    error
    for _, error in inspect.getmembers(opa_errors, inspect.isclass)
    if issubclass(error, Exception)
]
AIOHTTP_ERRORS = [
    error
    for name in client_exceptions.__all__
    if inspect.isclass(error := getattr(client_exceptions, name))
    and issubclass(error, Exception)
    and not issubclass(error, Warning)
]


def test_there_are_errors_to_map() -> None:
    assert len(OPA_ERRORS) >= 11
    assert len(AIOHTTP_ERRORS) >= 20


@pytest.mark.parametrize("error_type", [*OPA_ERRORS, *AIOHTTP_ERRORS], ids=lambda e: e.__name__)
def test_every_foreign_error_is_known(error_type: type[Exception]) -> None:
    assert issubclass(error_type, FOREIGN_ERRORS)


@pytest.mark.parametrize(
    "error_type",
    [*OPA_ERRORS, *AIOHTTP_ERRORS, TimeoutError, ConnectionResetError, ssl.SSLError, ValueError],
    ids=lambda e: e.__name__,
)
async def test_every_foreign_error_is_an_unavailable_policy(error_type: type[Exception]) -> None:
    error = _made(error_type)
    policy = OpaPolicy("http://opa:8181", client=FailingClient(error))
    with pytest.raises(PolicyUnavailable) as caught:
        await policy.evaluate(chat_input())
    assert caught.value.__cause__ is error
    assert "opa" not in caught.value.public_message.lower().split()
    assert not await policy.ready()
    await policy.close()


async def test_a_connection_that_was_closed_meanwhile_is_tried_once_more() -> None:
    client = FailingClient(aiohttp.ServerDisconnectedError())
    policy = OpaPolicy("http://opa:8181", client=client)
    with pytest.raises(PolicyUnavailable):
        await policy.evaluate(chat_input())
    assert client.asked == 2
    await policy.close()


async def test_an_opa_that_refuses_connections_is_not_tried_again() -> None:
    client = FailingClient(_made(aiohttp.ClientConnectorError))
    policy = OpaPolicy("http://opa:8181", client=client)
    with pytest.raises(PolicyUnavailable):
        await policy.evaluate(chat_input())
    assert client.asked == 1
    await policy.close()


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("http://opa:8282", "http://opa:8282/v1"),
        ("http://opa", "http://opa:8181/v1"),
        ("https://opa.example:443/", "https://opa.example:443/v1"),
        ("http://[::1]:8181", "http://[::1]:8181/v1"),
    ],
)
def test_the_url_names_scheme_host_and_port(url: str, root: str) -> None:
    client = opa_client(url, timeout_s=0.5)
    assert client.root_url == root
    assert (client.retries, client.timeout) == (0, 0.5)


@pytest.mark.parametrize(
    "url",
    ["opa:8181", "ftp://opa", "http://", "http://opa:8181/v1", "http://user@opa", "http://opa?x"],
)
def test_a_url_that_says_more_or_less_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL of OPA"):
        opa_client(url, timeout_s=1.0)


async def test_pushing_nothing_is_a_mistake() -> None:
    policy = OpaPolicy("http://opa:8181")
    with pytest.raises(ValueError, match="no bundle"):
        await policy.push()
