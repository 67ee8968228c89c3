"""Stops each plugin server of a Kong on this host for a moment, and sees that nobody gets through.

A server that hangs is what Kong itself does not see: it waits, and passes the call on.
"""

import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from types import FrameType

import httpx
import typer

from policy_service.cli.doctor.findings import Finding, broken, good, unseen, warning
from policy_service.cli.doctor.reasons import reason_of
from policy_service.cli.kong.installing import PLUGINS
from policy_service.cli.kong.proxied import Proxy, ask_model, ask_nothing, decision_of

_SETTLE_S = 20.0
_STOPPED_S = 2.0
_PAUSE_S = 0.05
_CREDENTIALS = struct.Struct("3i")
"""Linux's `struct ucred`: process, user, group (man 7 unix, checked 2026-11-29)."""
_HOW = "See Kong's error log: who answered while the plugin server stood still?"


class _NotThere(Exception):
    """Nobody can be paused; the text says why."""


def paused_findings(proxy: Proxy, prefix: Path) -> Iterator[Finding]:
    """Pause one plugin server after the other, and call; each goes on whatever happens.

    Args:
        proxy: Leads to the Kong whose plugin servers they are.
        prefix: Its prefix on this host, with their sockets.
    """
    for name in PLUGINS:
        part = f"closed when {name} hangs"
        try:
            yield _paused(proxy, prefix, name, part)
        except _NotThere as why:
            yield unseen(part, f"{why}", "Run it on Kong's host, as the user that Kong runs as.")
        except httpx.HTTPError as fault:
            yield broken(part, f"Kong cannot be asked: {reason_of(fault)}.", _HOW)


def _paused(proxy: Proxy, prefix: Path, name: str, part: str) -> Finding:
    if name != "llm-auth" and proxy.key is None:
        return unseen(part, "llm-auth refuses who has no key.", "Give --key.")
    stands_in = name == "llm-provider-transform"
    if stands_in and proxy.model is None:
        return unseen(part, "It takes a model to be asked.", "Name one with --model.")
    usual = ask_nothing(proxy)
    if usual.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unseen(part, f"Calls fail as it is ({usual.status_code}).", "Mend that first.")
    pid = _server(prefix / f"{name}.sock")
    typer.echo(f"{name} is paused for a moment: calls are refused or wait meanwhile.", err=True)
    try:
        with _standing_still(pid):
            answer = ask_model(proxy) if stands_in else ask_nothing(proxy)
    except httpx.HTTPError as fault:
        found = warning(part, f"Kong did not answer: {reason_of(fault)}.", _HOW)
    else:
        found = _judged(part, answer, usual, stands_in=stands_in)
    return found if _is_well(proxy, usual) else _still_away(part, name, pid)


def _judged(
    part: str, answer: httpx.Response, usual: httpx.Response, *, stands_in: bool
) -> Finding:
    decision = decision_of(answer)
    if answer.is_success and stands_in and decision is not None:
        return good(part, f"The relay serves the call itself, by decision {decision}.")
    if answer.is_success:
        return broken(
            part,
            f"Kong answered {answer.status_code} to a call that nobody decided.",
            "Its service must be the policy service's relay: see `routes` in this report.",
        )
    if answer.status_code == usual.status_code and not stands_in:
        return warning(
            part,
            f"Refused with {answer.status_code}, as when it runs: the pause was not felt.",
            "See that --proxy-url leads to the Kong whose prefix --kong-prefix names.",
        )
    return good(part, f"While it stands still, calls are refused with {answer.status_code}.")


def _still_away(part: str, name: str, pid: int) -> Finding:
    return broken(
        part,
        f"{name} was paused and goes on, and calls still fail after {_SETTLE_S:.0f} s.",
        f"`kill -CONT {pid}`; if that does not do, `kill {pid}`: Kong starts it again.",
    )


def _is_well(proxy: Proxy, usual: httpx.Response) -> bool:
    """Whether calls are answered again as they were before."""
    until_s = time.monotonic() + _SETTLE_S
    while time.monotonic() < until_s:
        try:
            if ask_nothing(proxy).status_code == usual.status_code:
                return True
        except httpx.HTTPError:
            pass  # what a server that stood still has left behind
        time.sleep(_PAUSE_S)
    return False


def _server(place: Path) -> int:
    """The process that listens on a Unix socket, as the kernel tells it."""
    if not hasattr(socket, "SO_PEERCRED"):
        raise _NotThere("Which process listens on a socket is told by Linux only.")
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_STOPPED_S)
            probe.connect(str(place))
            told = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except (OSError, ValueError) as fault:
        raise _NotThere(f"{place} takes no connection: {reason_of(fault)}.") from fault
    pid: int = _CREDENTIALS.unpack(told)[0]
    if pid <= 1:
        raise _NotThere(f"Who listens on {place} is in another container.")
    return pid


@contextmanager
def _standing_still(pid: int) -> Iterator[None]:
    """Let a process stand still; also when this one is told to end, it goes on."""
    ends = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _end) for number in ends}
    try:
        try:
            os.kill(pid, signal.SIGSTOP)
        except (PermissionError, ProcessLookupError) as fault:
            raise _NotThere(f"Process {pid} cannot be paused: {reason_of(fault)}.") from fault
        _await_stop(pid)
        yield
    finally:
        with suppress(PermissionError, ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _await_stop(pid: int) -> None:
    until_s = time.monotonic() + _STOPPED_S
    while time.monotonic() < until_s:
        try:
            told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError as fault:
            raise _NotThere(f"Process {pid} has ended, or is hidden from here.") from fault
        state = told.rpartition(")")[2].split()[0]
        if state in {"T", "t"}:
            return
        time.sleep(_PAUSE_S)
