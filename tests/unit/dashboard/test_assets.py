"""Streamlit's scripts, served from memory, and named early."""

import gzip
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard import assets, server

SCRIPT = b"import{a}from'./b.H.js';" + b"x" * 1000


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    folder = tmp_path / "js"
    folder.mkdir()
    (folder / "a.H.js").write_bytes(SCRIPT)
    (folder / "b.H.js").write_bytes(b'import"./c.H.js";const later=()=>import("./later.H.js")')
    (folder / "c.H.js").write_bytes(b'export*from"./a.H.js"')
    (folder / "later.H.js").write_bytes(b"")
    return folder


def _browser(scripts: Path) -> TestClient:
    files = assets.held(scripts.parent, ["js/a.H.js"])
    return TestClient(
        Starlette(
            routes=[
                Route("/costs", lambda _: HTMLResponse("page")),
                Route("/{path:path}", lambda _: PlainTextResponse("Streamlit's", 404)),
            ],
            middleware=[Middleware(assets.Assets, files=files, early=["b.H.js", "c.H.js"])],
        )
    )


def test_what_a_script_imports_at_once_is_found_and_what_it_imports_later_is_not(scripts: Path):
    assert assets.needed(scripts, ["a", "gone"]) == ["a.H.js", "b.H.js", "c.H.js"]


@pytest.mark.parametrize("takes", ["gzip, br", "identity"])
def test_a_file_is_compressed_for_who_takes_it_and_kept_for_good(scripts: Path, takes: str):
    answer = _browser(scripts).get("/static/js/a.H.js", headers={"accept-encoding": takes})
    assert answer.content == SCRIPT
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    is_small = int(answer.headers["content-length"]) < len(SCRIPT)
    assert is_small is ("gzip" in takes)
    assert answer.headers.get("content-encoding") == ("gzip" if is_small else None)


@pytest.mark.parametrize("path", ["/static/js/b.H.js", "/static/", "/js/a.H.js", "/x"])
def test_nothing_but_what_is_held_is_answered_here(scripts: Path, path: str):
    answer = _browser(scripts).get(path)
    assert (answer.status_code, answer.text) == (404, "Streamlit's")
    assert "link" not in answer.headers


def test_a_document_names_what_it_will_need(scripts: Path):
    link = _browser(scripts).get("/costs").headers["link"]
    assert link == (
        "<./static/js/b.H.js>; rel=modulepreload, <./static/js/c.H.js>; rel=modulepreload"
    )


def test_streamlit_has_the_scripts_that_are_named_by_hand():
    """A newer Streamlit may call them otherwise: then pages are slower, and nobody is told."""
    for name in server.DRAW:
        assert assets.needed(server.STATIC / "js", [name]), name


def test_headers_stay_short_enough_for_proxies():
    [(_, given)] = [(one.cls, one.kwargs) for one in server.app._user_middleware]
    links = [f"<./static/js/{name}>; rel=modulepreload" for name in given["early"]]
    assert 0 < len(", ".join(links)) < 3000
    held = given["files"]["/static/js/" + next(iter(given["early"]))]
    assert gzip.decompress(held.small) == held.plain
