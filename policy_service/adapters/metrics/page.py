"""The page that Prometheus scrapes, for one process or for all of a host.

Several processes behind one port: a scrape reaches any of them. Each counts in files of its own in
a folder that they share, and whoever is scraped adds them up. The folder is named by
`PROMETHEUS_MULTIPROC_DIR`, which the library reads when it is first imported; `gatehouse serve`
sees to both. See docs/decisions/0024-workers-count-in-shared-files.md.
"""

import asyncio
import os
from pathlib import Path

from prometheus_client import CollectorRegistry, values
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from policy_service.adapters.metrics.standing import Standing

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class MetricsPage:
    """Writes the page.

    Args:
        registry: What this app counts.
        standing: Finds out how things stand.
        shared: The folder in which all processes count; `None` when there is only this one.
    """

    def __init__(
        self, registry: CollectorRegistry, standing: Standing, shared: Path | None
    ) -> None:
        self._registry, self._standing, self._shared = registry, standing, shared

    async def written(self) -> bytes:
        """All families, in Prometheus's text format."""
        now = CollectorRegistry()
        now.register(await self._standing.look())
        # Beside the event loop: calls are decided meanwhile.
        return await asyncio.to_thread(self._counted) + generate_latest(now)

    def _counted(self) -> bytes:
        if self._shared is None:
            return generate_latest(self._registry)
        _forget_dead(self._shared)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(everybody)


def shared_folder() -> Path | None:
    """Where processes count together; `None` when this one counts for itself."""
    named = os.environ.get(SHARED_FOLDER)  # noqa: TID251 - the library's own way of being told
    return Path(named) if named and values.ValueClass.__dict__.get("_multiprocess") else None


def _forget_dead(folder: Path) -> None:
    """What a process that has ended said of itself holds no more; what it counted stays."""
    for file in folder.glob("gauge_live*_*.db"):
        number = file.stem.rpartition("_")[2]
        if number.isdigit() and not Path("/proc", number).exists():
            mark_process_dead(int(number), str(folder))  # type: ignore[no-untyped-call]
