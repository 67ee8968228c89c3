import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.fixtures.services import free_port
from tests.soak.wires import Wire


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(100):
            writer.write(piece)
        writer.close()

    far = await asyncio.start_server(echo, "127.0.0.1", 0)
    wire = Wire([free_port(), far.sockets[0].getsockname()[1]], free_port())
    await wire.start()
    yield wire
    await wire.stop()
    far.close()


async def said_back(wire: Wire, text: bytes = b"hello") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    try:
        writer.write(text)
        return await reader.read(100)
    finally:
        writer.close()


async def test_it_passes_on_to_a_target_that_answers(wire: Wire) -> None:
    assert [await said_back(wire) for _ in range(4)] == [b"hello"] * 4


async def test_cut_off_it_breaks_what_is_open_and_what_comes(wire: Wire) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(b"before")
    assert await reader.read(100) == b"before"
    wire.cut()
    with suppress(ConnectionError):
        assert await reader.read(100) == b""
    with suppress(ConnectionError):
        assert await said_back(wire) == b""
    wire.mend()
    assert await said_back(wire) == b"hello"
    writer.close()


async def test_silenced_it_holds_back_and_loses_nothing(wire: Wire) -> None:
    wire.silence()
    waiting = asyncio.create_task(said_back(wire))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    wire.mend()
    assert await waiting == b"hello"
