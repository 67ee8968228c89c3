"""What the test plugins share: phases that run a list of calls taken from their configuration.

A call is JSON: `["kong.request.get_path"]`, or one of `environ`, `raise` and `kill`. An argument
`{"bytes": "..."}` stands for bytes (latin-1).
"""

# ruff: noqa: ANN001, ANN002, ANN202 - kong_pdk ships no types

import json
import os
import signal
from pathlib import Path

FIELDS = [
    {"access": {"type": "array", "elements": {"type": "string"}, "default": []}},
    {"response": {"type": "array", "elements": {"type": "string"}, "default": []}},
    {"log_file": {"type": "string"}},
    {"key": {"type": "string", "referenceable": True}},
    {
        "keys": {
            "type": "map",
            "keys": {"type": "string"},
            "values": {"type": "string", "referenceable": True},
        }
    },
    {"report_config": {"type": "boolean", "default": False}},
]


def run(kong, calls):
    """Run calls; gives their results."""
    return [_run_one(kong, *json.loads(call)) for call in calls]


def reported(results):
    """Results as a header value."""
    return json.dumps(results, default=lambda value: {"bytes": len(value)})


def append(path, entry):
    """Add a line to the file in which a test looks; one write, so that no line is ever torn."""
    with Path(path).open("ab", buffering=0) as file:
        file.write((json.dumps(entry) + "\n").encode())


def _run_one(kong, name, *args):
    if name == "raise":
        raise RuntimeError("as asked")
    if name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "environ":
        return dict(os.environ)  # noqa: TID251 - what the test asks about
    method = kong
    for part in name.split(".")[1:]:
        method = getattr(method, part)
    try:
        return method(*(_argument(each) for each in args))
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return {"error": str(error)}


def _argument(value):
    if isinstance(value, dict) and set(value) == {"bytes"}:
        return value["bytes"].encode("latin-1")
    return value
