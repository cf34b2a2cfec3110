"""Google's consent page, and the grant behind the code that it gives (identity/protocols/oauth2/web-server)."""

from datetime import datetime
from typing import Final

import httpx

from service.core.credentials import OAuthClient, TokenGrant
from service.core.hosted import origin_of
from service.errors import GrantRejected, RequestRefused
from service.providers.exchange import ask
from service.providers.grants import LARGEST_ANSWER, judge_refresh
from service.providers.login import code_form

DEADLINE: Final = 20.0


class GoogleLogin:
    """The login of the provider `google`."""

    name = "google"

    def __init__(self, auth_url: str, token_url: str) -> None:
        self.origin = origin_of(auth_url)
        self._auth_url = auth_url
        self._token_url = token_url

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
        """Raises as `grants.judge_refresh`; what is wrong with the request is wrong with the code."""
        form = code_form(client, code, redirect_uri, verifier)
        answer = await ask(http, "POST", self._token_url, form=form, limit=LARGEST_ANSWER, deadline=DEADLINE)
        try:
            return judge_refresh(answer.status, answer.headers, answer.body, now)
        except RequestRefused as error:
            raise GrantRejected(error.reason) from error
