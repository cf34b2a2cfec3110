"""Microsoft's consent page, and the grant behind its code (entra/identity-platform/v2-oauth2-auth-code-flow)."""

from datetime import datetime
from typing import Final
from urllib.parse import quote

import httpx

from service.core.credentials import OAuthClient, TokenGrant
from service.core.hosted import origin_of
from service.errors import GrantRejected, RequestRefused
from service.providers.exchange import ask
from service.providers.grants import LARGEST_ANSWER
from service.providers.login import code_form
from service.providers.microsoft.grants import judge_refresh

DEADLINE: Final = 20.0


class MicrosoftLogin:
    """The login of the provider `microsoft`."""

    name = "microsoft"

    def __init__(self, login_url: str) -> None:
        self.origin = origin_of(login_url)
        self._login_url = login_url.rstrip("/")

    def page(self, client: OAuthClient) -> str:
        return self._endpoint(client, "authorize")

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
        """Raises as `microsoft.grants.judge_refresh`; what is wrong with the request is wrong with the code."""
        form = code_form(client, code, redirect_uri, verifier)
        answer = await ask(
            http, "POST", self._endpoint(client, "token"), form=form, limit=LARGEST_ANSWER, deadline=DEADLINE
        )
        try:
            return judge_refresh(answer.status, answer.headers, answer.body, now)
        except RequestRefused as error:
            raise GrantRejected(error.reason) from error

    def _endpoint(self, client: OAuthClient, name: str) -> str:
        return f"{self._login_url}/{quote(client.tenant or 'common', safe='')}/oauth2/v2.0/{name}"
