"""Graph's change notifications (graph/change-notifications-delivery-webhooks): subscriptions, and what is posted for them."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from service.errors import CalendarGone, PushUnsupported, RequestRefused, TransientFault
from service.providers.lenient import UNREADABLE
from service.providers.microsoft.answers import judge_subscription
from service.providers.microsoft.graph import Graph, rfc3339, segment
from service.providers.microsoft.wire import WireCalendar, WireNotification, WireNotifications, WireSubscription
from service.providers.protocol import Access, OpenedChannel, PushKind, PushNotice

LIFE: Final = timedelta(minutes=10_070)
"""Ten minutes less than Graph grants for events, so that its clock need not be ours."""

ASSUMED_LIFE: Final = timedelta(minutes=45)
"""The least that Graph grants, for an answer that does not say."""

LONGEST_STATE: Final = 128

_KINDS: Final = {
    "reauthorizationRequired": PushKind.RENEW,
    "subscriptionRemoved": PushKind.REMOVED,
    "missed": PushKind.MISSED,
}
_id: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_fraction: Final = re.compile(r"\.\d+")
_notifications: Final = msgspec.json.Decoder(WireNotifications)
_notification: Final = msgspec.json.Decoder(WireNotification)
_calendar: Final = msgspec.json.Decoder(WireCalendar)
_subscription: Final = msgspec.json.Decoder(WireSubscription)


class MicrosoftPush:
    """Reads Graph's notifications: many in a body, of any subscriptions and tenants, all to one address."""

    def address(self, public_url: str, channel_id: UUID) -> str:  # noqa: ARG002 - it stands in the notification
        return f"{public_url}/push/microsoft"

    def notices(self, headers: Mapping[str, str], body: bytes) -> Sequence[PushNotice]:  # noqa: ARG002 - they prove nothing
        """Those items of the body that claim to be for a channel; each stands for itself."""
        try:
            rows = _notifications.decode(body).value or []
        except UNREADABLE:
            return []
        return [notice for row in rows if (notice := _read_notice(row)) is not None]


async def open_subscription(
    graph: Graph,
    access: Access,
    raw_calendar_id: str,
    *,
    state: str,
    address: str,
    replaces: str | None,
    now: datetime,
) -> OpenedChannel:
    """Prolong the subscription `replaces`, or make one; raises as `Provider.open_channel`."""
    if replaces is not None and (renewed := await _renew(graph, access, replaces, now)) is not None:
        return renewed
    wish = {
        "changeType": "created,updated,deleted",
        "notificationUrl": address,
        "lifecycleNotificationUrl": f"{address}/lifecycle",
        "clientState": state,
        "expirationDateTime": rfc3339(now + LIFE),
        "latestSupportedTlsVersion": "v1_2",
    }
    resource = f"me/calendars/{segment(raw_calendar_id)}/events"
    try:
        return await _create(graph, access, {**wish, "resource": resource}, now)
    except _ResourceRefused as refusal:
        # What is documented is the mailbox; whether its other calendars are in that, and those of others, is not.
        if not await _is_default(graph, access, raw_calendar_id):
            raise PushUnsupported(refusal.reason) from refusal
        try:
            return await _create(graph, access, {**wish, "resource": "me/events"}, now)
        except _ResourceRefused:
            raise PushUnsupported(refusal.reason) from refusal


async def close_subscription(graph: Graph, access: Access, subscription_id: str) -> None:
    """DELETE; 404 says that it has gone already."""
    answer = await graph.call(access, "DELETE", graph.url(f"/subscriptions/{segment(subscription_id)}"))
    if not answer.is_good and answer.status != 404:
        raise judge_subscription(answer.status, answer.headers, answer.body, graph.clock())


async def _is_default(graph: Graph, access: Access, raw_calendar_id: str) -> bool:
    url = graph.url(f"/me/calendars/{segment(raw_calendar_id)}", {"$select": "id,isDefaultCalendar"})
    try:
        return bool(_calendar.decode((await graph.get(access, url)).body).is_default_calendar)
    except UNREADABLE:
        raise TransientFault("not a calendar") from None


class _ResourceRefused(RequestRefused):
    """Graph does not watch this resource."""


async def _renew(graph: Graph, access: Access, subscription_id: str, now: datetime) -> OpenedChannel | None:
    """The subscription with a new life, which also reauthorizes it; None when it is gone."""
    url = graph.url(f"/subscriptions/{segment(subscription_id)}")
    answer = await graph.call(access, "PATCH", url, json={"expirationDateTime": rfc3339(now + LIFE)})
    if answer.status == 404:
        return None
    if not answer.is_good:
        raise judge_subscription(answer.status, answer.headers, answer.body, now)
    return msgspec.structs.replace(_read_channel(answer.body, now), is_same=True)


async def _create(graph: Graph, access: Access, wish: Mapping[str, Any], now: datetime) -> OpenedChannel:
    url = graph.url("/subscriptions")
    answer = await graph.call(access, "POST", url, json=wish)
    if answer.status == 409:
        # Most likely one of ours, whose answer was lost; its clientState cannot be changed.
        await _clear_away(graph, access, answer.body, wish)
        answer = await graph.call(access, "POST", url, json=wish)
    if answer.is_good:
        return _read_channel(answer.body, now)
    error = judge_subscription(answer.status, answer.headers, answer.body, now)
    if answer.status in {400, 404} and isinstance(error, PushUnsupported | CalendarGone):
        raise _ResourceRefused(error.reason)
    raise error


async def _clear_away(graph: Graph, access: Access, refusal: bytes, wish: Mapping[str, Any]) -> None:
    """Delete the subscription that stands in the way, if it is to our own address and for this calendar alone."""
    named = _id.search(refusal.decode("utf-8", "replace"))
    if named is None or wish["resource"] == "me/events":
        raise PushUnsupported("subscription exists")
    answer = await graph.get(access, graph.url(f"/subscriptions/{named[0]}"))
    if _decode(answer.body).notification_url != wish["notificationUrl"]:
        raise PushUnsupported("subscription exists, for another address")
    await close_subscription(graph, access, named[0])


def _read_channel(body: bytes, now: datetime) -> OpenedChannel:
    wire = _decode(body)
    if not wire.id:
        raise TransientFault("subscription: no id")
    return OpenedChannel(resource_id=wire.id, expires_at=_expiry(wire.expiration_date_time, now))


def _decode(body: bytes) -> WireSubscription:
    try:
        return _subscription.decode(body)
    except UNREADABLE:
        raise TransientFault("not a subscription") from None


def _expiry(text: str | None, now: datetime) -> datetime:
    try:
        # Seven digits of a second; whole ones will do.
        at = datetime.fromisoformat(_fraction.sub("", text or ""))
    except ValueError:
        return now + ASSUMED_LIFE
    at = at if at.tzinfo is not None else at.replace(tzinfo=now.tzinfo)
    return at if at > now else now + ASSUMED_LIFE


def _read_notice(row: msgspec.Raw) -> PushNotice | None:
    try:
        wire = _notification.decode(row)
    except UNREADABLE:
        return None
    state = wire.client_state or ""
    channel_id, _, secret = state.partition(":")
    if not secret or not wire.subscription_id or len(state) > LONGEST_STATE:
        return None
    kind = PushKind.CHANGED if wire.lifecycle_event is None else _KINDS.get(wire.lifecycle_event, PushKind.MISSED)
    return PushNotice(channel_id=channel_id, resource_id=wire.subscription_id, secret=secret, kind=kind)
