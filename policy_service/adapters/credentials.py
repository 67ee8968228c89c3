"""The providers' credentials: found by name in the settings, proved as the deployment asks."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from llm_core.apis.ask import Exchange
from llm_core.catalogue import Auth, Deployment
from llm_core.errors import ProviderUnavailable
from policy_service.adapters.google_service_account import GoogleServiceAccounts
from policy_service.ports.clock import Clock

if TYPE_CHECKING:
    from policy_service.adapters.aws_signing import AwsSigner

_log = logging.getLogger(__name__)


class ProviderCredentials:
    """Implements `Credentials`.

    Args:
        secret: Looks a provider's secret up by its name.
        clock: Signatures carry the time.
    """

    def __init__(self, secret: Callable[[str], str | None], clock: Clock) -> None:
        self._secret = secret
        self._clock = clock
        self._aws: AwsSigner | None = None
        self._google = GoogleServiceAccounts()

    async def headers(self, deployment: Deployment, exchange: Exchange) -> Mapping[str, str]:
        """Find the secret and prove it; see `Credentials.headers`."""
        if deployment.auth is Auth.AWS_SIGV4:
            # Without a name, AWS's own chain says who we are: the machine's role, for example.
            secret = self._named(deployment) if deployment.credential else None
            signer = self._aws or await self._load_aws()
            return await signer.headers(secret, deployment, exchange.request, self._clock())
        if deployment.credential is None:
            return {}
        secret = self._named(deployment)
        if deployment.auth is Auth.GOOGLE_SERVICE_ACCOUNT:
            return await self._google.headers(secret, self._clock())
        return exchange.credential_headers(secret)

    async def close(self) -> None:
        """Let go of the connections to token servers."""
        await self._google.close()

    async def _load_aws(self) -> "AwsSigner":
        # botocore is a tenth of a second and some megabytes, which most never need.
        made = await asyncio.to_thread(_aws_signer)
        self._aws = self._aws or made
        return self._aws

    def _named(self, deployment: Deployment) -> str:
        name = deployment.credential or ""
        secret = self._secret(name)
        if not secret:
            _log.error(
                "no credential %r for deployment %s: set POLICY_CREDENTIALS__%s",
                name,
                deployment.id,
                name.upper(),
            )
            raise ProviderUnavailable("The gateway holds no credential for this model's provider.")
        return secret


def _aws_signer() -> "AwsSigner":
    from policy_service.adapters.aws_signing import AwsSigner  # noqa: PLC0415

    return AwsSigner()
