"""A policy as files, for whoever reads them from a folder."""

import json
from pathlib import Path

from policy_service.adapters.policy_bundle import PolicyBundle


def write_bundle(bundle: PolicyBundle, folder: Path) -> None:
    """Lay a policy out as OPA reads it from a folder."""
    for path, text in bundle.modules.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (folder / "data.json").write_text(json.dumps(bundle.data), encoding="utf-8")
