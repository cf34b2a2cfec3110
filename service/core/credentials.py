"""What each provider needs to let us in: one union, tagged by `provider`; and what OAuth makes of it."""

from datetime import datetime
from typing import Annotated

import msgspec

Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=8192)]
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class GoogleCredentials(msgspec.Struct, frozen=True, kw_only=True, tag_field="provider", tag="google"):
    """An OAuth client of Google's and the refresh token that a user gave to it."""

    client_id: Identifier
    client_secret: Secret
    refresh_token: Secret

    def __repr__(self) -> str:
        return f"{type(self).__name__}(client_id={self.client_id!r}, client_secret=***, refresh_token=***)"


Credentials = GoogleCredentials


class OAuthClient(msgspec.Struct, frozen=True, kw_only=True):
    """An integrator's OAuth client; `tenant` is Microsoft's."""

    client_id: str
    client_secret: str
    tenant: str | None = None

    def __repr__(self) -> str:
        return f"OAuthClient(client_id={self.client_id!r}, client_secret=***)"


class TokenGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A token endpoint's good answer; `refresh_token` only when the provider rotated it."""

    access_token: str
    expires_at: datetime
    refresh_token: str | None = None
    scopes: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"TokenGrant(expires_at={self.expires_at!r}, scopes={sorted(self.scopes)!r})"


class StoredTokens(msgspec.Struct, frozen=True, kw_only=True):
    """What the store has for a connection; `version` rises with every write of the tokens.

    `client_key` and `user_key` name the quotas of the OAuth client and of the account.
    """

    provider: str
    client: OAuthClient
    client_key: str
    user_key: str
    refresh_token: str
    access_token: str | None = None
    access_expires_at: datetime | None = None
    version: int
    client_rejected_until: datetime | None = None
    client_rejected_reason: str | None = None

    def __repr__(self) -> str:
        return f"StoredTokens(user_key={self.user_key!r}, version={self.version})"
