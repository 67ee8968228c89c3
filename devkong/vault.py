"""Vault references in a plugin's configuration: `{vault://env/openai-key}`.

Only the `env` vault exists here: the name is upper-cased and its dashes become underscores. A
reference that leads nowhere becomes an empty string with a warning, as in Kong 3.9, which starts
all the same (kong/pdk/vault.lua, `update_from_cache`).
"""

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"^\{vault://([^/}]+)/([^/}?]+)(?:/([^}?]+))?(?:\?[^}]*)?\}$")

_log = logging.getLogger("devkong.vault")


def is_reference(value: object) -> bool:
    """Whether a value is a vault reference."""
    return isinstance(value, str) and _REFERENCE.match(value) is not None


class Vault:
    """Looks references up in an environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def resolve(self, reference: str) -> str:
        """The secret behind a reference; `""` with a warning when there is none.

        A path behind the name picks a property of a secret that is a JSON object:
        `{vault://env/providers/openai}`.
        """
        match = _REFERENCE.match(reference)
        secret = self._lookup(match[1], match[2], match[3]) if match else None
        if secret is None:
            _log.warning("error updating secret reference %s: not found", reference)
        return secret or ""

    def _lookup(self, vault: str, name: str, key: str | None) -> str | None:
        if vault != "env":
            _log.warning("devkong has no vault %r, only env", vault)
            return None
        secret = self._environment.get(name.upper().replace("-", "_"))
        if secret is None or key is None:
            return secret
        try:
            properties: Any = json.loads(secret)
        except ValueError:
            return None
        value = properties.get(key) if isinstance(properties, dict) else None
        return value if isinstance(value, str) else None


class Unopened(Vault):
    """Leaves references as they are: what the Admin API shows."""

    def __init__(self) -> None:
        super().__init__({})

    def resolve(self, reference: str) -> str:
        """The reference itself."""
        return reference
