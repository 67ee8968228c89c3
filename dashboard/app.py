"""Shows the page that was asked for to who may see it. Started by `python -m dashboard`."""

from pathlib import Path

import streamlit as st

from dashboard import gate, navigation, wiring
from dashboard.api import identity
from dashboard.api.errors import ServiceFailure
from dashboard.api.identity import Viewer
from dashboard.parts.page import PAGES_UNKNOWN
from dashboard.settings import SettingsMissing

HERE = Path(__file__).parent


def _viewer() -> Viewer | None:
    try:
        return identity.whoami(wiring.client())
    except (ServiceFailure, SettingsMissing):
        # The page says what is wrong.
        return None


def _page(entry: navigation.Entry) -> st.Page:
    is_first = entry is navigation.PAGES[0]
    return st.Page(
        navigation.FOLDER / f"{entry.file}.py",
        title=entry.title,
        icon=f":material/{entry.icon}:",
        default=is_first,
        # The default page gets none: Streamlit's AppTest goes blank when it has one.
        url_path=None if is_first else entry.file,
    )


st.set_page_config(page_title="Gatehouse", page_icon="🚪", layout="wide")
st.html(HERE / "style.css")
st.logo(HERE / "logo.svg", size="large", icon_image=HERE / "logo_icon.svg")
may_go_on = gate.is_open()
viewer = _viewer() if may_go_on else None
st.session_state[PAGES_UNKNOWN] = may_go_on and viewer is None
sections = navigation.offered(viewer) if may_go_on else navigation.behind_the_door()
page = st.navigation(
    {name: [_page(entry) for entry in entries] for name, entries in sections.items()},
    position="sidebar" if may_go_on else "hidden",
    expanded=True,
)
if may_go_on:
    gate.show_reader(viewer)
    page.run()
