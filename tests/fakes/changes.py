"""An audit log in which nothing happens."""

from collections.abc import Sequence

from policy_service.ports.changes import Logged


class QuietLog:
    """Implements `ChangeLog`."""

    async def newest(self, most: int) -> Sequence[Logged]:
        """Nothing."""
        return ()

    async def after(self, seq: int, most: int) -> Sequence[Logged]:
        """Nothing."""
        return ()
