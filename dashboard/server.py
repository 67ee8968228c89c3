"""The dashboard as a server: `streamlit run` finds `app` here and serves it.

What pages need is loaded before anybody asks: who opens the first page waits no longer than who
opens the next.
"""

import gc
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import altair as alt
import pandas as pd  # type: ignore[import-untyped] # its stubs are a package of their own
import streamlit as st
from altair.utils import schemapi
from starlette.middleware import Middleware

import dashboard
from dashboard import assets

HERE = Path(__file__).parent
STATIC = Path(st.__file__).parent / "static" / "static"
_PARTS = ("api", "figures", "frames", "parts")
# What draws figures and tables, and the fields of filters: the rest is small, or seldom there.
DRAW = ("ArrowVegaLiteChart", "DataFrame", "loadVegaEmbed", "embed")
_LARGE = 4_000
# Loaded by those who are given a figure, a table, an icon or a question, when they first are.
_LATER = (
    *("streamlit.elements.arrow", "streamlit.elements.vega_charts"),
    *("streamlit.emojis", "streamlit.material_icon_names"),
    *("PIL.Image", "httpcore", "pyarrow.pandas_compat"),
)


def warm_up() -> None:
    """Load what pages need."""
    for part in _PARTS:
        package = import_module(f"{dashboard.__name__}.{part}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    for name in _LATER:
        import_module(name)
    alt.Chart(pd.DataFrame({"x": [1]})).mark_bar().encode(x="x:Q").to_dict()
    # Figures are checked against Vega-Lite's schema in tests; here it only takes time.
    schemapi.disable_debug_mode()
    # After each run of a page Streamlit looks through all objects for garbage; these stay for good.
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def _lifespan(_: st.App) -> AsyncIterator[None]:
    warm_up()
    yield


def _middleware() -> list[Middleware]:
    scripts = STATIC / "js"
    first, drawing = (assets.needed(scripts, roots) for roots in (("index",), DRAW))
    names = [f"js/{name}" for name in dict.fromkeys((*first, *drawing))]
    names += [f"css/{one.name}" for one in sorted((STATIC / "css").glob("*.css"))]
    # The document itself names the first; of the others only large ones: headers must be short.
    early = [
        name for name in drawing if name not in first and (scripts / name).stat().st_size >= _LARGE
    ]
    return [Middleware(assets.Assets, files=assets.held(STATIC, names), early=early)]


app = st.App(HERE / "app.py", lifespan=_lifespan, middleware=_middleware())
