"""Files that ship with the package.

In an installed wheel beside the code, in a checkout at the
root, where people look for them.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def bundled(name: str) -> Path:
    """Find `rego`, `prices`, `kong.yaml` or `kong.conf`.

    Raises:
        FileNotFoundError: The installation is incomplete.
    """
    for candidate in (_PACKAGE / "_bundled" / name, _PACKAGE.parent / name):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"{name} is missing from this installation of gatehouse-llm")
