"""Zoom's consent page, the grant behind its code (docs/integrations/oauth), and whose account it is."""

from datetime import datetime
from typing import Final

import httpx
import msgspec

from service.core.credentials import OAuthClient, TokenGrant
from service.core.hosted import origin_of
from service.errors import GrantRejected, RequestRefused, TransientFault
from service.providers.exchange import ask
from service.providers.grants import LARGEST_ANSWER
from service.providers.login import code_form
from service.providers.protocol import Account
from service.providers.zoom.answers import judge, judge_token
from service.providers.zoom.tokens import basic_of

DEADLINE: Final = 20.0


class _User(msgspec.Struct):
    id: str | None = None
    email: str | None = None


_user: Final = msgspec.json.Decoder(_User)


class ZoomLogin:
    """The login of the provider `zoom`, which has meetings and no calendars."""

    name = "zoom"

    def __init__(self, auth_url: str, token_url: str, api_url: str) -> None:
        self.origin = origin_of(auth_url)
        self._auth_url = auth_url
        self._token_url = token_url
        self._api_url = api_url.rstrip("/")

    def page(self, client: OAuthClient) -> str:  # noqa: ARG002 - one page for everybody
        return self._auth_url

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
        """The client proves itself in the header, and nowhere else."""
        form = code_form(client, code, redirect_uri, verifier)
        del form["client_id"], form["client_secret"]
        headers = {"authorization": basic_of(client)}
        answer = await ask(
            http, "POST", self._token_url, headers=headers, form=form, limit=LARGEST_ANSWER, deadline=DEADLINE
        )
        try:
            return judge_token(answer.status, answer.headers, answer.body, now)
        except RequestRefused as error:
            raise GrantRejected(error.reason) from error

    async def account(self, http: httpx.AsyncClient, access_token: str, now: datetime) -> Account:
        """GET /users/me, for which the app needs `user:read`."""
        headers = {"authorization": f"Bearer {access_token}"}
        url = f"{self._api_url}/users/me"
        answer = await ask(http, "GET", url, headers=headers, limit=LARGEST_ANSWER, deadline=DEADLINE)
        if not answer.is_good:
            raise judge(answer, now)
        try:
            user = _user.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise TransientFault("the user cannot be read") from None
        if not user.id:
            raise TransientFault("the user has no id")
        return Account(id=user.id, email=user.email.lower() if user.email and "@" in user.email else None)
