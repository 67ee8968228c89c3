"""Looks at what the service reads at its start: settings, models, prices, policy, credentials."""

from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import ValidationError

from llm_core.catalogue import Auth, Catalogue, Deployment
from policy_service.adapters.catalogue_file import read_catalogue
from policy_service.adapters.policies.signing import read_trusted_keys
from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.price_list import PriceList, price_files
from policy_service.bundled import bundled
from policy_service.cli.doctor.findings import Finding, broken, good, unseen, warning
from policy_service.services.health import each_deployment
from policy_service.settings import Settings

_FAULTS = (OSError, ValueError)


def settings_and_findings() -> tuple[Settings | None, list[Finding]]:
    """Read the settings as `gatehouse serve` does; a finding for each that is at fault."""
    try:
        settings = Settings()
    except ValidationError as faults:
        return None, [
            broken(
                "settings",
                f"{_setting(fault['loc'])} {_fault(fault['type'], fault['msg'])}.",
                "Set it as docs/settings.md says, in the environment that the service starts with.",
            )
            for fault in faults.errors(include_input=False)
        ]
    found = [good("settings", "Every required setting is there and none is weak.")]
    if settings.admin_token is not None:
        found.append(
            warning(
                "settings",
                "POLICY_ADMIN_TOKEN is set: whoever has it may do everything.",
                "Leave it out once people sign in, or `gatehouse admin-tokens issue` has made "
                "tokens with fewer rights.",
            )
        )
    if settings.audit_key_file is None:
        found.append(
            warning(
                "audit",
                "POLICY_AUDIT_KEY_FILE is not set, so the audit chain is not sealed.",
                "Make a key with `gatehouse audit keys`, and name its private half there.",
            )
        )
    return settings, found


def catalogue_and_findings(settings: Settings) -> tuple[Catalogue | None, list[Finding]]:
    """Read the models' file."""
    try:
        catalogue = read_catalogue(settings.models_file)
    except _FAULTS as fault:
        return None, [broken("models", str(fault), "Mend the file that POLICY_MODELS_FILE names.")]
    count = len(list(each_deployment(catalogue)))
    what = f"Models: {len(catalogue.models)}, deployments: {count}."
    return catalogue, [good("models", what)]


def price_findings(settings: Settings, catalogue: Catalogue) -> Iterator[Finding]:
    """Whether every deployment has a price now; without one it answers nobody."""
    try:
        prices = PriceList(price_files(settings.prices_dir or bundled("prices")))
    except _FAULTS as fault:
        yield broken("prices", str(fault), "Mend the file in POLICY_PRICES_DIR.")
        return
    now = datetime.now(UTC)
    unpriced = [one for one in each_deployment(catalogue) if not _is_priced(prices, one, now)]
    for one in unpriced:
        yield broken(
            f"deployment {one.id}",
            f"{one.price_provider or one.provider_name} {one.price_model or one.model} has no "
            "price, so every call to it is refused.",
            "Add it to a file in POLICY_PRICES_DIR (prices/README.md), or name `price_model` in "
            "the models' file.",
        )
    if not unpriced:
        yield good("prices", "Every deployment has a price.")


def policy_findings(settings: Settings) -> Iterator[Finding]:
    """Whether the policy's folder loads, and whether bundles can be taken."""
    try:
        bundle = load_bundle(settings.rego_dir or bundled("rego"))
    except _FAULTS as fault:
        yield broken(
            "policy",
            f"{fault}, so nobody is served.",
            "Let POLICY_REGO_DIR name the policy's folder, or leave it out for the shipped one; "
            "`gatehouse policy test` says more about a folder.",
        )
        return
    yield good("policy", f"The folder loads, revision {bundle.revision}.")
    try:
        keys = read_trusted_keys(settings.bundle_keys)
    except _FAULTS as fault:
        yield broken(
            "policy", str(fault), "POLICY_BUNDLE_KEYS names a public key, PEM, or a folder of them."
        )
        return
    if not keys:
        yield unseen(
            "policy bundles",
            "No key is trusted, so only the folder decides.",
            "Set POLICY_BUNDLE_KEYS when compliance is to ship bundles (docs/policy-lifecycle.md).",
        )


def credential_findings(settings: Settings, catalogue: Catalogue) -> Iterator[Finding]:
    """Whether the secrets are there that the deployments name."""
    missing: dict[str, list[str]] = {}
    for one in each_deployment(catalogue):
        if one.credential is not None and not settings.credential(one.credential):
            missing.setdefault(one.credential, []).append(one.id)
    for name, ids in missing.items():
        yield broken(
            f"credential {name}",
            f"There is no such secret, so these deployments cannot be called: {', '.join(ids)}.",
            f"Set POLICY_CREDENTIALS__{name.upper()}, or put the file {name} into "
            "POLICY_CREDENTIALS_DIR.",
        )
    if not missing:
        yield good("credentials", "Every credential that a deployment names is there.")
    if any(one.auth is Auth.AWS_SIGV4 and not one.credential for one in each_deployment(catalogue)):
        yield unseen("credentials", "AWS's own chain of credentials is used for some deployments.")


def _is_priced(prices: PriceList, one: Deployment, now: datetime) -> bool:
    provider = one.price_provider or one.provider_name
    return prices.price(provider, one.price_model or one.model, now) is not None


def _fault(kind: str, said: str) -> str:
    return "is not set" if kind == "missing" else f"is not right: {said}"


def _setting(place: tuple[int | str, ...]) -> str:
    return f"POLICY_{'__'.join(map(str, place)).upper()}" if place else "The settings"
