"""Builds a bundle in a process of its own and asks it the empty question.

rego-cpp 1.5 ends the whole process (`std::terminate`) on some modules that it cannot compile. Run
this file with `{"modules", "data", "entrypoint"}` on standard input before such a module comes near
a server. It imports nothing of ours, so that it can be run by its path. Status 0: fine. 1: standard
error says why not. Anything else: rego-cpp brought the process down.
"""

import json
import sys
from typing import Any

from regopy import Interpreter
from regopy.rego_shared import LogLevel, RegoError


def main() -> int:
    """Try the bundle on standard input."""
    try:
        fault = _fault(json.load(sys.stdin))
    except (RegoError, ValueError) as error:
        fault = str(error)
    sys.stderr.write(fault)
    return 1 if fault else 0


def _fault(bundle: dict[str, Any]) -> str:
    interpreter = Interpreter()
    interpreter.log_level = LogLevel.NONE
    for path, source in bundle["modules"].items():
        interpreter.add_module(path, source)
    interpreter.add_data_json(bundle["data"])
    built = interpreter.build(None, [bundle["entrypoint"]])
    if not built.ok():
        return "the bundle was not built"
    interpreter.set_input_term("{}")
    output = interpreter.query_bundle_entrypoint(built, bundle["entrypoint"])
    if not output.ok() or not output.results or not output.results[0].expressions:
        return f"the entrypoint has no value for the empty input: {output}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
