"""What is printed by accident, in a log or a traceback, shows no secret."""

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

import dashboard.settings
import devkong
import kong_plugins
import llm_core
import policy_service
from kong_plugins.llm_auth.schema import Config as AuthConfig
from kong_plugins.llm_provider_transform.schema import Config as TransformConfig
from llm_core.policy.credential import Credential
from policy_service.settings import Settings

SECRET = "s3cr3t-0123456789abcdef"

_SECRET_NAME = re.compile(
    r"(^|_)(secret|password|token|ticket|private_key|api_key|secrets|credentials)$"
)
_FIELD = re.compile(
    r"^    \w*(secret|password|token|ticket|private_key|api_key|secrets|credentials|key|keys): ",
    re.MULTILINE,
)
# By where they are: their names say nothing, but they hold keys.
HOLDERS = {
    "policy_service.api.answers.NewlyIssuedKey.key",
    "policy_service.api.answers.RotatedKey.key",
    "policy_service.cli.demo.layout.Secrets.keys",
}
NO_SECRETS = {
    "policy_service.ports.limits.QueuedRow.token",
    "policy_service.ports.audit.Waiting.token",
    "policy_service.adapters.alerts_file.EmailEntry.password",
    "policy_service.adapters.alerts_file.SlackEntry.url_secret",
    "policy_service.adapters.alerts_file.WebhookEntry.secret",
    "policy_service.adapters.alerts_file.WebhookEntry.url_secret",
}
"""Of such a name, and no secret: a place in a queue, or what a secret is called."""


def has_secrets(found: pkgutil.ModuleInfo) -> bool:
    """Whether to load a module: all of them together take half a minute."""
    spec = found.module_finder.find_spec(found.name, None)
    if spec is None or spec.origin is None:
        return False
    return _FIELD.search(Path(spec.origin).read_text(encoding="utf-8")) is not None


def classes() -> Iterator[type]:
    seen: set[type] = set()
    for package in (llm_core, kong_plugins, policy_service, devkong):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__") or not has_secrets(found):
                continue
            module = importlib.import_module(found.name)
            for value in vars(module).values():
                if isinstance(value, type) and value.__module__ == found.name:
                    seen.add(value)
    seen |= {v for v in vars(dashboard.settings).values() if isinstance(v, type)}
    assert len(seen) > 100
    yield from seen


def shown_secrets(kind: type) -> Iterator[str]:
    if dataclasses.is_dataclass(kind):
        if not kind.__repr__.__code__.co_filename.endswith("dataclasses.py"):
            return
        shown = {field.name: field.type for field in dataclasses.fields(kind) if field.repr}
    elif issubclass(kind, BaseModel):
        shown = {name: field.annotation for name, field in kind.model_fields.items() if field.repr}
    else:
        return
    for name, told in shown.items():
        where = f"{kind.__module__}.{kind.__qualname__}.{name}"
        holds_text = re.search(r"\b(str|bytes|Any)\b", str(told)) and "SecretStr" not in str(told)
        is_secret = _SECRET_NAME.search(name) or where in HOLDERS
        if holds_text and is_secret and where not in NO_SECRETS:
            yield where


def test_no_class_shows_a_secret_of_its_own():
    assert sorted(where for kind in classes() for where in shown_secrets(kind)) == []


def test_settings_show_none_of_their_secrets_nor_addresses_with_passwords():
    given: dict[str, Any] = {}
    for number, (name, field) in enumerate(sorted(Settings.model_fields.items())):
        if "SecretStr" in str(field.annotation):
            text = f"{SECRET}-{number}"
            given[name] = {"one": text} if "dict" in str(field.annotation) else text
    given |= {
        "smtp_url": f"smtps://u:{SECRET}@host",
        "smtp_from": "a@b.example",
        "models_file": "models.yaml",
        "database_url": f"postgresql+asyncpg://u:{SECRET}@host/db",
        "redis_url": f"redis://:{SECRET}@host",
        "cache_redis_url": f"redis://:{SECRET}@host",
        "opa_url": f"http://u:{SECRET}@host",
        "otlp_endpoint": f"http://u:{SECRET}@host",
        "audit_ship": f"https://host/{SECRET}",
    }
    settings = Settings.model_validate(given)
    for told in (repr(settings), str(settings), f"{settings}"):
        assert SECRET not in told
    assert isinstance(settings.internal_secret, SecretStr)


@pytest.mark.parametrize(
    "holder",
    [
        Credential(api_key=SECRET),
        Credential(token=SECRET),
        AuthConfig(policy_url="http://x", policy_secret=SECRET),
        TransformConfig(credentials={"openai": SECRET}),
    ],
    ids=lambda holder: f"{type(holder).__module__}",
)
def test_what_holds_a_secret_does_not_show_it(holder: object):
    assert SECRET not in repr(holder)
