"""Google's push channels (guides/push): the notification off a request, and the words of `watch` and `stop`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from service.errors import TransientFault
from service.providers.google.wire import WireChannel
from service.providers.protocol import OpenedChannel, PushKind, PushNotice

LIFE: Final = timedelta(days=7)
"""The longest that Google keeps a channel for events."""

ASSUMED_LIFE: Final = timedelta(days=1)

_channel: Final = msgspec.json.Decoder(WireChannel)


class GooglePush:
    """Reads Google's notifications, which have headers and no body."""

    def address(self, public_url: str, channel_id: UUID) -> str:
        return f"{public_url}/push/google/{channel_id}"

    def notices(self, headers: Mapping[str, str], body: bytes) -> Sequence[PushNotice]:  # noqa: ARG002 - there is none
        """The one notification that the request claims to be."""
        channel_id = headers.get("x-goog-channel-id")
        state = headers.get("x-goog-resource-state")
        if not channel_id or not state:
            return []
        notice = PushNotice(
            channel_id=channel_id,
            resource_id=headers.get("x-goog-resource-id", ""),
            secret=headers.get("x-goog-channel-token", ""),
            kind=PushKind.FIRST if state == "sync" else PushKind.CHANGED,
        )
        return [notice]


def watch_body(channel_id: str, secret: str, address: str) -> dict[str, Any]:
    """The body of `events.watch`."""
    return {
        "id": channel_id,
        "type": "web_hook",
        "address": address,
        "token": secret,
        "params": {"ttl": str(int(LIFE.total_seconds()))},
    }


def read_channel(body: bytes, now: datetime) -> OpenedChannel:
    """The channel in the answer to a watch, with the life that Google granted; raises TransientFault for no channel."""
    try:
        wire = _channel.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TransientFault("watch: not a channel") from None
    if not wire.resource_id:
        raise TransientFault("watch: no resource id")
    return OpenedChannel(resource_id=wire.resource_id, expires_at=_expiry(wire.expiration, now))


def _expiry(milliseconds: str | int | None, now: datetime) -> datetime:
    # A channel of unknown life is renewed after a part of a day, which costs little.
    try:
        expires_at = datetime.fromtimestamp(int(milliseconds or 0) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return now + ASSUMED_LIFE
    return expires_at if expires_at > now else now + ASSUMED_LIFE
