"""Everything the policy service can be told, read once from the environment and passed in."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from llm_core.routing.breaker import BreakerRules
from policy_service.ports.policy import EmbeddedEngine

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
        populate_by_name=True,
        # A refused setting would else be quoted in the error, secrets and all.
        hide_input_in_errors=True,
    )

    internal_secret: SecretStr = Field(
        description="Shared with the Kong plugins (`policy_secret`); authenticates their calls."
    )
    ticket_secret: SecretStr = Field(description="Signs the tickets that the relay asks for.")
    admin_token: SecretStr | None = Field(
        default=None,
        description="The root token: may do what a `platform_admin` may. Leave it out once people "
        "sign in or admin tokens are issued.",
    )
    models_file: Path = Field(description="The model catalogue, YAML.")

    database_url: str = Field(
        repr=False,
        default="sqlite+aiosqlite:///gatehouse.db",
        description="SQLite for one process, `postgresql+asyncpg://...` for more.",
    )
    redis_url: str | None = Field(
        repr=False,
        default=None,
        description="`redis://...`, `redis+sentinel://...` or `redis+cluster://...` "
        "(docs/scaling.md); without it limits live in this one process.",
    )
    opa_url: str | None = Field(
        repr=False,
        default=None,
        description="An OPA server; without it the embedded engine decides.",
    )
    embedded_engine: EmbeddedEngine = Field(
        default=EmbeddedEngine.AUTO,
        description="`wasm` has `opa` compile the rules at the start; `auto` where it is there.",
    )
    opa_push: bool = Field(
        default=False,
        description="Upload the policy to the OPA server; otherwise OPA has loaded it as a bundle.",
    )
    rego_dir: Path | None = Field(
        default=None, description="The policy bundle's folder; the one that ships by default."
    )
    fallback: Literal["closed", "embedded"] = Field(
        default="closed",
        description="What decides while OPA cannot be asked: nobody (503), or the embedded engine "
        "with the live policy.",
    )
    bundle_keys: Path | None = Field(
        default=None,
        description="Who may sign policies: a public key, PEM, or a folder of `*.pem`. Without it "
        "no bundle can be uploaded or become live.",
    )
    bundle_token: SecretStr | None = Field(
        default=None,
        description="The bearer token with which OPA servers fetch the live bundle; without it "
        "none is handed out.",
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

    failed_keys_per_minute: int = Field(
        default=30,
        ge=0,
        description="So many different keys or tokens from one client address may prove nothing "
        "within a minute, in one process; then that address gets 429 for the rest of it, but for "
        "keys known as good. 0 is no limit. For routes whose `llm-auth` has `sends_source_ip`.",
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
    request_timeout_s: float = Field(
        default=60.0,
        gt=0,
        description="Longest a client may take to send a request's headers, and its body; then it "
        "gets 408, or is hung up on.",
    )
    first_byte_timeout_s: float = Field(
        default=60.0, gt=0, description="Longest wait for a provider's first byte, at most."
    )
    idle_timeout_s: float = Field(
        default=60.0, gt=0, description="Longest silence inside a provider's stream."
    )
    total_timeout_s: float = Field(
        default=600.0,
        gt=0,
        description="Longest a relayed call may take, all tries together; a route may shorten it.",
    )

    breaker_failures_in_a_row: int = Field(
        default=5, ge=1, description="So many failures one after another open a breaker."
    )
    breaker_failure_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="This share of failures among the recent calls opens a breaker.",
    )
    breaker_min_calls: int = Field(
        default=20, ge=1, description="How many recent calls there must be for the share to count."
    )
    breaker_window_s: float = Field(
        default=30.0, gt=0, description="How far back a call is recent for the share."
    )
    breaker_open_s: float = Field(
        default=5.0,
        gt=0,
        description="How long a breaker stays open; twice as long after each failed trial.",
    )
    breaker_max_open_s: float = Field(
        default=300.0, gt=0, description="Longest that a breaker stays open after failures."
    )
    breaker_max_retry_after_s: float = Field(
        default=60.0, ge=0, description="A provider's `Retry-After` is heeded up to this."
    )
    breaker_trial_s: float = Field(
        default=10.0,
        gt=0,
        description="How long a half-open breaker waits for the outcome of its one trial.",
    )
    breakers_kept_days: int = Field(
        default=365, ge=1, le=36_500, description="So many days the history of breakers is kept."
    )
    probe_interval_s: float = Field(
        default=30.0,
        gt=0,
        description="How often deployments with `is_probed` are asked how they are.",
    )

    cache_redis_url: str | None = Field(
        repr=False,
        default=None,
        description="Another Redis for the response cache, which may evict; `POLICY_REDIS_URL` "
        "by default. Without either the cache lives in this one process.",
    )
    cache_memory_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=0,
        description="Without Redis: so much may all kept answers take together.",
    )
    cache_max_answer_bytes: int = Field(
        default=1024 * 1024, ge=0, description="A longer answer is not kept."
    )
    cache_wait_s: float = Field(
        default=30.0,
        gt=0,
        description="Longest wait for the answer to the same question that is under way already.",
    )
    semantic_cache_model: str | None = Field(
        default=None,
        description="An embedding model of the catalogue, for routes with `cache_similarity`. "
        "Needs Redis 8.",
    )

    screening_workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that look at words, each with 120 MB; the first starts with the "
        "first call that policy has screened.",
    )
    screening_timeout_s: float = Field(
        default=5.0,
        gt=0,
        description="Longest wait for the screening of a call's words, and 10 s more for each MB; "
        "after it the call is refused.",
    )

    usage_kept_months: int | None = Field(
        default=None,
        ge=2,
        description="So many months before the current one keep their calls in the ledger; older "
        "calls are dropped, their hourly sums stay. Without it nothing is dropped.",
    )

    content_keys: dict[str, str] = Field(
        default_factory=dict,
        description="Which secret holds an organisation's keys for the content log, "
        "`POLICY_CONTENT_KEYS__ACME=content_acme`; `DEFAULT` is for all others. The secret is one "
        "of `POLICY_CREDENTIALS` or of `POLICY_CREDENTIALS_DIR`.",
    )
    content_part_bytes: int = Field(
        default=1024 * 1024,
        gt=0,
        description="A longer question or answer is cut in the content log.",
    )
    content_waiting_bytes: int = Field(
        default=64 * 1024 * 1024,
        gt=0,
        description="So much may wait in this process to be written into the content log; what "
        "comes beyond it is lost.",
    )
    content_kept_days: int | None = Field(
        default=None,
        ge=1,
        description="No words are kept longer, whatever policy says.",
    )

    budget_thresholds: Annotated[tuple[int, ...], NoDecode] = Field(
        default=(50, 80, 100),
        description="At so many percent of a budget or a day's tokens people are told, once in "
        "its period; separated by commas, empty for never.",
    )
    alert_webhook_url: SecretStr | None = Field(
        default=None,
        description="Where incidents, such as budgets that run out, and requests for approval are "
        "posted as JSON; beside the channels of `POLICY_ALERTS_FILE`.",
    )
    alert_webhook_secret: SecretStr | None = Field(
        default=None, description="Signs what is posted to `POLICY_ALERT_WEBHOOK_URL`."
    )
    alerts_file: Path | None = Field(
        default=None,
        description="Who is told of incidents, by which way and when, and when something is one: "
        "YAML. Without it everything is looked for, with the default rules.",
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="The mail server for scheduled reports: `smtp://user:password@host:587`, "
        "`smtps://host`; a password is sent over TLS only, unless the address ends with "
        "`?tls=none`. Without it no e-mail is sent.",
    )
    smtp_from: str | None = Field(
        default=None,
        description="Whom e-mail comes from, `Gatehouse <gatehouse@acme.example>`.",
    )
    report_webhooks: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Where scheduled reports may be posted, by name, "
        "`POLICY_REPORT_WEBHOOKS__FINANCE=https://...`; a schedule names it "
        "`webhook:finance`.",
    )
    report_webhook_secrets: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Signs what is posted to the webhook of the same name in "
        "`POLICY_REPORT_WEBHOOKS`, `POLICY_REPORT_WEBHOOK_SECRETS__FINANCE=...`.",
    )
    approval_ask_days: int = Field(
        default=14,
        ge=1,
        le=365,
        description="After so many days a request for approval that nobody answered expires.",
    )
    approval_remind_h: float = Field(
        default=24.0,
        gt=0,
        description="A request for approval that nobody has answered for so many hours is reminded "
        "of, once.",
    )
    approval_ending_h: float = Field(
        default=24.0,
        gt=0,
        description="So many hours before its end it is told, once, that an approval ends.",
    )

    digest_key: SecretStr | None = Field(
        default=None,
        description="Keys the digests that the ledger and the logs keep of questions and answers; "
        "made from `POLICY_TICKET_SECRET` by default. Digests made with another key do not match.",
    )
    digest_key_file: Path | None = Field(
        default=None, description="The file that holds it, in place of `POLICY_DIGEST_KEY`."
    )
    decisions_kept_days: int | None = Field(
        default=None,
        ge=1,
        description="So many days the decision log keeps what policy was asked; then only what was "
        "decided stays. Without it nothing is dropped.",
    )
    audit_key_file: Path | None = Field(
        default=None,
        description="Signs the audit chain's checkpoints: an Ed25519 private key, PEM, from "
        "`gatehouse audit keys`. Without it the chain is kept, and not sealed.",
    )
    audit_checkpoint_events: int = Field(
        default=1000, ge=1, description="A chain gets a checkpoint after so many events at most."
    )
    audit_checkpoint_s: float = Field(
        default=60.0,
        gt=0,
        description="A chain that has grown gets a checkpoint when the last is so old.",
    )
    audit_ship: Annotated[tuple[str, ...], NoDecode] = Field(
        repr=False,
        default=(),
        description="Where the audit chain is sent on to, separated by commas: "
        "`file:///var/log/gatehouse-audit.jsonl`, `https://...` (a webhook), "
        "`syslog+udp://host:514`, `syslog+tcp://host:601`, `syslog+unix:///dev/log`.",
    )
    audit_webhook_secret: SecretStr | None = Field(
        default=None, description="Signs what is sent to a webhook of `POLICY_AUDIT_SHIP`."
    )

    oidc_file: Path | None = Field(
        default=None,
        description="The trusted issuers of OIDC tokens, YAML; without it tokens prove nothing.",
    )
    oidc_admin_roles: bool = Field(
        default=False,
        description="Let the roles `platform_admin` and `auditor` in a token's claims count for "
        "the whole platform. Every issuer in the file that is `is_home` can then make "
        "administrators.",
    )
    sign_in_issuer: str | None = Field(
        default=None,
        description="Where people sign in for `gatehouse login`: an issuer of the OIDC file.",
    )
    sign_in_client_id: str | None = Field(
        default=None,
        description="The public client for `gatehouse login`; it needs PKCE and loopback "
        "redirects.",
    )
    sign_in_scopes: str = Field(
        default="openid email profile", description="What `gatehouse login` asks the issuer for."
    )

    metrics_token: SecretStr | None = Field(
        default=None,
        description="The bearer token with which Prometheus scrapes `GET /metrics`; without it, "
        "and without `POLICY_METRICS_OPEN`, nothing is counted.",
    )
    metrics_open: bool = Field(
        default=False,
        description="Let whoever reaches the port scrape `GET /metrics` without a token.",
    )
    metrics_teams: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="So many teams, the first that come, are told apart in metrics, by the label "
        "`consumer`; all others are `other`. 0 tells none apart.",
    )
    otlp_endpoint: str | None = Field(
        repr=False,
        default=None,
        validation_alias=AliasChoices("POLICY_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="Where traces go: a collector's base URL for OTLP over HTTP, such as "
        "`http://127.0.0.1:4318`; `OTEL_EXPORTER_OTLP_ENDPOINT` says it too. Without it nothing "
        "is traced.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="How log lines are written: `json` is an object a line."
    )

    @field_validator("budget_thresholds", mode="before")
    @classmethod
    def _split_by_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("audit_ship", mode="before")
    @classmethod
    def _split_sinks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("budget_thresholds")
    @classmethod
    def _refuse_odd_percents(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(percent <= 0 for percent in value):
            raise ValueError("a threshold is a whole number of percent above zero")
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _refuse_weak_secrets(self) -> Self:
        known: dict[str, str] = {}
        named: dict[str, SecretStr | None] = {
            f"report_webhook_secrets__{name}": secret
            for name, secret in self.report_webhook_secrets.items()
        }
        named |= {
            name: getattr(self, name)
            for name in (
                "internal_secret",
                "ticket_secret",
                "admin_token",
                "bundle_token",
                "digest_key",
                "audit_webhook_secret",
                "alert_webhook_secret",
                "metrics_token",
            )
        }
        for name, secret in named.items():
            if secret is None:
                continue
            value = secret.get_secret_value()
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

    @model_validator(mode="after")
    def _refuse_half_a_sign_in(self) -> Self:
        if (self.sign_in_issuer is None) is not (self.sign_in_client_id is None):
            raise ValueError(
                "POLICY_SIGN_IN_ISSUER and POLICY_SIGN_IN_CLIENT_ID go together: set both or none"
            )
        return self

    @model_validator(mode="after")
    def _refuse_half_a_mail_server(self) -> Self:
        if (self.smtp_url is None) is not (self.smtp_from is None):
            raise ValueError("POLICY_SMTP_URL and POLICY_SMTP_FROM go together: set both or none")
        return self

    @model_validator(mode="after")
    def _refuse_secrets_of_no_webhook(self) -> Self:
        known = {name.lower() for name in self.report_webhooks}
        for name in self.report_webhook_secrets:
            if name.lower() not in known:
                raise ValueError(
                    f"POLICY_REPORT_WEBHOOK_SECRETS__{name.upper()} signs nothing: there is no "
                    f"POLICY_REPORT_WEBHOOKS__{name.upper()}"
                )
        return self

    @property
    def has_metrics(self) -> bool:
        """Whether anybody may scrape what is counted."""
        return self.metrics_open or self.metrics_token is not None

    @property
    def breaker_rules(self) -> BreakerRules:
        """When breakers open, and for how long."""
        return BreakerRules(
            failures_in_a_row=self.breaker_failures_in_a_row,
            failure_share=self.breaker_failure_share,
            min_calls=self.breaker_min_calls,
            window_s=self.breaker_window_s,
            open_s=self.breaker_open_s,
            max_open_s=self.breaker_max_open_s,
            max_retry_after_s=self.breaker_max_retry_after_s,
        )

    @property
    def digest_secret(self) -> str:
        """What keyed digests are made with.

        Raises:
            ValueError: The file that is to hold it cannot be read, or holds too little.
        """
        if self.digest_key is not None:
            return self.digest_key.get_secret_value()
        if self.digest_key_file is None:
            return self.ticket_secret.get_secret_value()
        try:
            found = self.digest_key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as fault:
            raise ValueError(f"{self.digest_key_file} cannot be read") from fault
        if len(found) < MIN_SECRET_CHARS:
            raise ValueError(
                f"{self.digest_key_file} holds less than {MIN_SECRET_CHARS} characters"
            )
        return found

    def credential(self, name: str) -> str | None:
        """Look a provider's secret up by its name in the catalogue."""
        if name in self.credentials:
            return self.credentials[name].get_secret_value()
        if self.credentials_dir is not None and (path := self.credentials_dir / name).is_file():
            return path.read_text(encoding="utf-8").strip()
        return None
