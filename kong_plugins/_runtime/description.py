"""What Kong asks about a plugin at start: name, phases, priority, version, schema."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kong_pdk.module
from kong_pdk.module import Module


def describe(
    name: str, plugin: type, *, version: str, priority: int, schema: Sequence[Mapping[str, Any]]
) -> Module:
    """Describe a plugin to kong-pdk.

    Raises:
        TypeError: A phase is not `async def`.
    """
    if not Path(kong_pdk.module.FILEPATH).exists():
        # kong-pdk 0.36 takes `sys.path[0]` for the script's folder; under `python -P` it is not.
        kong_pdk.module.FILEPATH = str(Path(__file__).parent)
    described = SimpleNamespace(
        Plugin=plugin, Schema=list(schema), version=version, priority=priority
    )
    module = Module(name, module=described)
    for phase in module.phases:
        if not inspect.iscoroutinefunction(getattr(plugin, phase)):
            raise TypeError(f"{plugin.__qualname__}.{phase} is a phase and must be `async def`")
    return module


def plugin_info(module: Module) -> dict[str, Any]:
    """Give the answer to `--dump` and `GetPluginInfo`, byte for byte what kong-pdk gives.

    `kong_pdk.server.PluginServer` has this as a method; importing it costs gevent.
    """
    fields = [{"config": {"type": "record", "fields": module.schema}}]
    return {
        "Name": module.name,
        "Phases": module.phases,
        "Priority": module.priority,
        "Version": module.version,
        "Schema": {"name": module.name, "fields": fields},
    }
