"""Meetings at Zoom for events in other people's calendars: made before the event, moved with it, and gone with it."""

from typing import Any, Final
from uuid import UUID

import msgspec

from service.core.drafts import Draft
from service.errors import GatewayError
from service.flows.writing.scene import Scene
from service.store.tables import Found

ZOOM: Final = "zoom"
NO_ACCOUNT: Final = "No Zoom account is connected for this user: connect one with GET /connect/zoom/url (the same user_id), then try again."


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A meeting at Zoom, and by whose connection it was made."""

    url: str
    meeting_id: str
    connection_id: UUID


def columns(call: Call | None) -> dict[str, Any]:
    """What a managed event remembers of its call."""
    if call is None:
        return {}
    return {
        "zoom_connection_id": call.connection_id,
        "zoom_meeting_id": call.meeting_id,
        "call_url": call.url,
    }


async def make(scene: Scene, draft: Draft, key: str) -> Call:
    raise GatewayError(409, "conflict", NO_ACCOUNT)


async def follow(scene: Scene, managed: Found, draft: Draft, key: str) -> Call | None:
    return None


async def drop(scene: Scene, managed: Found) -> None:
    return None


async def withdraw(scene: Scene, key: str) -> None:
    return None
