"""Runs a policy's tests with regopy in a process of its own.

Run by its path; imports nothing of ours. Reads `{"modules", "data", "tests"}` from standard input
and writes a line of JSON for each test: `[name, true or false]`, or `[name, null]` when the engine
could not evaluate it. rego-cpp can end the process over a test: whoever started it counts lines.
"""

import json
import sys
from typing import Any

from regopy import Interpreter
from regopy.rego_shared import LogLevel, RegoError


def main() -> None:
    """Run what standard input says."""
    asked: dict[str, Any] = json.load(sys.stdin)
    interpreter = Interpreter()
    interpreter.log_level = LogLevel.NONE
    for path, source in asked["modules"].items():
        interpreter.add_module(path, source)
    interpreter.add_data_json(asked["data"])
    interpreter.set_input_term("{}")
    built = interpreter.build(None, asked["tests"])
    for name in asked["tests"]:
        try:
            output = interpreter.query_bundle_entrypoint(built, name)
            result = (
                output.ok() and bool(output.results) and output.results[0].expressions == [True]
            )
        except (RegoError, ValueError):
            result = None
        sys.stdout.write(json.dumps([name, result]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
