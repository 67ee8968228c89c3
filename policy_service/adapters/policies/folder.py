"""The service's own folder of rules and lists, watched for changes."""

from pathlib import Path

from policy_service.adapters.policies.stamp import stamped
from policy_service.adapters.policy_bundle import PolicyBundle, load_bundle

_Print = tuple[tuple[str, int, int], ...]


class WatchedFolder:
    """A policy's folder; looking at it blocks for some milliseconds.

    Args:
        place: The folder.
    """

    def __init__(self, place: Path) -> None:
        """Look at nothing yet."""
        self._place = place
        self._loaded: _Print | None = None
        self._seen: _Print | None = None

    def load(self) -> PolicyBundle:
        """What the folder holds now, stamped.

        Raises:
            BrokenBundle: It holds no policy; the message names file and fault.
        """
        self._loaded = self._seen = self._print()
        return stamped(load_bundle(self._place))

    def has_changed(self) -> bool:
        """Whether files were changed since they were loaded, and have come to rest.

        A copy or a checkout writes one file after the other: what is there in the middle of it is
        nobody's policy. So a change counts once two looks in a row have seen the same.
        """
        seen, self._seen = self._seen, self._print()
        return self._seen == seen and self._seen != self._loaded

    def _print(self) -> _Print:
        """Names, times and sizes of all files."""
        found = []
        for file in sorted(self._place.rglob("*")):
            try:
                state = file.stat()
            except OSError:  # it went while we looked
                continue
            if file.is_file():
                found.append((str(file), state.st_mtime_ns, state.st_size))
        return tuple(found)
