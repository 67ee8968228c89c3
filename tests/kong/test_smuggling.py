"""Requests whose end can be read in two ways: one request or none, and never a second one.

By bytes at the gateway's address, since no HTTP client sends them. Behind each stands a whole
request with a good key: whoever sees the first one end too early serves it.
"""

import json
import re
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from tests.fixtures.gateway import Gateway

pytestmark = [
    pytest.mark.e2e,
    # What is behind Kong, database or memory, reads no request's framing.
    pytest.mark.parametrize("gateway", ["embedded"], indirect=True),
]
QUIET_S = 1.0
"""Who has said nothing for so long has said all; a second answer would come sooner."""
PATH = "/v1/chat/completions"
FIRST, SECOND, AFTER = "the first", "the smuggled one", "the next caller's"


def question(content: str, **more: object) -> bytes:
    messages = [{"role": "user", "content": content}]
    return json.dumps({"model": "gpt-4o-mini", "messages": messages, **more}).encode()


def request(gateway: Gateway, fields: bytes, body: bytes, version: bytes = b"1.1") -> bytes:
    """A chat completion with a good key; `fields` are the head's last lines, with their ends."""
    key = gateway.keys["team"].encode()
    host = urlsplit(gateway.gateway_url).netloc.encode()
    head = b"POST %b HTTP/%b\r\nhost: %b\r\n" % (PATH.encode(), version, host)
    head += b"authorization: Bearer %b\r\ncontent-type: application/json\r\n" % key
    return head + fields + b"\r\n" + body


def whole(gateway: Gateway, content: str) -> bytes:
    body = question(content)
    return request(gateway, b"content-length: %d\r\n" % len(body), body)


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def exchange(gateway: Gateway, sent: bytes) -> list[int]:
    """Send bytes as they are; the statuses of what is answered until it is closed, or quiet."""
    parts = urlsplit(gateway.gateway_url)
    assert parts.scheme == "http", "name the Kong's address without TLS"
    told = b""
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=30) as client:
        # Who refuses a head closes at once, and may do so before it has read all.
        with suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(sent)
        with suppress(TimeoutError, ConnectionResetError):
            while piece := client.recv(65536):
                told += piece
                client.settimeout(QUIET_S)
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", told)]


def heard(gateway: Gateway) -> list[str]:
    """What users said, in the calls that reached providers."""
    return [call["messages"][-1]["content"] for call in gateway.calls()]


BODY = question(FIRST)
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n"
# Fields, and the body behind them. What is plainly chunked or plainly as long as it says, and the
# other one also: the reader that takes the other one finds the second request.
UNCLEAR: dict[str, tuple[bytes, bytes]] = {
    "length, then chunked": (LENGTH + CHUNKED, BODY),
    "chunked, then length": (CHUNKED + LENGTH, chunked(BODY)),
    "a length of nothing, and chunked": (b"content-length: 0\r\n" + CHUNKED, chunked(BODY)),
    "a short and a long length": (b"content-length: 0\r\n" + LENGTH, BODY),
    "a long and a short length": (LENGTH + b"content-length: 0\r\n", BODY),
    "two lengths in one field": (b"content-length: 0, %d\r\n" % len(BODY), BODY),
    "a length with a sign": (b"content-length: +%d\r\n" % len(BODY), BODY),
    "a length below nothing": (b"content-length: -1\r\n", BODY),
    "a length in hexadecimal": (b"content-length: 0x%x\r\n" % len(BODY), BODY),
    "a length that overflows": (b"content-length: %d\r\n" % (2**64 + len(BODY)), BODY),
    "a space before the colon": (b"transfer-encoding : chunked\r\n" + LENGTH, BODY),
    "a folded transfer-encoding": (b"transfer-encoding:\r\n chunked\r\n" + LENGTH, BODY),
    "a folded length": (CHUNKED + b"x-a: b\r\n content-length: 0\r\n", chunked(BODY)),
    "a length behind a bare LF": (b"x-a: b\ncontent-length: 0\r\n" + LENGTH, BODY),
    "chunked behind a bare LF": (b"x-a: b\ntransfer-encoding: chunked\r\n" + LENGTH, BODY),
    "chunked behind a bare CR": (b"x-a: b\rtransfer-encoding: chunked\r\n" + LENGTH, BODY),
    "a head that ends by bare LFs": (LENGTH.replace(b"\r\n", b"\n") + b"\n", BODY),
    "xchunked": (b"transfer-encoding: xchunked\r\n" + LENGTH, BODY),
    "chunked, identity": (b"transfer-encoding: chunked, identity\r\n" + LENGTH, BODY),
    "chunked twice": (CHUNKED + CHUNKED, chunked(BODY)),
    "chunked behind a vertical tab": (b"transfer-encoding: \x0bchunked\r\n" + LENGTH, BODY),
    "NUL in a value": (b"x-a: b\x00c\r\n" + LENGTH, BODY),
    "NUL in transfer-encoding": (b"transfer-encoding: chunked\x00\r\n" + LENGTH, BODY),
    "NUL in a name": (b"x\x00a: b\r\n" + LENGTH, BODY),
    "a chunk that overflows 64 bits": (CHUNKED, b"1%016x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "a chunk of all there are": (CHUNKED, b"f" * 17 + b"\r\n%b\r\n0\r\n\r\n" % BODY),
    "a chunk below nothing": (CHUNKED, b"-1\r\n%b\r\n0\r\n\r\n" % BODY),
    "a chunk in 0x": (CHUNKED, b"0x%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "a chunk longer than it says": (CHUNKED, b"2\r\n%b\r\n0\r\n\r\n" % BODY),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_what_can_be_read_in_two_ways_is_one_request_or_none(gateway: Gateway, name: str) -> None:
    fields, body = UNCLEAR[name]
    statuses = exchange(gateway, request(gateway, fields, body) + whole(gateway, SECOND))
    assert statuses.count(200) <= 1
    assert all(status == 200 or 400 <= status < 600 for status in statuses)
    # Nothing of it is left on a connection that Kong holds to the relay or to a provider.
    assert exchange(gateway, whole(gateway, AFTER)) == [200]
    said = heard(gateway)
    assert SECOND not in said
    assert said.count(FIRST) <= 1
    assert said.count(AFTER) == 1


def test_an_old_client_that_says_chunked_is_one_request_or_none(gateway: Gateway) -> None:
    sent = request(gateway, CHUNKED + LENGTH, chunked(BODY), version=b"1.0")
    statuses = exchange(gateway, sent + whole(gateway, SECOND))
    assert statuses.count(200) <= 1
    assert SECOND not in heard(gateway)


@pytest.mark.parametrize("is_streaming", [False, True], ids=["direct", "relay"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_request_within_a_question_stays_a_part_of_it(
    gateway: Gateway, framing: str, is_streaming: bool
) -> None:
    """On the way to the provider the body is framed anew; what it says frames nothing."""
    content = f"0\r\n\r\n{whole(gateway, SECOND).decode()}"
    body = question(content, stream=is_streaming)
    fields = CHUNKED if framing == "chunked" else b"content-length: %d\r\n" % len(body)
    sent = request(gateway, fields, chunked(body) if framing == "chunked" else body)
    assert exchange(gateway, sent) == [200]
    assert heard(gateway) == [content]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\x00", b"\x85", b"%0d%0a", b"\\r\\n"])
def test_a_value_that_travels_begins_no_header_of_its_own(gateway: Gateway, end: bytes) -> None:
    """`user-agent` reaches the provider, so what is within it could be read there as more."""
    agent = b"user-agent: app" + end + b"openai-organization: evil" + end + b"x-injected: 1\r\n"
    statuses = exchange(gateway, request(gateway, agent + LENGTH, BODY))
    assert len(statuses) == 1
    for call in gateway.calls():
        assert not {"x-injected", "openai-organization"} & set(call["header_names"])
    assert heard(gateway) == ([FIRST] if statuses == [200] else [])


@pytest.mark.parametrize("is_streaming", [False, True], ids=["direct", "relay"])
def test_line_ends_in_members_of_the_body_begin_no_header(
    gateway: Gateway, is_streaming: bool
) -> None:
    injected = "x\r\nx-injected: 1\r\n\r\n"
    body = question(FIRST, stream=is_streaming, user=injected)
    statuses = exchange(gateway, request(gateway, b"content-length: %d\r\n" % len(body), body))
    assert statuses == [200]
    [call] = gateway.calls()
    assert call["parameters"]["user"] == injected
    assert "x-injected" not in call["header_names"]
