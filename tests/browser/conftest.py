"""What the browser's tests share: a browser for each file, and one company for many of them."""

from collections.abc import Iterator

import pytest

from tests.fixtures.chromium import OpenPage, start_browser
from tests.fixtures.filled_site import FilledSite, start_filled_site


@pytest.fixture(scope="session")
def filled_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilledSite]:
    """For who only reads; whoever changes something starts a site of their own."""
    with start_filled_site(tmp_path_factory.mktemp("filled")) as running:
        yield running


@pytest.fixture(scope="module")
def open_page() -> Iterator[OpenPage]:
    """One browser for a file, each page on its own; name it behind the site that it looks at."""
    with start_browser() as opened:
        yield opened
