"""Zoom's consent page, the grant behind its code (docs/integrations/oauth), and whose account it is."""

import base64
from datetime import datetime
from typing import Final

import httpx
import msgspec

from service.core.credentials import OAuthClient, TokenGrant
from service.core.hosted import origin_of
from service.errors import (
    AccessRejected,
    GrantRejected,
    ProviderError,
    RequestRefused,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.providers.exchange import Answer, ask, retry_after
from service.providers.grants import LARGEST_ANSWER, judge_refresh
from service.providers.login import code_form
from service.providers.protocol import Account

DEADLINE: Final = 20.0
_SCOPE_CODES: Final = frozenset({4700, 4711})


class _User(msgspec.Struct):
    id: str | None = None
    email: str | None = None


class _Refusal(msgspec.Struct):
    code: int | None = None


_user: Final = msgspec.json.Decoder(_User)
_refusal: Final = msgspec.json.Decoder(_Refusal)


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
        proof = base64.b64encode(f"{form.pop('client_id')}:{form.pop('client_secret')}".encode()).decode()
        headers = {"authorization": f"Basic {proof}"}
        answer = await ask(
            http, "POST", self._token_url, headers=headers, form=form, limit=LARGEST_ANSWER, deadline=DEADLINE
        )
        try:
            return judge_refresh(answer.status, answer.headers, answer.body, now)
        except RequestRefused as error:
            raise GrantRejected(error.reason) from error

    async def account(self, http: httpx.AsyncClient, access_token: str, now: datetime) -> Account:
        """GET /users/me, for which the app needs `user:read`."""
        headers = {"authorization": f"Bearer {access_token}"}
        url = f"{self._api_url}/users/me"
        answer = await ask(http, "GET", url, headers=headers, limit=LARGEST_ANSWER, deadline=DEADLINE)
        if not answer.is_good:
            raise _judge(answer, now)
        try:
            user = _user.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise TransientFault("the user cannot be read") from None
        if not user.id:
            raise TransientFault("the user has no id")
        return Account(id=user.id, email=user.email.lower() if user.email and "@" in user.email else None)


def _judge(answer: Answer, now: datetime) -> ProviderError:
    try:
        code = _refusal.decode(answer.body).code
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        code = None
    if code in _SCOPE_CODES:
        return ScopeMissing(f"zoom {code}")
    if answer.status == 429:
        return Throttled("http_429", retry_after(answer.headers, now))
    if answer.status == 401:
        return AccessRejected("http_401")
    if answer.status >= 500:
        return TransientFault(f"http_{answer.status}", retry_after(answer.headers, now))
    return RequestRefused(f"http_{answer.status}" if code is None else f"zoom {code}")
