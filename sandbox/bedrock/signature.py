"""Checks AWS's Signature Version 4, by its description rather than by AWS's own code.

The clock is not looked at: the same request gets the same answer.

Source:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    (checked 2026-11-20)
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote

from sandbox.bedrock import errors
from sandbox.wire import KEY_PREFIX, Sent

ACCESS_KEY_ID = "AKIASANDBOX000000000"
SECRET_ACCESS_KEY = "sk-sandbox-aws-secret"  # noqa: S105 - the stand-in's, in every demo

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key_id>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)"
    r"/(?P<service>[^/]+)/aws4_request, ?SignedHeaders=(?P<names>[a-z0-9;-]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


def check_signature(headers: Mapping[str, str], sent: Sent) -> None:
    """Check a signed request.

    Args:
        headers: Lower-case names.
        sent: The request as it came over the wire.

    Raises:
        Refusal: AWS's 403.
    """
    claimed = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if claimed is None:
        raise errors.error(
            403,
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature'.",
            "IncompleteSignatureException",
        )
    token = headers.get("x-amz-security-token")
    if claimed["key_id"] != ACCESS_KEY_ID or (token and not token.startswith(KEY_PREFIX)):
        raise errors.error(
            403,
            "The security token included in the request is invalid.",
            "UnrecognizedClientException",
        )
    if claimed["service"] != "bedrock":
        raise _wrong(f"Credential should be scoped to correct service: 'bedrock'. {claimed[0]}")
    names = claimed["names"].split(";")
    needed = {"host", "x-amz-date"} | ({"x-amz-security-token"} if token else set())
    if not needed <= set(names) or names != sorted(names):
        raise _wrong("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    time = headers.get("x-amz-date", "")
    if not time.startswith(claimed["date"]):
        raise _wrong("Date in Credential scope does not match YYYYMMDD from ISO-8601 date.")
    scope = f"{claimed['date']}/{claimed['region']}/{claimed['service']}/aws4_request"
    request = _canonical_request(headers, names, sent)
    to_sign = "\n".join([_ALGORITHM, time, scope, hashlib.sha256(request.encode()).hexdigest()])
    if not hmac.compare_digest(_signature(scope, to_sign), claimed["signature"]):
        raise _wrong(
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method. Consult the service documentation for "
            "details."
        )


def _canonical_request(headers: Mapping[str, str], names: list[str], sent: Sent) -> str:
    lines = [f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names]
    query = "&".join(sorted(sent.query.split("&"))) if sent.query else ""
    return "\n".join(
        [
            sent.method,
            # Percent-encoded once more than it was sent, as every service but S3 has it.
            quote(sent.path, safe="/-_.~"),
            query,
            "".join(lines),
            ";".join(names),
            headers.get("x-amz-content-sha256") or hashlib.sha256(sent.body).hexdigest(),
        ]
    )


def _signature(scope: str, to_sign: str) -> str:
    key = f"AWS4{SECRET_ACCESS_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _wrong(message: str) -> Exception:
    return errors.error(403, message, "InvalidSignatureException")
