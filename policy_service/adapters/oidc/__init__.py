"""Tokens of OpenID providers: who is trusted, their keys, and the proof."""

from policy_service.adapters.oidc.issuers import Issuer, read_issuers
from policy_service.adapters.oidc.tokens import OidcTokens

__all__ = ["Issuer", "OidcTokens", "read_issuers"]
