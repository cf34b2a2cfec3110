"""The tables of who lets us in: the integrators' OAuth clients, and the accounts of their users.

oauth_clients ─── connections ─── (calendars, each of one connection)
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field

from service.store.tables import Table


class OAuthClientRow(Table, table=True):
    """An integrator's OAuth client, stored once for thousands of calendars; `rejected_*` while it is at fault.

    `is_registered` says that the integrator has made it an object of its own: it is then kept without connections, and
    `redirect_urls` are the exact addresses that users may be sent back to.
    """

    __tablename__ = "oauth_clients"
    __table_args__ = (UniqueConstraint("project_id", "provider", "client_id", "tenant"),)

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="projects.id", ondelete="CASCADE")
    provider: str
    client_id: str
    tenant: str = ""
    client_secret: bytes = Field(sa_type=LargeBinary)
    is_registered: bool = False
    redirect_urls: list[str] = Field(default_factory=list, sa_type=JSON)
    rejected_reason: str | None = None
    rejected_until: datetime | None = None
    rejection_announced: bool = False
    version: int = 1
    created_at: datetime
    updated_at: datetime


class ConnectionRow(Table, table=True):
    """One provider account under one client: its tokens, sealed, and the lease under which they are refreshed.

    `token_version` rises with every write of the tokens; a write names the version that it replaces.

    `is_kept` says that a user has connected the account as such (the hosted flow), so that it stays without calendars.
    `access` is what the user lets us do (`read`, `write`; null where nobody knows), `scopes` what was granted. `user_id` is
    the integrator's own name of its user; which of the connections of one user is primary, `connection_views` judges by
    `is_primary`, a mark that none or several of them may have. `settings` is a
    `core.connection.Settings`. `error_code` and `error_message` are of the account itself, where it has no calendar that
    could tell; `announced_status` is what `integration.*` has told the world.
    """

    __tablename__ = "connections"
    __table_args__ = (
        UniqueConstraint("project_id", "provider", "account"),
        Index("ix_connections_project_id_user_id_id", "project_id", "user_id", "id"),
        Index("ix_connections_project_id_id", "project_id", "id"),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="projects.id", ondelete="CASCADE")
    oauth_client_id: UUID = Field(foreign_key="oauth_clients.id", index=True)
    provider: str
    account: str
    email: str | None = None
    refresh_token: bytes = Field(sa_type=LargeBinary)
    access_token: bytes | None = Field(default=None, sa_type=LargeBinary)
    access_expires_at: datetime | None = None
    token_version: int = 1
    refresh_lease: UUID | None = None
    refresh_leased_until: datetime | None = None
    is_kept: bool = False
    user_id: str | None = None
    is_primary: bool = False
    access: str | None = None
    scopes: list[str] = Field(default_factory=list, sa_type=JSON)
    settings: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    error_code: str | None = None
    error_message: str | None = None
    announced_status: str | None = None
    version: int = 1
    created_at: datetime
    updated_at: datetime


class OAuthStateRow(Table, table=True):
    """One walk of a user through a provider's consent page, used once.

    `id` is SHA-256, in hex, of the random part of `state`; `browser` is SHA-256 of the cookie that the browser was given (null for
    an address that was handed to somebody who asked over the API: the first browser takes it). `verifier` is the sealed
    PKCE verifier, `wish` what is to come of it, a `core.hosted.Wish`.
    """

    __tablename__ = "oauth_states"
    __table_args__ = (Index("ix_oauth_states_expires_at", "expires_at"),)

    id: str = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="projects.id", ondelete="CASCADE")
    oauth_client_id: UUID
    provider: str
    browser: bytes | None = Field(default=None, sa_type=LargeBinary)
    verifier: bytes = Field(sa_type=LargeBinary)
    wish: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


class ConnectLinkRow(Table, table=True):
    """A link that lets a user connect calendars; `digest` is SHA-256 of its random part, `wish` a `core.hosted.Wish`.

    `attempts` counts the forms that were sent by it: a link is no way to try passwords.
    """

    __tablename__ = "connect_links"
    __table_args__ = (Index("ix_connect_links_expires_at", "expires_at"),)

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="projects.id", ondelete="CASCADE")
    digest: bytes = Field(unique=True, sa_type=LargeBinary)
    attempts: int = 0
    wish: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime
    expires_at: datetime
