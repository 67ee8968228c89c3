"""What can be set for one sandbox process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """Options of the command line.

    Args:
        tokens_per_s: Pace of every answer that asks for none; `None` is as fast as possible.
        most_calls: How many received calls are remembered.
        most_recorded_bytes: How many bytes of request bodies are remembered in all.
        azure_models: Model behind an Azure deployment; a deployment not named here serves a model
            of its own name.
        record: Gets a line for each call that came and for each that ended; outlives the process.
    """

    tokens_per_s: float | None = None
    most_calls: int = 2000
    most_recorded_bytes: int = 32 * 1024 * 1024
    azure_models: Mapping[str, str] = field(default_factory=dict)
    record: Path | None = None
