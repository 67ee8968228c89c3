"""The page on administration says what the table of roles says."""

import re
from pathlib import Path

from llm_core.policy.roles import ROLES, SEPARATED, Permission
from policy_service.keys import new_key
from policy_service.services.administrators import ADMIN_MARK

PAGE = (Path(__file__).parents[2] / "docs" / "administration.md").read_text(encoding="utf-8")


def test_the_table_of_roles_is_the_codes() -> None:
    lines = ["| Role | May |", "|---|---|"]
    for role, permitted in ROLES.items():
        shown = ", ".join(f"`{one}`" for one in sorted(permitted))
        if permitted == set(Permission) - SEPARATED:
            shown = "everything but " + ", ".join(f"`{one}`" for one in sorted(SEPARATED))
        lines.append(f"| `{role}` | {shown} |")
    table = "\n".join(lines) + "\n"
    assert f"<!-- roles: begin -->\n{table}<!-- roles: end -->" in PAGE


def test_the_pattern_for_secret_scanners_finds_admin_tokens() -> None:
    [pattern] = re.findall(r"`(ga-\[.*?\]\{\d+\})`", PAGE)
    assert all(re.fullmatch(pattern, new_key(ADMIN_MARK)) for _ in range(20))
