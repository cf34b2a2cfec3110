"""Authorization codes of any provider: good once, for minutes, for one redirect_uri and one PKCE verifier (RFC 7636)."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(slots=True)
class Code:
    """What a code stands for; `challenge` is None where the consent page was asked without PKCE."""

    client_id: str
    email: str
    scopes: list[str]
    redirect_uri: str
    challenge: str | None
    method: str
    expires_at: datetime
    offline: bool = True
    used: bool = False


def may_return_to(redirect_uri: str, registered: list[str]) -> bool:
    """Whether an application may be sent an answer there: letter for letter as registered.

    One that has registered nothing is an application on somebody's desktop, which listens on loopback.
    """
    if registered:
        return redirect_uri in registered
    parts = urlsplit(redirect_uri)
    return parts.scheme == "http" and parts.hostname in LOOPBACK


def is_verified(code: Code, verifier: str | None) -> bool:
    """Whether whoever brings the code is who asked for it."""
    if code.challenge is None:
        return not verifier
    if not verifier:
        return False
    if code.method == "plain":
        return verifier == code.challenge
    digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == code.challenge
