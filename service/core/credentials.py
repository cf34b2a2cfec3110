"""What each provider needs to let us in: one union, tagged by `provider`; and what the store makes of it.

Whatever the provider, the store keeps a client (who asks) and a secret of one account (what it is asked with). For
OAuth they are the integrator's app and the user's refresh token; a CalDAV account's client is its server, and its
secret the whole of its credentials; a feed's client is its host, and its secret the address itself.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

import msgspec

Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=8192)]
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Address = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Tenant = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")]


class GoogleCredentials(msgspec.Struct, frozen=True, kw_only=True, tag_field="provider", tag="google"):
    """An OAuth client of Google's and the refresh token that a user gave to it."""

    renewable: ClassVar[str] = "refresh_token"

    client_id: Identifier
    client_secret: Secret
    refresh_token: Secret

    @property
    def client(self) -> "OAuthClient":
        """Who asks."""
        return OAuthClient(client_id=self.client_id, client_secret=self.client_secret)

    @property
    def secret(self) -> str:
        """What the account is asked with."""
        return self.refresh_token

    def __repr__(self) -> str:
        return f"{type(self).__name__}(client_id={self.client_id!r}, client_secret=***, refresh_token=***)"


class MicrosoftCredentials(msgspec.Struct, frozen=True, kw_only=True, tag_field="provider", tag="microsoft"):
    """An app registration of Microsoft's and the refresh token that a user gave to it.

    `tenant_id` is `common`, `organizations`, `consumers`, or the directory of a single-tenant app.
    """

    renewable: ClassVar[str] = "refresh_token"

    client_id: Identifier
    client_secret: Secret
    refresh_token: Secret
    tenant_id: Tenant = "common"

    @property
    def client(self) -> "OAuthClient":
        """Who asks."""
        return OAuthClient(client_id=self.client_id, client_secret=self.client_secret, tenant=self.tenant_id)

    @property
    def secret(self) -> str:
        """What the account is asked with."""
        return self.refresh_token

    def __repr__(self) -> str:
        return f"{type(self).__name__}(client_id={self.client_id!r}, client_secret=***, refresh_token=***)"


class CaldavCredentials(msgspec.Struct, frozen=True, kw_only=True, tag_field="provider", tag="caldav"):
    """An account of a CalDAV server; the password is best one made for this app alone."""

    renewable: ClassVar[str] = "password"

    server_url: Address
    username: Identifier
    password: Secret

    @property
    def client(self) -> "OAuthClient":
        """Who asks: everybody at this server."""
        return OAuthClient(client_id=host_of(self.server_url), client_secret="")

    @property
    def secret(self) -> str:
        """What the account is asked with: these credentials as JSON."""
        return _encoder.encode(_Login(self.server_url, self.username, self.password)).decode()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(host={host_of(self.server_url)!r}, username={self.username!r}, password=***)"


class IcsCredentials(msgspec.Struct, frozen=True, kw_only=True, tag_field="provider", tag="ics"):
    """The address of a feed, which is a secret: who knows it reads the calendar."""

    renewable: ClassVar[str] = "url"

    url: Address

    @property
    def client(self) -> "OAuthClient":
        """Who asks: everybody at this host."""
        return OAuthClient(client_id=host_of(self.url), client_secret="")

    @property
    def secret(self) -> str:
        """What the account is asked with."""
        return self.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}(host={host_of(self.url)!r})"


Credentials = GoogleCredentials | MicrosoftCredentials | CaldavCredentials | IcsCredentials

KINDS: Final[Mapping[str, type[Credentials]]] = {
    "google": GoogleCredentials,
    "microsoft": MicrosoftCredentials,
    "caldav": CaldavCredentials,
    "ics": IcsCredentials,
}
"""By provider; `renewable` names the field of each that may be given anew alone."""


def host_of(url: str) -> str:
    """The host of an address in lower case, for names and quotas; `unknown` where there is none to be read."""
    try:
        return (urlsplit(url).hostname or "unknown")[:253]
    except ValueError:
        return "unknown"


def read_login(secret: str) -> CaldavCredentials:
    """The credentials behind a CalDAV account's secret. Raises msgspec.DecodeError for what is none."""
    login = _login.decode(secret)
    return CaldavCredentials(server_url=login.server_url, username=login.username, password=login.password)


def renewed(provider: str, client: "OAuthClient", stored: str, new: str) -> Credentials:
    """An account's credentials with a new refresh token, password or address in the place of the stored secret."""
    if provider == "ics":
        return IcsCredentials(url=new)
    if provider == "caldav":
        return msgspec.structs.replace(read_login(stored), password=new)
    if provider == "microsoft":
        return MicrosoftCredentials(
            client_id=client.client_id,
            client_secret=client.client_secret,
            refresh_token=new,
            tenant_id=client.tenant or "common",
        )
    return GoogleCredentials(client_id=client.client_id, client_secret=client.client_secret, refresh_token=new)


class _Login(msgspec.Struct, frozen=True):
    server_url: str
    username: str
    password: str


_encoder: Final = msgspec.json.Encoder()
_login: Final = msgspec.json.Decoder(_Login)


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
