"""Every request to the fake Google goes through `handle`: faults, credentials, quota, endpoint, call log."""

from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from simulator.google.answers import Answer, Request, as_json
from simulator.google.channels import notify_watchers
from simulator.google.consent import PATH as CONSENT_PATH
from simulator.google.consent import authorize, redeem
from simulator.google.endpoints import ENDPOINTS, Context
from simulator.google.errors import GoogleError, OAuthError, insufficient_scope, invalid, not_found
from simulator.google.faults import bend, pick_fault, strike
from simulator.google.fields import parse_fields, select_fields
from simulator.google.oauth import bearer_grant, peek_token, refresh, revoke
from simulator.google.quotas import spend
from simulator.google.state import CALENDAR_SCOPE, Call, Grant, State

API_ROOT = "/calendar/v3/"
SCOPES = {
    "calendarList": {"", ".readonly", ".calendarlist", ".calendarlist.readonly"},
    "calendars": {"", ".readonly", ".calendars", ".calendars.readonly"},
    "events.read": {"", ".readonly", ".events", ".events.readonly"},
    "events.write": {"", ".events"},
    "freebusy": {"", ".readonly", ".freebusy", ".events.freebusy"},
}
READING = {"events.list", "events.get", "events.instances", "events.watch"}
ROUTES = [
    (method, tuple(path.split("/")), name)
    for method, path, name in (
        ("GET", "calendars/{calendar}/events", "events.list"),
        ("GET", "users/me/calendarList", "calendarList.list"),
        ("GET", "users/me/calendarList/{calendar}", "calendarList.get"),
        ("POST", "channels/stop", "channels.stop"),
        ("GET", "calendars/{calendar}", "calendars.get"),
        ("POST", "calendars/{calendar}/events", "events.insert"),
        ("POST", "calendars/{calendar}/events/watch", "events.watch"),
        ("POST", "calendars/{calendar}/events/quickAdd", "events.quickAdd"),
        ("POST", "freeBusy", "freebusy.query"),
        ("GET", "calendars/{calendar}/events/{event}/instances", "events.instances"),
        ("GET", "calendars/{calendar}/events/{event}", "events.get"),
        ("PATCH", "calendars/{calendar}/events/{event}", "events.patch"),
        ("PUT", "calendars/{calendar}/events/{event}", "events.update"),
        ("DELETE", "calendars/{calendar}/events/{event}", "events.delete"),
    )
]
KINDS = {
    "events.list": "calendar#events",
    "events.instances": "calendar#events",
    "calendarList.list": "calendar#calendarList",
    "calendarList.get": "calendar#calendarListEntry",
    "calendars.get": "calendar#calendar",
    "events.watch": "api#channel",
    "freebusy.query": "calendar#freeBusy",
}


def handle(state: State, request: Request) -> Answer:
    """Answer one request, whatever happens, and note it in the call log."""
    endpoint, calendar_id, event_id = find_endpoint(request)
    form = dict(parse_qsl(request.body.decode())) if endpoint in {"token", "revoke"} else {}
    account = _guess_account(state, request, form)
    fault = pick_fault(state.faults, state.random, endpoint, account, _resolve(calendar_id, account))
    answer = strike(fault) if fault is not None else None
    if answer is None or (fault is not None and fault.after):
        real = _answer(state, request, endpoint, calendar_id, event_id, form)
        answer = answer or (bend(fault, real) if fault is not None else real)
        notify_watchers(state)
    state.counters[endpoint] += 1
    state.calls.append(
        Call(
            state.now(),
            endpoint,
            account,
            calendar_id,
            answer.status,
            request.query,
            fault.preset if fault is not None else None,
        )
    )
    return answer


def find_endpoint(request: Request) -> tuple[str, str | None, str | None]:
    """The endpoint's name as the discovery document spells it, with calendar and event id."""
    if request.path in {"/token", "/revoke"} and request.method == "POST":
        return request.path[1:], None, None
    if request.path == CONSENT_PATH and request.method in {"GET", "POST"}:
        return "authorize", None, None
    if request.path.startswith(API_ROOT):
        parts = [unquote(part) for part in request.path[len(API_ROOT) :].split("/")]
        for method, template, name in ROUTES:
            if method == request.method and len(template) == len(parts):
                found = dict(zip(template, parts, strict=True))
                if all(word == part or word[0] == "{" for word, part in found.items()):
                    return name, found.get("{calendar}"), found.get("{event}")
    return "unknown", None, None


def _answer(
    state: State, request: Request, endpoint: str, calendar_id: str | None, event_id: str | None, form: dict[str, str]
) -> Answer:
    try:
        if endpoint == "authorize":
            return authorize(state, request)
        if endpoint == "token":
            give = redeem if form.get("grant_type") == "authorization_code" else refresh
            return as_json(200, give(state, form))
        if endpoint == "revoke":
            revoke(state, form.get("token", "") or request.query.get("token", [""])[0])
            return as_json(200, {})
        return _answer_api(state, request, endpoint, calendar_id, event_id)
    except (GoogleError, OAuthError) as error:
        return as_json(error.status, error.body())


def _answer_api(state: State, request: Request, endpoint: str, calendar_id: str | None, event_id: str | None) -> Answer:
    if endpoint == "unknown":
        raise not_found()
    grant = bearer_grant(state, request.headers.get("authorization"))
    client = state.clients[grant.client_id]
    spend(state, client.project, grant.email)
    if not state.settings.api_enabled:
        raise GoogleError(
            403,
            "accessNotConfigured",
            "Google Calendar API has not been used in this project before or it is disabled.",
            domain="usageLimits",
            extra={"status": "PERMISSION_DENIED"},
        )
    _check_scope(endpoint, grant)
    fields = request.query.get("fields", [""])[-1]
    if fields:
        parse_fields(fields, KINDS.get(endpoint, "calendar#event"))
    context = Context(state, grant.email, client, request, calendar_id or "", event_id or "", _read_body(request))
    value = ENDPOINTS[endpoint](context)
    if value is None:
        return Answer(204)
    if fields:
        value = select_fields(fields, KINDS.get(endpoint, "calendar#event"), value)
    return as_json(200, value)


def _check_scope(endpoint: str, grant: Grant) -> None:
    if endpoint == "channels.stop":
        return
    group = endpoint.split(".", maxsplit=1)[0]
    if group == "events":
        group = "events.read" if endpoint in READING else "events.write"
    if not any(CALENDAR_SCOPE + suffix in grant.scopes for suffix in SCOPES[group]):
        raise insufficient_scope()


def _read_body(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        body = msgspec.json.decode(request.body)
    except msgspec.DecodeError as error:
        raise GoogleError(400, "parseError", "Parse Error") from error
    if not isinstance(body, dict):
        raise invalid("Bad Request")
    return body


def _guess_account(state: State, request: Request, form: dict[str, str]) -> str | None:
    """Whose request this is, right or wrong, so that faults may be aimed at an account."""
    access = peek_token(state, request.headers.get("authorization"))
    if access is not None:
        return access.grant.email
    code = state.codes.get(form.get("code", ""))
    if code is not None:
        return code.email
    grant = state.refresh_tokens.get(form.get("refresh_token", ""))
    return grant.email if grant is not None else None


def _resolve(calendar_id: str | None, account: str | None) -> str | None:
    return account if calendar_id == "primary" else calendar_id
