"""Signing users in: the port to a provider's consent page and to the code that comes back from it."""

from datetime import datetime
from typing import Protocol, runtime_checkable

import httpx

from service.core.credentials import OAuthClient, TokenGrant
from service.providers.protocol import Account


class Login(Protocol):
    """One provider's authorization code flow (RFC 6749, 4.1, with PKCE).

    What is connected are the account's calendars, unless it is an `AccountLogin`. `origin` is `https://host` of the
    consent page.
    """

    name: str
    origin: str

    def page(self, client: OAuthClient) -> str:
        """The consent page for users of this client."""
        ...

    async def exchange(
        self,
        http: httpx.AsyncClient,
        client: OAuthClient,
        code: str,
        *,
        redirect_uri: str,
        verifier: str | None,
        now: datetime,
    ) -> TokenGrant:
        """The grant behind a code, which is good once, and for minutes.

        Raises GrantRejected (the code, its redirect_uri or its verifier), ClientRejected, ScopeMissing, PolicyForbids,
        RequestRefused, Throttled or TransientFault.
        """
        ...


@runtime_checkable
class AccountLogin(Login, Protocol):
    """A login to something that has no calendars, which would tell whose account it is."""

    async def account(self, http: httpx.AsyncClient, access_token: str, now: datetime) -> Account:
        """Whose account it is. Raises ProviderError."""
        ...


def code_form(client: OAuthClient, code: str, redirect_uri: str, verifier: str | None) -> dict[str, str]:
    """What a token endpoint is sent for a code (RFC 6749, 4.1.3; RFC 7636, 4.5)."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "redirect_uri": redirect_uri,
    }
    return form if verifier is None else {**form, "code_verifier": verifier}
