"""Serves Streamlit's own scripts from memory, compressed, and names early what is needed.

Streamlit reads each file from the disk for each browser and sends it as it is: 5 MB in more than a
hundred files. Its document names the first of them; those of figures and tables are known to the
browser only when the first figure comes, one after the other. Here the document's headers name
them, so that they are there by then.
"""

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PREFIX = "/static/"
_TYPES = {".js": "text/javascript", ".css": "text/css"}
# The names carry a hash of what is in the files.
_FOR_GOOD = "public, immutable, max-age=31536000"
_LEVEL = 6
_IMPORTED = re.compile(rb"""(?:from|import)\s*["']\./([\w.-]+\.js)["']""")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, as it is and compressed."""

    media_type: str
    plain: bytes
    small: bytes

    def answer(self, *, takes_gzip: bool) -> Response:
        """As a browser gets it."""
        headers = {"cache-control": _FOR_GOOD, "vary": "accept-encoding"}
        if takes_gzip:
            headers["content-encoding"] = "gzip"
        content = self.small if takes_gzip else self.plain
        return Response(content, media_type=self.media_type, headers=headers)


def needed(scripts: Path, roots: Iterable[str]) -> list[str]:
    """The names of scripts and of all that they import at once, each after what imports it.

    Those that they import later, when they come to need them, are not among them.

    Args:
        scripts: Their folder.
        roots: What the names begin with, before the hash; one that is not there is left out.
    """
    waiting = [one.name for root in roots for one in sorted(scripts.glob(f"{root}.*.js"))]
    found: dict[str, None] = {}
    while waiting:
        name = waiting.pop(0)
        if name in found or not (file := scripts / name).is_file():
            continue
        found[name] = None
        waiting += [one.decode() for one in _IMPORTED.findall(file.read_bytes())]
    return list(found)


def held(folder: Path, names: Iterable[str]) -> Mapping[str, Asset]:
    """Files by their paths on the server.

    Args:
        folder: That of `static`.
        names: Below it.
    """
    return dict(_held(folder, names))


def _held(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, Asset]]:
    for name in names:
        plain = (folder / name).read_bytes()
        kind = _TYPES[Path(name).suffix]
        # Without a time in it: the same file is the same bytes.
        yield f"{_PREFIX}{name}", Asset(kind, plain, gzip.compress(plain, _LEVEL, mtime=0))


class Assets:
    """Middleware that answers for files that are held, and adds what documents need.

    Args:
        app: Answers for everything else.
        files: By path.
        early: Names of scripts that a document names in its headers.
    """

    def __init__(
        self, app: ASGIApp, *, files: Mapping[str, Asset], early: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._files = files
        self._link = ", ".join(f"<.{_PREFIX}js/{name}>; rel=modulepreload" for name in early)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        file = self._files.get(scope["path"]) if scope["method"] == "GET" else None
        if file is not None:
            takes_gzip = "gzip" in Headers(scope=scope).get("accept-encoding", "")
            await file.answer(takes_gzip=takes_gzip)(scope, receive, send)
            return

        async def send_linked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.append("link", self._link)
            await send(message)

        await self._app(scope, receive, send_linked if self._link else send)
