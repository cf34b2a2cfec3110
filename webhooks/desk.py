"""Everything that users do with endpoints and messages, wherever those live; what is refused is an exception."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from webhooks.endpoints import Endpoint, EndpointDraft
from webhooks.history import Attempt, Delivery, Message

MOST_ENDPOINTS = 500
"""Of one project: each message is one delivery to each of them."""


class Refused(Exception):
    """A wish that cannot be met; the message is fit for users."""


class UnknownObject(Refused):
    """The project has no such endpoint or message."""


class OutdatedVersion(Refused):
    """The endpoint is at another version than the caller has seen."""

    def __init__(self, version: int) -> None:
        super().__init__(f"The endpoint is at version {version} by now.")


class WrongState(Refused):
    """The endpoint is disabled, or the message has nobody to go to."""


class TooMany(Refused):
    """The project has as many endpoints as it may."""


class Unsupported(Refused):
    """Whoever sends the webhooks cannot do this, now or later."""


class Unavailable(Refused):
    """Nobody can do it for the moment; trying again later is worth it."""


class Selection(NamedTuple):
    """Which messages are asked for: those that fit all that is not None.

    `endpoint_id` and `state` are of the same delivery. `before` is the last id of the page before.
    """

    type: str | None = None
    calendar_id: UUID | None = None
    endpoint_id: UUID | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None
    limit: int = 50


class Portal(NamedTuple):
    """A link for people to endpoints and messages of their project, and until when it may be opened."""

    url: str
    expires_at: datetime


class Deed(NamedTuple):
    """What somebody did to an endpoint or a message: `endpoint.changed`, and the names of what is another now."""

    action: str
    object_id: UUID
    fields: tuple[str, ...] = ()


Record = Callable[[AsyncConnection, UUID, Deed], Awaitable[None]]
"""Told what was done in a project, inside the transaction that does it and as its last statement.

Deeds: `endpoint.created`, `.changed`, `.deleted`, `.secret_revealed`, `.secret_rotated`, `.tested`, `.recovered`,
`message.resent`, and `portal.opened` for the project.
"""


class Desk(Protocol):
    """What the routes talk to.

    Raises UnknownObject for whatever the project does not have, OutdatedVersion where a `version` is given, and
    Unavailable and Unsupported wherever another server is asked.
    """

    def telling(self, record: Record) -> "Desk":
        """The same desk for one caller: `record` is told of each deed. What was done before is not told again."""

    async def create(
        self, project_id: UUID, draft: EndpointDraft, *, endpoint_id: UUID, now: datetime
    ) -> tuple[Endpoint, str]:
        """A new endpoint and its secret; the same again for an id that is known. Raises TooMany."""

    async def page(self, project_id: UUID, *, after: UUID | None, limit: int, now: datetime) -> list[Endpoint]:
        """The project's endpoints by id; `after` is the last id of the page before."""

    async def get(self, project_id: UUID, endpoint_id: UUID, *, now: datetime) -> Endpoint: ...

    async def change(
        self, project_id: UUID, endpoint_id: UUID, changes: dict[str, Any], *, version: int | None, now: datetime
    ) -> Endpoint:
        """Set fields of `endpoints.CHANGEABLE` and `state`; one that is disabled is enabled unless `state` says so.

        `headers` are those that go along to another `url`, in place of the old ones; without another they are let fall.
        """

    async def delete(self, project_id: UUID, endpoint_id: UUID, *, version: int | None, now: datetime) -> None: ...

    async def reveal(self, project_id: UUID, endpoint_id: UUID) -> str:
        """The secret that signs."""

    async def rotate(
        self, project_id: UUID, endpoint_id: UUID, *, grace: timedelta, rotation_id: UUID, now: datetime
    ) -> str:
        """A new secret; the old ones sign too for `grace`. The same `rotation_id` again gets the same secret."""

    async def test(self, project_id: UUID, endpoint_id: UUID, *, now: datetime) -> Attempt:
        """Send `webhook.test` once, at once, whatever the endpoint subscribes to. Raises WrongState, Unavailable."""

    async def recover(
        self,
        project_id: UUID,
        endpoint_id: UUID,
        *,
        since: datetime,
        until: datetime | None,
        event_types: list[str] | None,
        now: datetime,
    ) -> int:
        """Send what failed in a span of time again, behind what is new; how many. Raises WrongState."""

    async def messages(self, project_id: UUID, wanted: Selection) -> list[tuple[Message, list[Delivery]]]:
        """Messages, newest first, each with its deliveries."""

    async def message(self, project_id: UUID, message_id: UUID) -> tuple[Message, list[Delivery]]: ...

    async def attempts(self, project_id: UUID, message_id: UUID) -> list[Attempt]:
        """Every attempt, oldest first."""

    async def resend(self, project_id: UUID, message_id: UUID, *, endpoint_id: UUID | None, now: datetime) -> int:
        """Send a message again, to one endpoint or to all that it was for; how many. Raises WrongState."""

    async def portal(self, project_id: UUID, *, now: datetime) -> Portal:
        """A way in for people, where there is one. Raises WrongState."""
