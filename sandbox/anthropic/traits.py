"""What differs between Claude's generations.

Source:
    https://platform.claude.com/docs/en/about-claude/models/migration-guide and
    https://platform.claude.com/docs/en/api/errors (checked 2026-11-20)
"""

import re

NO_SAMPLING_VERSION = "2026-10-21"
"""The API version from which no model takes `temperature`, `top_p` and `top_k`.

Source:
    https://platform.claude.com/docs/en/api/migration-2026-10-21 (checked 2026-11-20)
"""

_ADAPTIVE_ONLY = re.compile(
    r"claude-(opus-4-[789]|(opus|sonnet|haiku|fable|mythos)-[5-9](-|$)|mythos-preview)"
)


def is_adaptive_only(model: str) -> bool:
    """Whether the model takes no sampling parameters, no thinking budget and no prefill.

    So it is from Claude Opus 4.7 on; a name that is not known counts as older.
    """
    return _ADAPTIVE_ONLY.match(model) is not None
