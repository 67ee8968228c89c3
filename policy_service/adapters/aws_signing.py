"""Signs requests to Amazon Bedrock with AWS's Signature Version 4, by botocore.

Source:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
    (checked 2026-11-20)
"""

import asyncio
import logging
import re
import threading
from datetime import UTC, datetime
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials, ReadOnlyCredentials  # type: ignore[import-untyped]
from botocore.session import Session  # type: ignore[import-untyped]

from llm_core.catalogue import Deployment
from llm_core.errors import ProviderUnavailable
from llm_core.providers.translator import ProviderRequest

_log = logging.getLogger(__name__)

_SERVICE = "bedrock"
_REGION = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.(?P<region>[a-z0-9-]+)\.")
# No part may hold what a header cannot carry.
_SECRET = re.compile(
    r"(?P<key_id>[A-Za-z0-9]+):(?P<secret>[!-9;-~]+)(?::(?P<token>[!-~]+))?", re.ASCII
)


class AwsSigner:
    """Gives the headers that prove who calls; one instance serves all deployments.

    AWS's own chain of credentials (environment, profile, web identity, container, instance role) is
    looked through when it is first needed; botocore keeps what it finds and renews it in time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._chain: Credentials | None = None

    async def headers(
        self, secret: str | None, deployment: Deployment, request: ProviderRequest, now: datetime
    ) -> dict[str, str]:
        """Sign a request as it is going to be sent; nothing that is signed may change after.

        Args:
            secret: `ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]`; `None` for AWS's own chain.
            deployment: Says the region, or its host does.
            request: Sent as POST.
            now: AWS refuses a signature that is more than five minutes off.

        Returns:
            `authorization`, `x-amz-date`, and `x-amz-security-token` for a session.

        Raises:
            ProviderUnavailable: There is no credential or no region; no secret is quoted.
        """
        region = _region(deployment)
        if secret is not None:
            return _signed(_static(secret), region, request, now)
        # A web identity or an instance's role is fetched over the network, and may be long in it.
        found = await asyncio.to_thread(self._from_chain)
        return _signed(found, region, request, now)

    def _from_chain(self) -> ReadOnlyCredentials:
        try:
            with self._lock:
                if self._chain is None:
                    self._chain = Session().get_credentials()
                chain = self._chain
            if chain is not None:
                return chain.get_frozen_credentials()
            _log.error("AWS's chain of credentials is empty")
        except Exception as fault:  # noqa: BLE001 - every source fails in its own way
            # Its text may quote an answer of the metadata service.
            _log.error("AWS's chain of credentials failed: %s", type(fault).__name__)
        raise ProviderUnavailable("The gateway has no AWS credentials for this model's provider.")


def _static(secret: str) -> ReadOnlyCredentials:
    parts = _SECRET.fullmatch(secret)
    if parts is None:
        _log.error("an AWS credential is not ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]")
        raise ProviderUnavailable("The gateway's AWS credentials cannot be read.")
    return ReadOnlyCredentials(parts["key_id"], parts["secret"], parts["token"])


def _region(deployment: Deployment) -> str:
    if deployment.signing_region:
        return deployment.signing_region
    named = _REGION.search(urlsplit(deployment.base_url).hostname or "")
    if named is None:
        _log.error("deployment %s: set signing_region, its host names none", deployment.id)
        raise ProviderUnavailable("The gateway does not know this provider's AWS region.")
    return named["region"]


def _signed(
    credentials: ReadOnlyCredentials, region: str, request: ProviderRequest, now: datetime
) -> dict[str, str]:
    timestamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": timestamp}
    if credentials.token:
        added["x-amz-security-token"] = credentials.token
    # Signed beside `host`: what is sent as it stands. A proxy may put its own `accept` in.
    kept = {k: v for k, v in request.headers.items() if k == "content-type"}
    signing = AWSRequest(
        method="POST", url=request.url, headers={**kept, **added}, data=request.body
    )
    # `add_auth` would take the time from the machine's clock; these are the steps it takes. The
    # path is percent-encoded once more in them, as every service but S3 wants it.
    signing.context["timestamp"] = timestamp
    auth = SigV4Auth(credentials, _SERVICE, region)
    signature = auth.signature(
        auth.string_to_sign(signing, auth.canonical_request(signing)), signing
    )
    names = auth.signed_headers(auth.headers_to_sign(signing))
    return {
        **added,
        "authorization": (
            f"AWS4-HMAC-SHA256 Credential={auth.scope(signing)}, "
            f"SignedHeaders={names}, Signature={signature}"
        ),
    }
