"""Processor time by process: hardly disturbed by what else the machine does, unlike the clock."""

import os
from collections.abc import Mapping
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_KNOWN_BY = {
    "kong_plugins.llm_auth": "llm-auth",
    "kong_plugins.llm_token_meter": "llm-token-meter",
    "kong_plugins.llm_provider_transform": "llm-provider-transform",
    "regopy_worker": "embedded policy engine",
}


def used_s(roots: Mapping[str, int]) -> dict[str, float]:
    """Seconds used so far by processes and all that they started.

    Args:
        roots: Names and process ids. A plugin server or policy engine among their children counts
            for itself.
    """
    names = {pid: name for name, pid in roots.items()}
    parents: dict[int, int] = {}
    used: dict[int, tuple[str, float]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        pid = int(folder.name)
        parents[pid] = int(stat[1])
        used[pid] = command, (int(stat[11]) + int(stat[12])) / _TICKS_PER_S
    total: dict[str, float] = {}
    for pid, (command, seconds) in used.items():
        root = pid
        while root and root not in names:
            root = parents.get(root, 0)
        if root:
            known = (name for mark, name in _KNOWN_BY.items() if mark in command)
            name = next(known, names[root])
            total[name] = total.get(name, 0.0) + seconds
    return total
