"""A policy's rules become WebAssembly: OPA compiles them, once, and is not needed to decide.

Only the rules are compiled. The lists are given to the program as data, so that compliance's own
changes ask for no compiler.
"""

import json
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from policy_service.adapters.policy_bundle import ENTRYPOINT

_TIMEOUT_S = 60.0
_KEPT = 8
_MODULE = "/policy.wasm"
_SHOWN_CHARS = 500


class NotCompiled(ValueError):
    """The rules cannot be had as WebAssembly; the message says why."""


def compiled_rules(opa: str, modules: Mapping[str, str]) -> bytes:
    """The rules as a WebAssembly module with the one entrypoint. Blocks for about a second.

    The newest few are remembered.

    Args:
        opa: Where OPA's program is.
        modules: Rego source by path.

    Raises:
        NotCompiled: OPA refuses them, or does not come to an end.
    """
    return _compiled(opa, json.dumps(dict(modules), sort_keys=True))


@lru_cache(maxsize=_KEPT)
def _compiled(opa: str, modules: str) -> bytes:
    with tempfile.TemporaryDirectory() as made:
        source, built = Path(made) / "rules", Path(made) / "bundle.tar.gz"
        source.mkdir()
        for path, text in json.loads(modules).items():
            file = source / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        _build(opa, source, built)
        with tarfile.open(built) as archive:
            module = next((one for one in archive if one.name == _MODULE), None)
            content = archive.extractfile(module) if module else None
            if content is None:
                raise NotCompiled("OPA's bundle holds no WebAssembly")
            return content.read()


def _build(opa: str, source: Path, built: Path) -> None:
    command = [opa, "build", "--target", "wasm", "--entrypoint", ENTRYPOINT]
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own OPA
            [*command, "--output", str(built), "."],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            cwd=source,
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise NotCompiled(f"OPA does not compile the rules: {type(fault).__name__}") from fault
    if done.returncode != 0:
        raise NotCompiled((done.stderr or done.stdout).strip()[:_SHOWN_CHARS])
