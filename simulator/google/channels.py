"""events.watch and channels.stop, and the notice that every change owes to each live channel."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urlsplit

from simulator.google.errors import GoogleError, invalid, not_found
from simulator.google.pushes import Channel, Push
from simulator.google.state import Calendar, Client, State

CHANNEL_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}")


def watch(
    state: State, calendar: Calendar, email: str, client: Client, body: dict[str, Any], query: str
) -> dict[str, Any]:
    _check_body(state, calendar, client, body)
    uri = f"https://www.googleapis.com/calendar/v3/calendars/{quote(calendar.id, safe='@')}/events?alt=json{query}"
    channel = Channel(
        id=body["id"],
        resource_id=f"res-{state.make_id(20)}",
        calendar_id=calendar.id,
        address=body["address"],
        token=body.get("token"),
        expires_at=_expiry(state, body),
        project=client.project,
        client_id=client.client_id,
        email=email,
        uri=uri,
    )
    # Two channels on one calendar watch one resource.
    for other in state.watchers.get(calendar.id, []):
        channel.resource_id = other.resource_id
    state.channels[client.project, channel.id] = channel
    state.watchers.setdefault(calendar.id, []).append(channel)
    _owe(state, channel, "sync")
    shown = {
        "kind": "api#channel",
        "id": channel.id,
        "resourceId": channel.resource_id,
        "resourceUri": channel.uri,
        "expiration": str(int(channel.expires_at.timestamp() * 1000)),
    }
    return shown if channel.token is None else {**shown, "token": channel.token}


def stop(state: State, email: str, client: Client, body: dict[str, Any]) -> None:
    channel = state.channels.get((client.project, str(body.get("id"))))
    owned = channel is not None and (channel.email, channel.client_id) == (email, client.client_id)
    if channel is None or not owned or channel.stopped or channel.resource_id != body.get("resourceId"):
        raise not_found(f"Channel '{body.get('id')}' not found for project '{client.project}'")
    channel.stopped = True
    state.watchers[channel.calendar_id].remove(channel)


def notify_watchers(state: State) -> None:
    """Turn the calendars changed since the last call into notices; one per channel, however much has changed."""
    for calendar_id, resource_state in state.dirty.items():
        for channel in state.watchers.get(calendar_id, []):
            if channel.expires_at > state.now():
                _owe(state, channel, resource_state)
    state.dirty.clear()


def release_held(state: State) -> int:
    """Send what `reorder` was holding back, newest first."""
    count = len(state.held_pushes)
    state.pushes.extend(reversed(state.held_pushes))
    state.held_pushes.clear()
    state.wake()
    return count


def _owe(state: State, channel: Channel, resource_state: str) -> None:
    # Rising, and not contiguous.
    channel.number += 1 if resource_state == "sync" else state.random.randint(1, 3)
    push = Push(channel.address, _headers(channel, resource_state), state.push_rules.delay)
    rules = state.push_rules
    if rules.lose_next > 0 and resource_state != "sync":
        rules.lose_next -= 1
        return
    if rules.lose and state.random.random() < rules.lose:
        return
    copies = 2 if rules.duplicate and state.random.random() < rules.duplicate else 1
    pushes = [push, *(Push(push.address, push.headers, push.delay) for _ in range(copies - 1))]
    if rules.reorder > 1 and resource_state != "sync":
        state.held_pushes.extend(pushes)
        if len(state.held_pushes) >= rules.reorder:
            release_held(state)
        return
    state.pushes.extend(pushes)
    state.wake()


def _headers(channel: Channel, resource_state: str) -> dict[str, str]:
    headers = {
        "X-Goog-Channel-ID": channel.id,
        "X-Goog-Channel-Expiration": format_datetime(channel.expires_at, usegmt=True),
        "X-Goog-Resource-ID": channel.resource_id,
        "X-Goog-Resource-URI": channel.uri,
        "X-Goog-Resource-State": resource_state,
        "X-Goog-Message-Number": str(channel.number),
    }
    return headers if channel.token is None else {**headers, "X-Goog-Channel-Token": channel.token}


def _check_body(state: State, calendar: Calendar, client: Client, body: dict[str, Any]) -> None:
    if calendar.kind == "holiday":
        raise GoogleError(
            400,
            "pushNotSupportedForRequestedResource",
            "Push notifications are not supported by this resource.",
            domain="calendar",
        )
    if body.get("type") not in {"web_hook", "webhook"}:
        raise GoogleError(400, "channelUnknown", "Unknown channel type")
    if not CHANNEL_ID.fullmatch(str(body.get("id", ""))):
        raise invalid("Invalid channel id", "id")
    if len(str(body.get("token") or "")) > 256:
        raise invalid("Channel token is too long", "token")
    address = urlsplit(str(body.get("address", "")))
    if not address.hostname:
        raise GoogleError(400, "required", "Missing address")
    if address.scheme != "https" and not _is_loopback(address.hostname):
        raise GoogleError(400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {body['address']}")
    if (client.project, body["id"]) in state.channels:
        raise GoogleError(400, "channelIdNotUnique", f"Channel id {body['id']} not unique")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _expiry(state: State, body: dict[str, Any]) -> datetime:
    """What the caller asked for, cut to what Google grants."""
    now = state.now()
    latest = now + timedelta(seconds=state.settings.channel_seconds)
    wanted = latest
    try:
        if body.get("expiration"):
            wanted = datetime.fromtimestamp(int(body["expiration"]) / 1000, UTC)
        elif (body.get("params") or {}).get("ttl"):
            wanted = now + timedelta(seconds=int(body["params"]["ttl"]))
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid("Invalid expiration", "expiration") from error
    if wanted <= now:
        raise invalid("Invalid expiration", "expiration")
    return min(wanted, latest).replace(microsecond=0)
