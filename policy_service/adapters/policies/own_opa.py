"""An OPA of one's own for a while: what a bundle says there, without touching any that serves."""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.opa_policy import OpaPolicy
from policy_service.adapters.policies.bundle_folder import write_bundle
from policy_service.adapters.policy_bundle import BrokenBundle, PolicyBundle

_START_TIMEOUT_S = 20.0
_FEWER_COLLECTIONS = "GOGC=400"
"""Questions come by the thousand: more memory for garbage takes a third off the processor time."""
_POLL_S = 0.05
_SHOWN_CHARS = 2000


@dataclass(frozen=True, slots=True)
class OwnOpa:
    """A running OPA: as an engine, and where it listens."""

    policy: OpaPolicy
    url: str


@asynccontextmanager
async def own_opa(program: str, bundle: PolicyBundle) -> AsyncIterator[OwnOpa]:
    """Start OPA with the bundle on a free port, and end it.

    Args:
        program: Where `opa` is.
        bundle: What it is asked.

    Raises:
        BrokenBundle: OPA cannot use it; the message is OPA's.
        PolicyUnavailable: It does not come up.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_bundle(bundle, folder)
        port = _free_port()
        process = await asyncio.create_subprocess_exec(
            *("env", _FEWER_COLLECTIONS, program),
            *("run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error"),
            *("--disable-telemetry", "--optimize-store-for-read-speed", "--bundle", str(folder)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        url = f"http://127.0.0.1:{port}"
        policy = OpaPolicy(url, timeout_s=10.0)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                while not await policy.ready():
                    if process.returncode is not None:
                        said = await process.stdout.read() if process.stdout else b""
                        raise BrokenBundle(
                            f"OPA cannot use the policy: {said.decode()[:_SHOWN_CHARS]}"
                        )
                    await asyncio.sleep(_POLL_S)
            yield OwnOpa(policy, url)
        except TimeoutError as fault:
            raise PolicyUnavailable("OPA does not come up.") from fault
        finally:
            await policy.close()
            if process.returncode is None:
                process.kill()
            await process.communicate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
