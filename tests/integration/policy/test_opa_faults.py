"""OPA gone, hanging, empty, started again, or with a policy of its own."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.opa_policy import OpaPolicy
from policy_service.adapters.policy_bundle import PolicyBundle, load_bundle
from tests.fixtures.opa_server import OpaServer, start_opa
from tests.fixtures.policy_inputs import chat_input

pytestmark = pytest.mark.integration


@pytest.fixture
def own_opa() -> Iterator[OpaServer]:
    """An OPA without a bundle for one test."""
    with start_opa(None) as server:
        yield server


@asynccontextmanager
async def _policy(
    server: OpaServer, bundle: PolicyBundle | None = None, timeout_s: float = 10.0
) -> AsyncIterator[OpaPolicy]:
    policy = OpaPolicy(server.url, timeout_s=timeout_s, bundle=bundle)
    try:
        yield policy
    finally:
        await policy.close()


async def test_an_opa_without_the_policy_is_unavailable_and_not_a_denial(
    own_opa: OpaServer,
) -> None:
    async with _policy(own_opa) as policy:
        with pytest.raises(PolicyUnavailable):
            await policy.evaluate(chat_input())
        assert not await policy.ready()


async def test_an_opa_that_is_gone_is_unavailable_until_it_is_back(
    own_opa: OpaServer, bundle: PolicyBundle
) -> None:
    async with _policy(own_opa, bundle) as policy:
        assert (await policy.evaluate(chat_input())).allow
        own_opa.stop()
        with pytest.raises(PolicyUnavailable):
            await policy.evaluate(chat_input())
        assert not await policy.ready()
        own_opa.start()
        # It came back empty; the policy is pushed again.
        assert (await policy.evaluate(chat_input())).allow


async def test_many_calls_at_once_survive_a_restart(
    own_opa: OpaServer, bundle: PolicyBundle
) -> None:
    """Kept connections are dead after it; each is tried once more."""
    async with _policy(own_opa, bundle) as policy:
        await asyncio.gather(*(policy.evaluate(chat_input()) for _ in range(20)))
        own_opa.stop()
        own_opa.start()
        results = await asyncio.gather(*(policy.evaluate(chat_input()) for _ in range(20)))
        assert all(result.allow for result in results)


async def test_a_hanging_opa_is_unavailable_after_the_timeout(
    own_opa: OpaServer, bundle: PolicyBundle
) -> None:
    async with _policy(own_opa, bundle, timeout_s=1.0) as policy:
        assert (await policy.evaluate(chat_input())).allow
        with own_opa.hanging(), pytest.raises(PolicyUnavailable):
            await policy.evaluate(chat_input())
        assert (await policy.evaluate(chat_input())).allow


async def test_a_policy_that_opa_refuses_is_unavailable(
    own_opa: OpaServer, bundle: PolicyBundle
) -> None:
    broken = PolicyBundle(
        modules={**bundle.modules, "llm/extra/extra.rego": "package llm.extra\n\nx if y"},
        data=bundle.data,
        revision=bundle.revision,
        digest="",
    )
    async with _policy(own_opa, broken) as policy:
        with pytest.raises(PolicyUnavailable):
            await policy.push()
        with pytest.raises(PolicyUnavailable):
            await policy.evaluate(chat_input())


async def test_nothing_is_pushed_over_a_bundle_that_opa_loaded_itself(
    opa: OpaServer, bundle: PolicyBundle
) -> None:
    async with _policy(opa, bundle) as policy:
        with pytest.raises(PolicyUnavailable):
            await policy.push()


async def test_a_pushed_policy_replaces_the_one_before(
    own_opa: OpaServer, bundle: PolicyBundle, rego: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(rego, tmp_path / "rego"))
    for file in (folder / ".manifest", folder / "data" / "revision.yaml"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(bundle.revision, "another"), encoding="utf-8")
    async with _policy(own_opa, bundle) as policy:
        assert (await policy.evaluate(chat_input())).revision == bundle.revision
    async with _policy(own_opa, load_bundle(folder)) as policy:
        assert (await policy.evaluate(chat_input())).revision == "another"


@pytest.mark.parametrize(
    "source",
    [
        "decision := true",
        'decision := {"allow": true}',
        'decision := {"allow": true, "permitted": ["elsewhere"], "models": [], "reasons": [], '
        '"obligations": {"max_output_tokens": null}, "revision": "x"}',
        "decision := true if input.nothing",
        "decision := 1 if true\n\ndecision := 2 if true",
    ],
)
async def test_a_policy_that_answers_something_else_is_unavailable(
    own_opa: OpaServer, source: str
) -> None:
    other = PolicyBundle(
        modules={"llm/main/main.rego": f"package llm.main\n\n{source}\n"},
        data={"llm": {}},
        revision="x",
        digest="",
    )
    async with _policy(own_opa, other) as policy:
        with pytest.raises(PolicyUnavailable):
            await policy.evaluate(chat_input())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n{,}",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]",
        b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
async def test_something_else_on_opas_port_is_unavailable(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().splitlines()
            if line.startswith(b"content-length")
        )
        assert "input" in json.loads(await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        policy = OpaPolicy(f"http://127.0.0.1:{port}", timeout_s=10.0)
        with pytest.raises(PolicyUnavailable):
            await policy.evaluate(chat_input())
        await policy.close()
