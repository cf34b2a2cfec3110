"""Meetings at Zoom for events in other people's calendars: made before the event, moved with it, and gone with it."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from service.core.connection import Settings, Trouble, ZoomSettings, read_settings
from service.core.drafts import Draft
from service.errors import EventGone, GatewayError, GrantRejected, ProviderError, ScopeMissing
from service.flows.writing.asking import ask as ask_account
from service.flows.writing.opening import Overtaken
from service.flows.writing.reaching import Account
from service.flows.writing.refusals import FAULTS
from service.flows.writing.scene import Scene
from service.providers.protocol import Access
from service.store import connection_standing, connections
from service.store.tables import Found
from webhooks import outbox

T = TypeVar("T")

ZOOM: Final = "zoom"
NO_ACCOUNT: Final = "No Zoom account is connected for this user: connect one with GET /connect/zoom/url and the same user_id, then try again."
SIGN_IN_AGAIN: Final = "Zoom does not let us in any more: let the user connect Zoom again (GET /connect/zoom/url with this connection_id). ({})"

_log = logging.getLogger(__name__)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A meeting at Zoom, and by whose connection it was made."""

    url: str
    meeting_id: str
    connection_id: UUID


class _Host(NamedTuple):
    account: Account
    settings: ZoomSettings


def columns(call: Call | None) -> dict[str, Any]:
    """What a managed event remembers of its call."""
    return {
        "zoom_connection_id": call.connection_id if call is not None else None,
        "zoom_meeting_id": call.meeting_id if call is not None else None,
        "call_url": call.url if call is not None else None,
    }


def held(managed: Found) -> Call | None:
    """The call that a managed event has already."""
    if managed.zoom_meeting_id is None:
        return None
    return Call(url=managed.call_url, meeting_id=managed.zoom_meeting_id, connection_id=managed.zoom_connection_id)


async def make(scene: Scene, draft: Draft, key: str) -> Call:
    """A meeting for an event, once for each key. Raises GatewayError and service.errors.ProviderError."""
    host = await _host(scene)

    async def ask(access: Access) -> Call:
        # A wish may be carried out a second time, so that we always look first for what was made with this key.
        made = await scene.gateway.zoom.create(access, draft, key=key, settings=host.settings)
        if made.overridden:
            names = ", ".join(made.overridden)
            _log.warning(
                "connection %s: the Zoom account overrides zoom_settings (%s)", host.account.connection_id, names
            )
        return Call(url=made.join_url, meeting_id=made.id, connection_id=host.account.connection_id)

    return await _asked(scene, host, ask)


async def follow(scene: Scene, managed: Found, draft: Draft, key: str) -> Call | None:
    """The call that a changed event has: moved with it, made, made anew where it is gone, or none. Raises ProviderError.

    Where Zoom lets us in no more, or will not have it so, the call stays as it is: the event has moved by now, and a link that
    still leads to its meeting is better than an event that nobody can change.
    """
    if draft.conference != ZOOM:
        await drop(scene, managed)
        return None
    try:
        return await _moved(scene, managed, draft, key)
    except GatewayError as error:
        _log.info("managed event %s: its call is left as it is (%s)", managed.event_id, error.detail)
        return held(managed)


async def _moved(scene: Scene, managed: Found, draft: Draft, key: str) -> Call | None:
    if managed.zoom_meeting_id is None:
        return await make(scene, draft, key)
    host = await _host(scene, managed.zoom_connection_id)

    async def ask(access: Access) -> None:
        await scene.gateway.zoom.change(access, managed.zoom_meeting_id, draft, settings=host.settings)

    try:
        await _asked(scene, host, ask)
    except EventGone:
        return await make(scene, draft, key)
    return held(managed)


async def drop(scene: Scene, managed: Found) -> None:
    """Delete the meeting of an event that has no use for it any more. Raises ProviderError while Zoom is away."""
    if managed.zoom_meeting_id is None:
        return

    async def ask(access: Access) -> None:
        await scene.gateway.zoom.remove(access, managed.zoom_meeting_id)

    try:
        await _asked(scene, await _host(scene, managed.zoom_connection_id), ask)
    except GatewayError:
        return  # nobody lets us in any more: the meeting stays, and leads to nobody


async def withdraw(scene: Scene, key: str) -> None:
    """See to it that no meeting is left of an event that is taken back."""

    async def ask(access: Access) -> None:
        await scene.gateway.zoom.withdraw(access, key=key)

    try:
        await _asked(scene, await _host(scene), ask)
    except GatewayError:
        return  # without an account nothing was made


async def _host(scene: Scene, connection_id: UUID | None = None) -> _Host:
    """The Zoom account that belongs to the calendar's user, and how its meetings are to be."""
    async with scene.gateway.database.read() as conn:
        row = await connections.companion(conn, ZOOM, scene.calendar.connection_id, connection_id)
    if row is None:
        raise GatewayError(409, "conflict", NO_ACCOUNT)
    account = Account(connection_id=row.id, provider=ZOOM, email=row.email)
    return _Host(account, _merged(read_settings(row.settings), scene.settings))


def _merged(own: Settings, calendars: Settings) -> ZoomSettings:
    """The Zoom connection's own settings, and those of the calendar's connection for what it leaves open."""
    fields = {
        name: mine if (mine := getattr(own.zoom_settings, name)) is not None else getattr(calendars.zoom_settings, name)
        for name in ZoomSettings.__struct_fields__
    }
    return ZoomSettings(**fields)


async def _asked(scene: Scene, host: _Host, ask: Callable[[Access], Awaitable[T]]) -> T:
    try:
        return await ask_account(scene, ask, host.account)
    except (*FAULTS, EventGone, Overtaken):
        raise
    except (GrantRejected, ScopeMissing) as error:
        code = "credentials_rejected" if isinstance(error, GrantRejected) else "insufficient_scope"
        detail = SIGN_IN_AGAIN.format(error.reason)
        await _complain(scene, host, Trouble(code, detail))
        raise GatewayError(422, code, detail) from error
    except ProviderError as error:
        raise GatewayError(422, "validation_failed", f"Zoom refuses this meeting: {error.reason}") from error


async def _complain(scene: Scene, host: _Host, trouble: Trouble) -> None:
    """Let the connection show what is wrong with it, and the world be told."""
    gateway, now = scene.gateway, scene.gateway.clock()
    lease = gateway.deliverer.lease(now) if gateway.deliverer is not None else None
    async with gateway.database.write() as conn:
        notices = await connection_standing.mark(conn, host.account.connection_id, trouble, now)
        dispatches = await outbox.put(conn, notices, now=now, lease=lease) if notices else []
        gateway.wake.after(conn, "deliver")
    if dispatches and gateway.deliverer is not None:
        gateway.deliverer.submit(dispatches)
