"""Subscriptions: made after their URLs have proved alive, renewed, and told of every change and of their own fate."""

import re
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from simulator.microsoft.access import find_calendar, find_mailbox
from simulator.microsoft.answers import Check, GraphAnswer, Pending
from simulator.microsoft.errors import GraphError
from simulator.microsoft.identifiers import change_key, show_etag, show_id
from simulator.microsoft.moments import show_stamp
from simulator.microsoft.notices import Notice, Owed, Subscription
from simulator.microsoft.state import Account, Calendar, Grant, State

SHORTEST = timedelta(minutes=45)
RESOURCE = re.compile(
    r"(?:me|users/(?P<user>[^/]+))(?:/calendar|/calendars/(?P<calendar>[^/]+))?/events", re.IGNORECASE
)
CHANGES = {"created", "updated", "deleted"}
LIFECYCLE = {"reauthorizationRequired", "subscriptionRemoved", "missed"}
CONTEXT = "https://graph.microsoft.com/v1.0/$metadata#subscriptions"


def create(state: State, grant: Grant, account: Account, body: dict[str, Any], *, immutable: bool) -> GraphAnswer:
    """Check a request, and hold it until its URLs have been asked."""
    subscription = _read(state, grant, account, body, immutable=immutable)
    _check_room(state, subscription)
    urls = [subscription.notification_url, *([subscription.lifecycle_url] if subscription.lifecycle_url else [])]

    def settle(failure: str | None) -> GraphAnswer:
        if failure is not None:
            raise GraphError(400, "ValidationError", failure)
        _check_room(state, subscription)
        state.subscriptions.setdefault(account.email, {})[subscription.id] = subscription
        return GraphAnswer(
            201, msgspec.json.encode({"@odata.context": f"{CONTEXT}/$entity", **show(state, subscription)})
        )

    if not state.settings.validation:
        return settle(None)
    says = "Validation: Testing client application reachability for subscription Request-Id: "
    checks = [Check(url, says + state.make_guid()) for url in urls]
    return GraphAnswer(202, pending=Pending(checks, state.settings.validation_seconds, settle))


def list_all(state: State, grant: Grant) -> dict[str, Any]:
    return {
        "@odata.context": CONTEXT,
        "value": [show(state, each) for each in _live(state, grant.email) if each.client_id == grant.client_id],
    }


def find(state: State, grant: Grant, subscription_id: str) -> Subscription:
    live = {each.id: each for each in _live(state, grant.email) if each.client_id == grant.client_id}
    found = live.get(subscription_id)
    if found is None:
        raise GraphError(404, "ResourceNotFound", "The object was not found.")
    return found


def renew(state: State, subscription: Subscription, body: dict[str, Any]) -> dict[str, Any]:
    """PATCH: another expiration or URL. It reauthorizes, too."""
    if "lifecycleNotificationUrl" in body:
        raise _bad("The lifecycleNotificationUrl cannot be changed.")
    if "expirationDateTime" not in body and "notificationUrl" not in body:
        raise _bad("An expirationDateTime is needed.")
    if "expirationDateTime" in body:
        subscription.expires_at = _expiry(state, body["expirationDateTime"])
    if "notificationUrl" in body:
        subscription.notification_url = _check_url(body["notificationUrl"], "notificationUrl")
    subscription.suspended = False
    return {"@odata.context": f"{CONTEXT}/$entity", **show(state, subscription)}


def show(state: State, subscription: Subscription) -> dict[str, Any]:
    return {
        "id": subscription.id,
        "resource": subscription.resource,
        "applicationId": subscription.client_id,
        "changeType": ",".join(subscription.changes),
        "clientState": subscription.client_state,
        "notificationUrl": subscription.notification_url,
        "notificationQueryOptions": None,
        "lifecycleNotificationUrl": subscription.lifecycle_url,
        "expirationDateTime": show_stamp(subscription.expires_at),
        "creatorId": state.accounts[subscription.email].id,
        "includeResourceData": None,
        "latestSupportedTlsVersion": subscription.tls,
        "encryptionCertificate": None,
        "encryptionCertificateId": None,
        "notificationUrlAppId": None,
    }


def notify_subscribers(state: State) -> None:
    """Turn what has changed since the last call into items, one for each event and live subscription."""
    for (calendar_id, key), change in state.dirty.items():
        calendar = state.calendars[calendar_id]
        for email in (calendar.owner, *calendar.readers):
            for each in _live(state, email):
                watched = each.calendar_id == calendar.id or (each.calendar_id is None and email == calendar.owner)
                if watched and change in each.changes and not each.suspended:
                    _owe(state, each, calendar, key, change)
    state.dirty.clear()


def tell_lifecycle(state: State, subscription: Subscription, event: str) -> None:
    """Owe a lifecycle notification; without a URL for them there is none."""
    if event == "subscriptionRemoved":
        forget(state, subscription)
    if subscription.lifecycle_url is None:
        return
    item = {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": show_stamp(subscription.expires_at),
        "tenantId": subscription.tenant,
        "organizationId": subscription.tenant,
        "clientState": subscription.client_state,
        "lifecycleEvent": event,
        "resource": subscription.resource,
    }
    state.owed.append(Owed(subscription.lifecycle_url, item, lifecycle=True))
    if not state.push_rules.hold:
        state.wake()


def collect(state: State) -> list[Notice]:
    """What is to be posted now: the items owed, grouped by URL and cut to the size of a batch."""
    by_address: dict[str, list[dict[str, Any]]] = {}
    for owed in state.owed:
        by_address.setdefault(owed.address, []).append(owed.item)
    state.owed.clear()
    size = max(1, state.push_rules.batch)
    return [
        Notice(
            address,
            {"content-type": "application/json; charset=utf-8"},
            state.push_rules.delay,
            body=msgspec.json.encode({"value": items[first : first + size]}),
        )
        for address, items in by_address.items()
        for first in range(0, len(items), size)
    ]


def _owe(state: State, subscription: Subscription, calendar: Calendar, key: str, change: str) -> None:
    rules = state.push_rules
    if rules.lose_next > 0:
        rules.lose_next -= 1
        return
    if rules.lose and state.random.random() < rules.lose:
        return
    record = calendar.records.get(key)
    event_id = show_id(key, immutable=subscription.immutable)
    resource = f"Users/{state.accounts[calendar.owner].id}/Events/{event_id}"
    item = {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": show_stamp(subscription.expires_at),
        "changeType": change,
        "resource": resource,
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.Event",
            "@odata.id": resource,
            "@odata.etag": show_etag(change_key(calendar.id[-8:], record.revision if record else calendar.revision)),
            "id": event_id,
        },
        "clientState": subscription.client_state,
        "tenantId": subscription.tenant,
    }
    copies = 2 if rules.duplicate and state.random.random() < rules.duplicate else 1
    state.owed += [Owed(subscription.notification_url, item) for _ in range(copies)]
    if not rules.hold:
        state.wake()


def forget(state: State, subscription: Subscription) -> None:
    state.subscriptions.get(subscription.email, {}).pop(subscription.id, None)


def _live(state: State, email: str) -> list[Subscription]:
    now = state.now()
    for each in list(state.subscriptions.get(email, {}).values()):
        if each.expires_at <= now:
            forget(state, each)
    return list(state.subscriptions.get(email, {}).values())


def _read(state: State, grant: Grant, account: Account, body: dict[str, Any], *, immutable: bool) -> Subscription:
    changes = [each.strip() for each in str(body.get("changeType") or "").split(",") if each.strip()]
    if not changes or set(changes) - CHANGES:
        raise _bad("The changeType must be of: created, updated, deleted.")
    if len(str(body.get("clientState") or "")) > 128:
        raise _bad("The clientState has more than 128 characters.")
    lifecycle = body.get("lifecycleNotificationUrl")
    return Subscription(
        id=state.make_guid(),
        email=account.email,
        client_id=grant.client_id,
        tenant=account.tenant,
        resource=str(body.get("resource") or ""),
        calendar_id=_read_resource(state, account, str(body.get("resource") or "")),
        changes=changes,
        notification_url=_check_url(body.get("notificationUrl"), "notificationUrl"),
        lifecycle_url=_check_url(lifecycle, "lifecycleNotificationUrl") if lifecycle else None,
        client_state=body.get("clientState"),
        expires_at=_expiry(state, body.get("expirationDateTime")),
        immutable=immutable,
        tls=body.get("latestSupportedTlsVersion") or "v1_2",
    )


def _read_resource(state: State, account: Account, resource: str) -> str | None:
    """The calendar to watch, or None for all of the mailbox."""
    found = RESOURCE.fullmatch(resource.strip("/"))
    if found is None:
        raise _bad(f"Resource '{resource}' is not supported.")
    find_mailbox(state, unquote(found["user"]) if found["user"] else None, account)
    if found["calendar"] is None:
        return account.default_calendar if "/calendar/" in resource.lower() else None
    if not state.settings.calendar_subscriptions:
        raise _bad(f"Resource '{resource}' is not supported.")
    return find_calendar(state, unquote(found["calendar"]), account).id


def _check_room(state: State, wanted: Subscription) -> None:
    live = _live(state, wanted.email)
    for each in live:
        if each.combination == wanted.combination:
            message = f"Subscription Id {each.id} already exists for the requested combination"
            raise GraphError(409, "ObjectIdentifierInUse", message)
    if len(live) >= state.settings.subscriptions:
        raise GraphError(403, "ExtensionError", "Operation: Create; Exception: [Status Code: Forbidden; Reason: Quota]")


def _check_url(url: Any, name: str) -> str:
    parts = urlsplit(str(url or ""))
    if not parts.hostname:
        raise _bad(f"The {name} is not a URL.")
    if parts.scheme != "https" and not _is_loopback(parts.hostname):
        raise _bad(f"The {name} must be an https URL.")
    return str(url)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _expiry(state: State, asked: Any) -> datetime:
    """What the caller asked for, raised to the least that Graph grants."""
    try:
        expires = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(asked)))
        expires = expires if expires.tzinfo is not None else expires.replace(tzinfo=state.now().tzinfo)
    except ValueError as error:
        raise _bad("The expirationDateTime cannot be read.") from error
    now, most = state.now(), state.settings.most_minutes
    if expires <= now:
        raise _bad("Subscription expiration must be in the future.")
    if expires > now + timedelta(minutes=most):
        raise _bad(f"Subscription expiration can only be {most} minutes in the future.")
    return max(expires, now + SHORTEST)


def _bad(message: str) -> GraphError:
    return GraphError(400, "InvalidRequest", message)
