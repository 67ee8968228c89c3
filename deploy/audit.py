"""Reads what `pip-audit --format json` found and says it so that nobody takes silence for safety.

pip-audit passes over a package that its database does not know, and calls the rest clean. Behind a
mirror of PyPI without the vulnerability API that is every package. So a package that could not be
checked is a failure of its own here.

    pip-audit ... --format json | python deploy/audit.py requirements.lock

Ends with 0 when every package was checked and none has a known vulnerability, with 1 when one has,
with 2 when nothing can be said.
"""

import json
import sys
from typing import Any

CLEAN, VULNERABLE, UNKNOWN = 0, 1, 2
_MOST_NAMED = 5


def verdict(found: str, lock: str) -> tuple[int, str]:
    """The exit status, and what to tell.

    Args:
        found: pip-audit's JSON; empty when it failed before it found anything.
        lock: The lock file's name.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(found)["dependencies"]
    except (ValueError, KeyError, TypeError):
        packages = []
    if not packages:
        return UNKNOWN, f"{lock}: NOT AUDITED: pip-audit gave no result; see above.\n"
    lines = [
        f"{lock}: {one['name']} {one['version']}: {fault['id']}"
        f" ({', '.join(fault['aliases']) or 'no alias'}); mended in "
        f"{', '.join(fault['fix_versions']) or 'no version yet'}\n"
        for one in packages
        for fault in one.get("vulns", ())
    ]
    unchecked = [one["name"] for one in packages if "skip_reason" in one]
    if unchecked:
        named = ", ".join(unchecked[:_MOST_NAMED]) + (", ..." if unchecked[_MOST_NAMED:] else "")
        lines.append(
            f"{lock}: NOT AUDITED: {len(unchecked)} of {len(packages)} packages are not known to "
            f"the vulnerability database that was reached ({named}). Set AUDIT_SERVICE=osv, or "
            "run this where a vulnerability database of Python packages can be reached.\n"
        )
    checked = len(packages) - len(unchecked)
    count = sum(len(one.get("vulns", ())) for one in packages)
    lines.append(f"{lock}: {checked} packages checked, {count} known vulnerabilities\n")
    return VULNERABLE if count else UNKNOWN if unchecked else CLEAN, "".join(lines)


if __name__ == "__main__":
    status, told = verdict(sys.stdin.read(), sys.argv[1])
    sys.stdout.write(told)
    sys.exit(status)
