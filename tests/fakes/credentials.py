"""Credentials that are what the test says."""

from collections.abc import Mapping

from llm_core.apis.ask import Exchange
from llm_core.catalogue import Deployment
from llm_core.errors import ProviderUnavailable


class FakeCredentials:
    """Implements `Credentials`.

    Args:
        secrets: By the name that the catalogue gives them.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.secrets = secrets

    async def headers(self, deployment: Deployment, exchange: Exchange) -> Mapping[str, str]:
        """The header for the secret; none for a server that asks for none."""
        if deployment.credential is None:
            return {}
        secret = self.secrets.get(deployment.credential)
        if not secret:
            raise ProviderUnavailable("The relay holds no credential for this deployment.")
        return exchange.credential_headers(secret)
