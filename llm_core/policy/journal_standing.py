"""What waits in one plugin's journal of usage reports, and how a report's header says so."""

import re
from dataclasses import dataclass
from typing import Final

JOURNAL_HEADER: Final = "x-gatehouse-journal"
_MOST = 999_999_999
_LONGEST_NAME = 200
_NAME = r"[A-Za-z0-9._:/~+@-]"
_NO_NAME = re.compile(rf"(?!{_NAME}).", re.DOTALL)
_FORM = re.compile(
    rf"name=({_NAME}{{1,{_LONGEST_NAME}}}); waiting=([0-9]{{1,9}}); oldest_s=([0-9]{{1,9}}); "
    r"full=([01])"
)


@dataclass(frozen=True, slots=True)
class JournalStanding:
    """How one journal stands.

    Args:
        name: Host and file, see `name_of`.
        waiting: Reports in it.
        oldest_s: How long the oldest of them has waited.
        is_full: It cannot be written: what does not reach the service is lost.
    """

    name: str
    waiting: int
    oldest_s: int
    is_full: bool

    @property
    def is_calm(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.waiting == 0 and not self.is_full


def name_of(host: str, path: str) -> str:
    """What a journal is called everywhere: `gw-1:/var/lib/gatehouse/usage-journal.jsonl`."""
    return _NO_NAME.sub("_", f"{host}:{path}")[:_LONGEST_NAME]


def written(standing: JournalStanding) -> str:
    """The header's value."""
    waiting, oldest_s = min(standing.waiting, _MOST), min(standing.oldest_s, _MOST)
    full = int(standing.is_full)
    return f"name={standing.name}; waiting={waiting}; oldest_s={oldest_s}; full={full}"


def read(value: str) -> JournalStanding | None:
    """What a header says; `None` when it has not exactly the form of `written`."""
    found = _FORM.fullmatch(value)
    if found is None:
        return None
    name, waiting, oldest_s, full = found.groups()
    return JournalStanding(name, int(waiting), int(oldest_s), full == "1")
