"""Everything the policy service can be told, read once from the environment and passed in."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_SECRET_CHARS = 16
_PLACEHOLDERS = ("change-me", "changeme", "secret", "example", "placeholder")


class Settings(BaseSettings):
    """Settings of the policy service; every one can be set as `POLICY_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix="POLICY_",
        env_nested_delimiter="__",
        env_file=None,
        extra="ignore",
        frozen=True,
        # A refused setting would else be quoted in the error, secrets and all.
        hide_input_in_errors=True,
    )

    internal_secret: SecretStr = Field(
        description="Shared with the Kong plugins (`policy_secret`); authenticates their calls."
    )
    ticket_secret: SecretStr = Field(description="Signs the tickets that the relay asks for.")
    admin_token: SecretStr = Field(description="Lets the dashboard and automation read usage.")
    models_file: Path = Field(description="The model catalogue, YAML.")

    database_url: str = Field(
        default="sqlite+aiosqlite:///gatehouse.db",
        description="SQLite for one process, `postgresql+asyncpg://...` for more.",
    )
    redis_url: str | None = Field(
        default=None,
        description="`redis://...`; without it limits live in this one process.",
    )
    opa_url: str | None = Field(
        default=None, description="An OPA server; without it the embedded engine decides."
    )
    opa_push: bool = Field(
        default=False,
        description="Upload the policy to the OPA server; otherwise OPA has loaded it as a bundle.",
    )
    rego_dir: Path | None = Field(
        default=None, description="The policy bundle's folder; the one that ships by default."
    )
    prices_dir: Path | None = Field(
        default=None, description="Folder of contract prices (*.yaml); the shipped one by default."
    )
    credentials: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Provider credentials by name, `POLICY_CREDENTIALS__OPENAI=sk-...`.",
    )
    credentials_dir: Path | None = Field(
        default=None, description="Folder with one secret per file, named as the credential."
    )

    ticket_ttl_s: float = Field(
        default=30.0, gt=0, le=300, description="How long a ticket waits for its request."
    )
    lease_s: float = Field(
        default=300.0,
        ge=1,
        description="How long a reservation waits for its usage before the estimate is charged.",
    )
    sweep_interval_s: float = Field(
        default=2.0, gt=0, description="How often overdue reservations are looked for."
    )
    opa_timeout_s: float = Field(default=1.0, gt=0, description="Longest wait for OPA.")
    max_body_bytes: int = Field(
        default=16 * 1024 * 1024, gt=0, description="Longest request body the relay takes."
    )
    first_byte_timeout_s: float = Field(
        default=60.0, gt=0, description="Longest wait for a provider's first byte, at most."
    )
    idle_timeout_s: float = Field(
        default=60.0, gt=0, description="Longest silence inside a provider's stream."
    )

    @model_validator(mode="after")
    def _refuse_weak_secrets(self) -> Self:
        known: dict[str, str] = {}
        for name in ("internal_secret", "ticket_secret", "admin_token"):
            value = getattr(self, name).get_secret_value()
            if len(value) < MIN_SECRET_CHARS or value.lower().startswith(_PLACEHOLDERS):
                raise ValueError(
                    f"POLICY_{name.upper()} is too weak: use at least {MIN_SECRET_CHARS} random "
                    "characters, for example from `openssl rand -hex 32`"
                )
            if value in known:
                raise ValueError(
                    f"POLICY_{known[value].upper()} and POLICY_{name.upper()} must differ"
                )
            known[value] = name
        return self

    def credential(self, name: str) -> str | None:
        """Look a provider's secret up by its name in the catalogue."""
        if name in self.credentials:
            return self.credentials[name].get_secret_value()
        if self.credentials_dir is not None and (path := self.credentials_dir / name).is_file():
            return path.read_text(encoding="utf-8").strip()
        return None
