"""Write the outputs of all golden cases anew: `python -m tests.golden.rewrite`. Review the diff."""

import json

from tests.golden.cases import all_cases


def main() -> None:
    """Rewrite every output file."""
    for case in all_cases():
        for name, content in case.outputs().items():
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            (case.folder / name).write_text(text)


if __name__ == "__main__":
    main()
