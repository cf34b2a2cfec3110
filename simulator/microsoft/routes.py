"""Every request to the fake Microsoft goes through `handle`: faults, credentials, limits, endpoint, call log."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from simulator.google.answers import Answer, Request, as_json
from simulator.google.faults import Fault, bend, pick_fault
from simulator.google.state import Call
from simulator.microsoft.access import find_mailbox
from simulator.microsoft.answers import GraphAnswer, Pending
from simulator.microsoft.consent import authorize, redeem
from simulator.microsoft.delta import location_of
from simulator.microsoft.endpoints import ENDPOINTS, Context
from simulator.microsoft.errors import GraphError, LoginError, access_denied, invalid, sync_state_gone
from simulator.microsoft.faults import retry_after, strike
from simulator.microsoft.login import bearer, peek_token, refresh
from simulator.microsoft.refusals import describe
from simulator.microsoft.state import AccessToken, State
from simulator.microsoft.subscriptions import notify_subscribers
from simulator.microsoft.throttling import spend
from simulator.microsoft.views import read_preference

API_ROOT = "/v1.0/"
TOKEN_PATH = re.compile(r"/([^/]+)/oauth2/v2\.0/token")
CONSENT_PATH = re.compile(r"/([^/]+)/oauth2/v2\.0/authorize")
USER = r"(?:me|users/(?P<user>[^/]+))"
CALENDAR = rf"{USER}(?:/calendar|/calendars/(?P<calendar>[^/]+))?"
EVENT = rf"{CALENDAR}/events/(?P<event>[^/]+)"
ROUTES = [
    (method, re.compile(path), name)
    for method, path, name in (
        ("GET", rf"{CALENDAR}/calendarView/delta(?:\(\))?", "calendarView.delta"),
        ("GET", rf"{CALENDAR}/calendarView", "calendarView.list"),
        ("GET", USER, "me.get"),
        ("POST", rf"{USER}/calendar/getSchedule", "calendar.getSchedule"),
        ("GET", rf"{USER}/calendars", "calendars.list"),
        ("GET", rf"{USER}/(?:calendar|calendars/(?P<calendar>[^/]+))", "calendars.get"),
        ("GET", rf"{CALENDAR}/events", "events.list"),
        ("POST", rf"{CALENDAR}/events", "events.insert"),
        ("GET", EVENT, "events.get"),
        ("PATCH", EVENT, "events.patch"),
        ("DELETE", EVENT, "events.delete"),
        ("GET", rf"{EVENT}/instances", "events.instances"),
        ("POST", rf"{EVENT}/cancel", "events.cancel"),
        ("POST", rf"{EVENT}/(?P<answer>accept|decline|tentativelyAccept)", "events.respond"),
        ("GET", "subscriptions", "subscriptions.list"),
        ("POST", "subscriptions", "subscriptions.create"),
        ("GET", r"subscriptions/(?P<subscription>[^/]+)", "subscriptions.get"),
        ("PATCH", r"subscriptions/(?P<subscription>[^/]+)", "subscriptions.renew"),
        ("DELETE", r"subscriptions/(?P<subscription>[^/]+)", "subscriptions.delete"),
        ("POST", r"subscriptions/(?P<subscription>[^/]+)/reauthorize", "subscriptions.reauthorize"),
    )
]
WRITING = {"events.insert", "events.patch", "events.delete", "events.cancel", "events.respond"}
READERS = {"Calendars.Read", "Calendars.ReadWrite", "Calendars.Read.Shared", "Calendars.ReadWrite.Shared"}


def handle(state: State, request: Request) -> Answer:
    """Answer one request, whatever happens, and note it in the call log. A new subscription's answer is pending."""
    endpoint, names = find_endpoint(request)
    form = dict(parse_qsl(request.body.decode())) if endpoint == "token" else {}
    account = _guess_account(state, request, form)
    calendar_id = names.get("calendar") or (state.accounts[account].default_calendar if account else None)
    fault = pick_fault(state.faults, state.random, endpoint, account, calendar_id)
    struck = _strike(state, fault, request) if fault is not None else None

    def finish(real: Answer) -> Answer:
        answer = struck or (bend(fault, real) if fault is not None and fault.preset != "looping_next_link" else real)
        if fault is not None:
            answer.fault = fault.preset
            answer.headers |= fault.headers
        notify_subscribers(state)
        _note(state, request, endpoint, account, calendar_id, answer)
        return _occupy(state, endpoint, account, answer)

    if struck is not None and fault is not None and not fault.after:
        return finish(struck)
    looping = fault is not None and fault.preset == "looping_next_link"
    real = _guarded(state, request, lambda: _answer(state, request, endpoint, names, form, looping=looping))
    if isinstance(real, GraphAnswer) and real.pending is not None:
        settle = real.pending.settle
        real.pending = Pending(
            real.pending.checks,
            real.pending.seconds,
            lambda failure: finish(_guarded(state, request, lambda: settle(failure))),
        )
        return real
    return finish(real)


def find_endpoint(request: Request) -> tuple[str, dict[str, str]]:
    """The endpoint's name with what its path names: tenant, user, calendar, event, subscription."""
    found = TOKEN_PATH.fullmatch(request.path)
    if found is not None and request.method == "POST":
        return "token", {"tenant": unquote(found[1])}
    found = CONSENT_PATH.fullmatch(request.path)
    if found is not None and request.method in {"GET", "POST"}:
        return "authorize", {"tenant": unquote(found[1])}
    path = request.path.removeprefix(API_ROOT)
    for method, pattern, name in ROUTES:
        found = pattern.fullmatch(path) if method == request.method and path != request.path else None
        if found is not None:
            return name, {key: unquote(value) for key, value in found.groupdict().items() if value is not None}
    return "unknown", {}


def _answer(
    state: State, request: Request, endpoint: str, names: dict[str, str], form: dict[str, str], *, looping: bool
) -> Answer:
    if endpoint == "authorize":
        return authorize(state, names["tenant"], request)
    if endpoint == "token":
        give = redeem if form.get("grant_type") == "authorization_code" else refresh
        return as_json(200, give(state, names["tenant"], form))
    access = bearer(state, request.headers.get("authorization"))
    account = state.accounts[access.grant.email]
    spend(state, access.grant.client_id, account.email)
    _check_scope(endpoint, access)
    if endpoint.startswith(("calendar", "events")):
        find_mailbox(state, names.get("user"), account)
    prefer = read_preference(request.headers.get("prefer"), account, state.settings.zone_without_preference)
    context = Context(state, access.grant, account, request, names, _read_body(request), prefer, looping)
    value = ENDPOINTS[endpoint](context)
    if isinstance(value, Answer):
        return value
    return Answer(204) if value is None else as_json(200, value)


def _guarded(state: State, request: Request, act: Callable[[], Answer]) -> Answer:
    try:
        return act()
    except (GraphError, LoginError) as error:
        return refuse(state, request, error)


def refuse(state: State, request: Request, error: GraphError | LoginError) -> Answer:
    """An error as Microsoft words it, with ids and time for its support."""
    ids = (state.make_guid(), request.headers.get("client-request-id") or state.make_guid())
    if isinstance(error, LoginError):
        status, body = describe(error.number, error.message, ids, state.now().strftime("%Y-%m-%d %H:%M:%SZ"))
        return as_json(status, body)
    body = error.body()
    inner = {"date": state.now().strftime("%Y-%m-%dT%H:%M:%S"), "request-id": ids[0], "client-request-id": ids[1]}
    body["error"]["innerError"] = inner
    answer = as_json(error.status, body)
    answer.headers = {"request-id": ids[0], "client-request-id": ids[1], **error.headers}
    return answer


def _strike(state: State, fault: Fault, request: Request) -> Answer | None:
    """The answer of a fault that needs no real one."""
    if fault.preset == "sync_state_410_location":
        return refuse(state, request, sync_state_gone(410, {"Location": location_of(request)}))
    refusal = strike(fault)
    if refusal is None or isinstance(refusal, Answer):
        return refusal
    answer = refuse(state, request, refusal)
    answer.headers |= retry_after(fault, state.settings.retry_after)
    return answer


def _occupy(state: State, endpoint: str, account: str | None, answer: Answer) -> Answer:
    """An answer that takes its time keeps the mailbox busy, until whoever carries it calls `release`."""
    slow = bool(state.settings.latency and endpoint.startswith(("calendar", "events")) and answer.status < 400)
    answer.delay = answer.delay or (state.settings.latency if slow else 0)
    if account is None or endpoint in {"token", "authorize"} or not (answer.delay or answer.hang):
        return answer
    state.under_way[account] += 1
    return GraphAnswer(
        answer.status,
        answer.body,
        answer.content_type,
        answer.headers,
        answer.delay,
        answer.hang,
        answer.cut,
        answer.fault,
        mailbox=account,
    )


def _note(
    state: State, request: Request, endpoint: str, account: str | None, calendar_id: str | None, answer: Answer
) -> None:
    state.counters[endpoint] += 1
    state.calls.append(Call(state.now(), endpoint, account, calendar_id, answer.status, request.query, answer.fault))


def _check_scope(endpoint: str, access: AccessToken) -> None:
    held = set(access.scopes)
    if endpoint == "me.get":
        if not held & {"User.Read", "User.ReadWrite"}:
            raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    elif endpoint in WRITING:
        if not held & {"Calendars.ReadWrite", "Calendars.ReadWrite.Shared"}:
            raise access_denied()
    elif endpoint == "subscriptions.create" and not held & READERS:
        raise GraphError(
            403, "ExtensionError", "Operation: Create; Exception: [Status Code: Forbidden; Reason: Access denied.]"
        )
    elif endpoint.startswith(("calendar", "events")) and not held & READERS:
        raise access_denied()


def _read_body(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        body = msgspec.json.decode(request.body)
    except msgspec.DecodeError as error:
        raise invalid("Unable to read JSON request payload.", "BadRequest") from error
    if not isinstance(body, dict):
        raise invalid("Unable to read JSON request payload.", "BadRequest")
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
