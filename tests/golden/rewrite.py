"""Write the outputs of golden cases anew: `python -m tests.golden.rewrite`. Review the diff.

All of them, or those of the folders that are named: `... tests.golden.rewrite vertex openai/image`.
"""

import json
import sys
from collections.abc import Sequence

from tests.golden.cases import Case, all_cases


def main(folders: Sequence[str]) -> None:
    """Rewrite every output file.

    Args:
        folders: Providers or cases, as `vertex` or `openai/image`; none for all.

    Raises:
        SystemExit: A folder holds no case.
    """
    for case in _chosen(folders):
        for name, content in case.outputs().items():
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            (case.folder / name).write_text(text)


def _chosen(folders: Sequence[str]) -> list[Case]:
    cases = all_cases()
    names = {name for case in cases for name in (case.id, case.provider.value)}
    unknown = sorted({folder.rstrip("/") for folder in folders} - names)
    if unknown:
        raise SystemExit(f"No golden case in {', '.join(unknown)}.")
    wanted = {folder.rstrip("/") for folder in folders}
    return [case for case in cases if not wanted or {case.id, case.provider.value} & wanted]


if __name__ == "__main__":
    main(sys.argv[1:])
