"""The table of pages. Started by `python -m dashboard`."""

from pathlib import Path

import streamlit as st

from dashboard import gate

PAGES = Path(__file__).parent / "pages"

st.set_page_config(page_title="Gatehouse", page_icon="🚪", layout="wide")
page = st.navigation(
    [
        # The default page gets no `url_path`: Streamlit's AppTest goes blank when it has one.
        st.Page(PAGES / "spend.py", title="Spend", icon=":material/payments:", default=True),
    ],
    position="top",
)
if gate.is_open():
    page.run()
