"""Where the processes of one `gatehouse serve` count together, for as long as it runs."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from policy_service.adapters.metrics.page import SHARED_FOLDER


@contextmanager
def counting_together() -> Iterator[None]:
    """Name the folder to the processes that are started within; an operator's own is left alone.

    A new folder each time: counters begin anew with the service, as Prometheus expects.
    """
    if os.environ.get(SHARED_FOLDER):  # noqa: TID251 - how prometheus_client is told
        yield
        return
    folder = tempfile.mkdtemp(prefix="gatehouse-metrics-")
    os.environ[SHARED_FOLDER] = folder  # noqa: TID251 - likewise
    try:
        yield
    finally:
        del os.environ[SHARED_FOLDER]  # noqa: TID251 - likewise
        shutil.rmtree(folder, ignore_errors=True)
