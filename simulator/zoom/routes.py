"""Every request to the fake Zoom goes through `handle`: faults, credentials, shares of requests, endpoint, call log."""

from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from simulator.google.answers import Answer, Request, as_json
from simulator.google.faults import Fault, bend, pick_fault
from simulator.zoom.meetings import (
    change_meeting,
    find_meeting,
    list_meetings,
    make_meeting,
    show_meeting,
    show_user,
    spend,
    spend_write,
)
from simulator.zoom.oauth import answer_token, authorize, bearer, peek, revoke
from simulator.zoom.state import Call, State, TokenError, ZoomError

AUTHORIZE_PATH = "/oauth/authorize"
PREFIXES = ("/oauth/", "/v2/")
OAUTH = {"/oauth/token": "token", "/oauth/revoke": "revoke"}
SCOPES = {
    "users.me": {"user:read"},
    "meetings.list": {"meeting:read"},
    "meetings.get": {"meeting:read"},
    "meetings.create": {"meeting:write"},
    "meetings.update": {"meeting:write"},
    "meetings.delete": {"meeting:write"},
}
REFUSALS: dict[str, tuple[int, dict[str, Any], dict[str, str]]] = {
    "invalid_grant": (400, {"reason": "Invalid Token!", "error": "invalid_grant"}, {}),
    "grant_4735": (400, {"code": 4735, "message": "Invalid refresh token."}, {}),
    "grant_4741": (400, {"code": 4741, "message": "The token has been revoked."}, {}),
    "invalid_client": (401, {"reason": "Invalid client_id or client_secret", "error": "invalid_client"}, {}),
    "client_4702": (400, {"code": 4702, "message": "Invalid client."}, {}),
    "client_4717": (400, {"code": 4717, "message": "The app has been disabled."}, {}),
    "unauthorized_401": (401, {"code": 124, "message": "Invalid access token."}, {}),
    "scope_400": (400, {"code": 4711, "message": "Invalid access token, does not contain scopes."}, {}),
    "scope_401": (401, {"code": 4700, "message": "Token does not contain scopes."}, {}),
    "validation_400": (400, {"code": 300, "message": "Validation Failed."}, {}),
    "refused_400": (400, {"code": 3000, "message": "Cannot access meeting information."}, {}),
    "user_404": (404, {"code": 1001, "message": "User does not exist."}, {}),
    "meeting_404": (404, {"code": 3001, "message": "Meeting does not exist."}, {}),
    "qps_429": (429, {"code": 429, "message": "Too many requests."}, {"X-RateLimit-Type": "QPS"}),
    "error_500": (500, {"code": 500, "message": "Internal error."}, {}),
    "error_502": (502, {"message": "Bad gateway"}, {}),
    "error_503": (503, {"message": "Service unavailable"}, {}),
}
WIRE_PRESETS = ("latency", "hang", "broken_page", "truncated_page", "lost_answer", "html_200", "custom")
PRESETS = sorted([*REFUSALS, *WIRE_PRESETS])


def handle(state: State, request: Request) -> Answer:
    """Answer one request, whatever happens, and note it in the call log."""
    endpoint, meeting_id = find_endpoint(request)
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"))) if endpoint in {"token", "revoke"} else {}
    account = _guess_account(state, request, form)
    fault = pick_fault(state.faults, state.random, endpoint, account, None)
    answer = strike(fault) if fault is not None else None
    if answer is None or (fault is not None and fault.after):
        real = _answer(state, request, endpoint, meeting_id, form)
        answer = answer or (bend(fault, real) if fault is not None else real)
    state.counters[endpoint] += 1
    shown = {name: values for name, values in request.query.items() if endpoint != "authorize"}
    preset = fault.preset if fault is not None else None
    state.calls.append(Call(state.now(), endpoint, account, answer.status, shown, preset))
    return answer


def find_endpoint(request: Request) -> tuple[str, str]:
    """The endpoint's name, and the id of the meeting in its path."""
    if request.path == AUTHORIZE_PATH and request.method in {"GET", "POST"}:
        return "authorize", ""
    if request.path in OAUTH and request.method == "POST":
        return OAUTH[request.path], ""
    if request.path == "/v2/users/me" and request.method == "GET":
        return "users.me", ""
    if request.path == "/v2/users/me/meetings":
        return {"GET": "meetings.list", "POST": "meetings.create"}.get(request.method, "unknown"), ""
    head, _, name = request.path.rpartition("/")
    if head == "/v2/meetings" and name:
        kinds = {"GET": "meetings.get", "PATCH": "meetings.update", "DELETE": "meetings.delete"}
        return kinds.get(request.method, "unknown"), unquote(name)
    return "unknown", ""


def strike(fault: Fault) -> Answer | None:
    """The answer of a fault that needs no real one; None when the real answer is to be bent."""
    if fault.preset in REFUSALS:
        status, body, headers = REFUSALS[fault.preset]
        answer = as_json(status, body)
        answer.headers |= headers
    elif fault.preset == "html_200":
        answer = Answer(200, b"<!doctype html><title>Sign in</title>", "text/html; charset=utf-8")
    elif fault.preset == "hang":
        answer = Answer(200, hang=True)
    elif fault.preset == "custom":
        answer = as_json(fault.status or 500, fault.body)
    else:
        return None
    answer.headers |= fault.headers
    answer.fault = fault.preset
    return answer


def _answer(state: State, request: Request, endpoint: str, meeting_id: str, form: dict[str, str]) -> Answer:
    authorization = request.headers.get("authorization")
    try:
        if endpoint == "authorize":
            return authorize(state, request)
        if endpoint == "token":
            return as_json(200, answer_token(state, authorization, form))
        if endpoint == "revoke":
            return as_json(200, revoke(state, authorization, form.get("token", "")))
        return _answer_api(state, request, endpoint, meeting_id)
    except TokenError as error:
        return as_json(error.status, error.body())
    except ZoomError as error:
        answer = as_json(error.status, error.body())
        answer.headers |= error.headers
        return answer


def _answer_api(state: State, request: Request, endpoint: str, meeting_id: str) -> Answer:
    if endpoint == "unknown":
        raise ZoomError(404, 2300, "This API endpoint is not recognized.")
    grant = bearer(state, request.headers.get("authorization"))
    if not SCOPES[endpoint] <= {scope.removesuffix(":admin") for scope in grant.scopes}:
        raise ZoomError(400, 4711, f"Invalid access token, does not contain scopes:{sorted(SCOPES[endpoint])}.")
    spend(state, grant.email)
    account = state.accounts.get(grant.email)
    if account is None:
        raise ZoomError(404, 1001, f"User does not exist: {grant.email}.")
    if endpoint == "users.me":
        return as_json(200, show_user(account))
    if endpoint == "meetings.list":
        return as_json(200, list_meetings(state, account, request.query))
    if endpoint == "meetings.create":
        body = _read_body(request)
        spend_write(state, account.email)
        return as_json(201, make_meeting(state, account, body))
    meeting = find_meeting(state, account, meeting_id)
    if endpoint == "meetings.get":
        return as_json(200, show_meeting(account, meeting))
    if endpoint == "meetings.update":
        body = _read_body(request)
        spend_write(state, account.email)
        change_meeting(account, meeting, body)
    else:
        del state.meetings[meeting.id]
    return Answer(204)


def _read_body(request: Request) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(request.body)
    except msgspec.DecodeError:
        body = None
    if not isinstance(body, dict):
        raise ZoomError(400, 300, "Request Body should be a valid JSON object.")
    return body


def _guess_account(state: State, request: Request, form: dict[str, str]) -> str | None:
    """Whose request this is, right or wrong, so that faults may be aimed at an account."""
    access = peek(state, request.headers.get("authorization"))
    if access is not None:
        return access.grant.email
    grant = state.refresh_tokens.get(form.get("refresh_token", ""))
    return grant.email if grant is not None else None
