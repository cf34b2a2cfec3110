"""Zoom's token endpoint (developers.zoom.us/docs/integrations/oauth): each refresh token is good once."""

import base64
from datetime import datetime
from typing import Final

import httpx

from service.core.credentials import OAuthClient, TokenGrant
from service.errors import TransientFault
from service.observability import METRICS
from service.providers.exchange import Answer, ask
from service.providers.grants import LARGEST_ANSWER
from service.providers.zoom.answers import judge_token

TOKEN_URL: Final = "https://zoom.us/oauth/token"  # noqa: S105 (an address)
DEADLINE: Final = 20.0


class ZoomTokens:
    """Refreshes tokens of the provider `zoom`."""

    name = "zoom"

    def __init__(self, token_url: str = TOKEN_URL) -> None:
        self._token_url = token_url

    async def refresh(
        self, http: httpx.AsyncClient, client: OAuthClient, refresh_token: str, now: datetime
    ) -> TokenGrant:
        """Always with a new refresh token, the old one being dead at once.

        Where no answer came, the old one is tried once more: had it been used up, the grant would be lost in any case.
        Raises as `Provider.refresh`.
        """
        try:
            answer = await self._ask(http, client, refresh_token)
        except TransientFault:
            answer = await self._ask(http, client, refresh_token)
        return judge_token(answer.status, answer.headers, answer.body, now)

    async def _ask(self, http: httpx.AsyncClient, client: OAuthClient, refresh_token: str) -> Answer:
        outcome = "no_answer"
        try:
            answer = await ask(
                http,
                "POST",
                self._token_url,
                headers={"authorization": basic_of(client)},
                form={"grant_type": "refresh_token", "refresh_token": refresh_token},
                limit=LARGEST_ANSWER,
                deadline=DEADLINE,
            )
            outcome = "ok" if answer.is_good else str(answer.status)
        finally:
            METRICS.called("zoom", outcome)
        return answer


def basic_of(client: OAuthClient) -> str:
    """How a client proves itself (RFC 6749, 2.3.1)."""
    return "Basic " + base64.b64encode(f"{client.client_id}:{client.client_secret}".encode()).decode()
