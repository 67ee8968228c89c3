"""Verifies an export of the audit chain. Pure: hashes only, for signatures take a public key."""

from dataclasses import dataclass

from llm_core.audit.findings import Finding
from llm_core.audit.verify import Chain, Verifier, verify_lines


@dataclass(frozen=True, slots=True)
class Report:
    """What was found; nothing is well where `findings` is empty."""

    chains: tuple[Chain, ...]
    findings: tuple[Finding, ...]


def verified(export: bytes) -> Report:
    """Look at every event of an export.

    Args:
        export: JSON Lines, as the service gives them.
    """
    verifier = Verifier(None)
    for _ in verify_lines(export.splitlines(), verifier):
        pass
    return Report(verifier.chains, verifier.finish())
