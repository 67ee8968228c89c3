"""Where people sign in, told to whoever asks: the command line needs it before it has a token."""

from dataclasses import dataclass

from fastapi import APIRouter, Response

from llm_core.errors import NotServed
from policy_service.api.wire import Opened, json_answer

router = APIRouter(prefix="/v1/sign-in")


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a public client needs to begin; nothing of it is secret.

    Args:
        issuer: Its discovery document says the rest.
        client_id: A public client, by authorization code with PKCE.
        scopes: To be asked for, with spaces between.
    """

    issuer: str
    client_id: str
    scopes: str


@router.get("")
async def sign_in(opened: Opened) -> Response:
    """The identity provider, and the client for the command line."""
    settings = opened.settings
    if settings.sign_in_issuer is None or settings.sign_in_client_id is None:
        raise NotServed(
            "Nobody can sign in here: POLICY_SIGN_IN_ISSUER and POLICY_SIGN_IN_CLIENT_ID are not "
            "set. Use an admin token."
        )
    return json_answer(
        SignIn(settings.sign_in_issuer, settings.sign_in_client_id, settings.sign_in_scopes)
    )
