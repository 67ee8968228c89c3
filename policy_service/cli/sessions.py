"""Keeps who is signed in at which server, for this user of the machine only."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import typer

from policy_service.cli.signing_in import Session

_FILE = "sessions.json"


def default_folder() -> Path:
    """`$XDG_CONFIG_HOME/gatehouse`, or what stands for it on this system."""
    return Path(typer.get_app_dir("gatehouse"))


class Sessions:
    """Sessions by the server's URL, in one file that only its owner may read.

    Args:
        folder: Where the file is; made when it is needed.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = default_folder() if folder is None else folder

    def find(self, server: str) -> Session | None:
        """Who is signed in there.

        Raises:
            ValueError: The file is damaged, or others may read it.
        """
        return self._read().get(server)

    def change(
        self, server: str, step: Callable[[Session | None], Session | None]
    ) -> Session | None:
        """Put what `step` makes of the session there in its place; `None` removes it.

        Others that change the file wait meanwhile: a refresh token is good for one use only.
        """
        with self._alone():
            known = self._read()
            changed = step(known.get(server))
            if changed == known.get(server):
                return changed
            known.pop(server, None)
            if changed is not None:
                known[server] = changed
            self._write(known)
            return changed

    def _read(self) -> dict[str, Session]:
        path = self._folder / _FILE
        try:
            mode = path.stat().st_mode
            raw = path.read_bytes()
        except FileNotFoundError:
            return {}
        if mode & 0o077:
            raise ValueError(f"others may read {path}: run `chmod 600 {path}`, and sign in again")
        try:
            return msgspec.json.decode(raw, type=dict[str, Session])
        except msgspec.DecodeError as fault:
            raise ValueError(f"{path} is damaged: remove it, and sign in again") from fault

    def _write(self, sessions: dict[str, Session]) -> None:
        # mkstemp makes it with mode 0600; the rename is all or nothing.
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=f".{_FILE}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(sessions))
            Path(name).replace(self._folder / _FILE)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / f"{_FILE}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
