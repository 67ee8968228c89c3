"""The signer against botocore's own client: the same request must get the same signature."""

import logging
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import botocore.auth
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config

from llm_core.catalogue import Auth, Deployment, ProviderKind
from llm_core.errors import ProviderUnavailable
from llm_core.providers.translator import ProviderRequest
from policy_service.adapters.aws_signing import AwsSigner

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SECRET = "AKIAEXAMPLE00000000:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc123"
BASE = "https://bedrock-runtime.eu-central-1.amazonaws.com"


def deployed(**facts: Any) -> Deployment:
    known = {"id": "d", "provider": ProviderKind.BEDROCK, "model": "m", "base_url": BASE}
    return Deployment(**{**known, "auth": Auth.AWS_SIGV4, **facts})


def asked(path: str = "/model/m/converse", base: str = BASE) -> ProviderRequest:
    return ProviderRequest(
        url=f"{base}{path}",
        headers={"content-type": "application/json", "accept": "application/json"},
        body=b'{"messages": []}',
    )


async def sign(secret: str | None = SECRET, request: ProviderRequest | None = None) -> str:
    headers = await AwsSigner().headers(secret, deployed(), request or asked(), NOW)
    return headers["authorization"]


class _SentByBoto(Exception):
    """Stops the client before it sends."""


def boto_signs(model: str, token: str | None, monkeypatch: pytest.MonkeyPatch) -> AWSRequest:
    """What the vendor's own client signs for a call of Converse at `NOW`."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)
    key_id, secret = SECRET.split(":")
    client = botocore.session.Session().create_client(
        "bedrock-runtime",
        region_name="eu-central-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"max_attempts": 0}),
    )
    seen: list[AWSRequest] = []

    def stop(request: AWSRequest, **_: Any) -> None:
        seen.append(request)
        raise _SentByBoto

    client.meta.events.register("before-send.bedrock-runtime.Converse", stop)
    with pytest.raises(_SentByBoto):
        client.converse(modelId=model, messages=[{"role": "user", "content": [{"text": "hi"}]}])
    return seen[0]


@pytest.mark.parametrize("token", [None, "FwoGZXIvYXdzEXAMPLE/token+=="])
@pytest.mark.parametrize("model", ["eu.anthropic.claude-sonnet-4-5-20250929-v1:0", ARN])
async def test_the_vendor_s_client_signs_the_same_request_alike(
    model: str, token: str | None, monkeypatch: pytest.MonkeyPatch
):
    boto = boto_signs(model, token, monkeypatch)
    theirs = {
        name.lower(): value.decode() if isinstance(value, bytes) else value
        for name, value in boto.headers.items()
    }
    request = ProviderRequest(
        url=boto.url, headers={"content-type": theirs["content-type"]}, body=boto.body
    )
    secret = SECRET if token is None else f"{SECRET}:{token}"
    ours = await AwsSigner().headers(secret, deployed(), request, NOW)
    names = theirs["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert names in ours["authorization"]
    assert ours == {name: theirs[name] for name in ours}


async def test_a_colon_and_a_slash_in_a_model_s_id_are_encoded_twice_in_what_is_signed():
    """Each form of the path has a signature of its own; the service computes the first one."""
    encoded = await sign(request=asked("/model/a%3A0%2Fb/converse"))
    bare = await sign(request=asked("/model/a:0/b/converse"))
    assert encoded != bare


async def test_the_time_is_the_one_given_in_utc():
    headers = await AwsSigner().headers(
        SECRET, deployed(), asked(), NOW.astimezone(timezone(timedelta(hours=2)))
    )
    assert headers["x-amz-date"] == "20261120T120000Z"
    assert "x-amz-security-token" not in headers


@pytest.mark.parametrize(
    ("facts", "region"),
    [
        ({}, "eu-central-1"),
        ({"base_url": "https://bedrock-runtime-fips.us-east-1.amazonaws.com"}, "us-east-1"),
        ({"base_url": "https://vpce-1.bedrock-runtime.us-west-2.vpce.amazonaws.com"}, "us-west-2"),
        ({"base_url": "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"}, "cn-north-1"),
        ({"base_url": "http://127.0.0.1:9/bedrock", "signing_region": "ap-south-1"}, "ap-south-1"),
        ({"signing_region": "us-east-2"}, "us-east-2"),
    ],
)
async def test_the_region_is_the_deployment_s_or_the_host_s(facts: dict[str, Any], region: str):
    headers = await AwsSigner().headers(SECRET, deployed(**facts), asked(), NOW)
    assert f"/20261120/{region}/bedrock/aws4_request" in headers["authorization"]


async def test_without_a_region_nothing_is_signed():
    with pytest.raises(ProviderUnavailable, match="region"):
        await AwsSigner().headers(SECRET, deployed(base_url="https://proxy.local"), asked(), NOW)


@pytest.mark.parametrize(
    "secret", ["", "AKIAONLY", "AKIA X:secret", "AKIAX:secret\r\nx-evil: 1", "AKIAX:sécret", ":x"]
)
async def test_a_credential_that_cannot_be_read_is_refused_and_not_quoted(
    secret: str, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG), pytest.raises(ProviderUnavailable) as refused:
        await sign(secret)
    for said in (refused.value.public_message, caplog.text):
        assert not secret or secret not in said


async def test_without_a_secret_aws_s_own_chain_is_asked_once(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMCHAIN000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "chain-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "chain-token")
    signer = AwsSigner()
    headers = await signer.headers(None, deployed(), asked(), NOW)
    assert "Credential=AKIAFROMCHAIN000000/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "chain-token"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    again = await signer.headers(None, deployed(), asked(), NOW)
    assert again == headers


async def test_an_empty_chain_is_a_provider_that_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ProviderUnavailable, match="no AWS credentials"):
        await sign(None)
