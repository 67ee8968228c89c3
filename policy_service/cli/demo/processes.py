"""Starting, watching and stopping the demo's processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from policy_service.cli.failures import fail

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Spec:
    """One process.

    Args:
        arguments: Behind the interpreter.
        environment: Added to a minimal one.
        ready_url: Answers 200 when the process can work.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    ready_url: str


def start(spec: Spec, logs: Path) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that Ctrl-C reaches only us."""
    log = (logs / f"{spec.name}.log").open("wb")
    inherited = {
        name: value
        for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
        if (value := os.environ.get(name)) is not None  # noqa: TID251 - a minimal environment
    }
    with log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            [sys.executable, *spec.arguments],
            env={**inherited, "PYTHONUNBUFFERED": "1", **spec.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_ready(
    spec: Spec, process: subprocess.Popen[bytes], logs: Path, tell: Callable[[str], None]
) -> None:
    """Wait until a process answers; end with its last words when it does not."""
    until_s = time.monotonic() + READY_TIMEOUT_S
    # One client: to make one each time would take a third of a processor from who starts.
    with httpx.Client(timeout=2.0, trust_env=False) as client:
        while time.monotonic() < until_s:
            if process.poll() is not None:
                raise fail(f"{spec.name} ended at its start:\n{last_words(spec.name, logs)}")
            try:
                if client.get(spec.ready_url).status_code < 500:  # noqa: PLR2004
                    tell(spec.name)
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
    raise fail(
        f"{spec.name} is not ready after {READY_TIMEOUT_S:.0f} s:\n{last_words(spec.name, logs)}"
    )


def last_words(name: str, logs: Path) -> str:
    """The end of a process's log."""
    lines = (logs / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-15:]) or "  (it said nothing)"


def stop(pids: Mapping[str, int]) -> None:
    """Ask processes to end, with everything they started; make them when they do not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids.values():
            _signal(pid, number)
        if _ended(pids):
            return


def _ended(pids: Mapping[str, int]) -> bool:
    until_s = time.monotonic() + STOP_TIMEOUT_S
    while any(is_running(pid) for pid in pids.values()):
        if time.monotonic() >= until_s:
            return False
        time.sleep(0.05)
    return True


def is_running(pid: int) -> bool:
    """Whether a process lives; one that ended and was not waited for does not."""
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        ended = 0
    if ended:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except ProcessLookupError:
        return False  # it ended while it was read
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists()  # it has ended, where there is a /proc
    return ") Z " not in state


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        # Each process leads a session of its own; its group takes its children along.
        os.killpg(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise fail(f"process {pid} belongs to somebody else") from None
