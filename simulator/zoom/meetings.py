"""Users and meetings: what each endpoint answers, and whose share of requests it takes."""

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from simulator.zoom.state import Account, Meeting, State, ZoomError

WITHOUT_TIME = 3
TYPES = {1, 2, WITHOUT_TIME, 8}
LISTED_AGENDA = 250
"""Characters of an agenda that a list shows."""

DEFAULTS: dict[str, Any] = {
    "join_before_host": False,
    "waiting_room": True,
    "mute_upon_entry": False,
    "auto_recording": "none",
    "meeting_authentication": False,
}
_CHANGED = ("topic", "type", "start_time", "duration", "timezone", "agenda", "password", "recurrence")


def spend(state: State, email: str) -> None:
    """Count a request. Raises ZoomError when there were too many within a second."""
    if state.settings.per_second is None:
        return
    now = state.now().timestamp()
    spent = state.spent.setdefault(email, deque())
    while spent and spent[0] <= now - 1:
        spent.popleft()
    if len(spent) >= state.settings.per_second:
        message = "You have reached the maximum per-second rate limit for this API. Try again later."
        raise ZoomError(429, 429, message, {"X-RateLimit-Type": "QPS"})
    spent.append(now)


def spend_write(state: State, email: str) -> None:
    """Count a meeting that is made or changed. Raises ZoomError when the day's share is used up."""
    now = state.now()
    day = f"{now:%Y-%m-%d}"
    if state.written[email, day] >= state.settings.writes_per_day:
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        message = (
            f"You have exceeded the daily rate limit ({state.settings.writes_per_day}) of Meeting Create/Update API "
            "requests permitted for this particular user."
        )
        headers = {"X-RateLimit-Type": "Daily-limit", "Retry-After": f"{midnight:%Y-%m-%dT%H:%M:%SZ}"}
        raise ZoomError(429, 429, message, headers)
    state.written[email, day] += 1


def show_user(account: Account) -> dict[str, Any]:
    first, _, last = account.name.partition(" ")
    return {
        "id": account.id,
        "first_name": first,
        "last_name": last,
        "email": account.email,
        "type": 2,
        "timezone": account.time_zone,
        "status": "active",
        "account_id": f"acc-{account.id}",
    }


def make_meeting(state: State, account: Account, body: dict[str, Any]) -> dict[str, Any]:
    """Raises ZoomError."""
    _check(body)
    number = state.random.randrange(81_000_000_000, 89_999_999_999)
    meeting = Meeting(
        number,
        f"{state.make_secret(10)}/{state.make_secret(11)}==",
        account.email,
        {"type": 2, "topic": "Zoom Meeting", "duration": 60, "timezone": account.time_zone},
        dict(DEFAULTS),
        str(body.get("password") or f"{state.random.randrange(100_000, 999_999)}"),
        state.now(),
    )
    state.meetings[number] = meeting
    change_meeting(account, meeting, body)
    return show_meeting(account, meeting)


def change_meeting(account: Account, meeting: Meeting, body: dict[str, Any]) -> None:
    """What the account's policy decides stays as it is, and nobody is told."""
    _check(body)
    meeting.body |= {name: body[name] for name in _CHANGED if name in body}
    meeting.settings |= {**(body.get("settings") or {}), **account.policy}


def find_meeting(state: State, account: Account, text: str) -> Meeting:
    """Raises ZoomError."""
    meeting = state.meetings.get(int(text)) if text.isascii() and text.isdecimal() else None
    if meeting is None or meeting.email != account.email:
        raise ZoomError(404, 3001, f"Meeting does not exist: {text}.")
    return meeting


def show_meeting(account: Account, meeting: Meeting) -> dict[str, Any]:
    start = start_of(meeting)
    return {
        "uuid": meeting.uuid,
        "id": meeting.id,
        "host_id": account.id,
        "host_email": account.email,
        **meeting.body,
        **({"start_time": f"{start:%Y-%m-%dT%H:%M:%SZ}"} if start else {}),
        "status": "waiting",
        "created_at": f"{meeting.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "start_url": f"https://us02web.zoom.us/s/{meeting.id}?zak=host-secret-{meeting.uuid[:8]}",
        "join_url": f"https://us02web.zoom.us/j/{meeting.id}?pwd={meeting.uuid[:10]}",
        "password": meeting.password,
        "settings": meeting.settings,
    }


def list_meetings(state: State, account: Account, query: dict[str, list[str]]) -> dict[str, Any]:
    """`upcoming` has no meeting without a time; `scheduled` has all of them, also those of the past."""
    kind = query.get("type", ["scheduled"])[-1]
    if kind not in {"scheduled", "upcoming", "live", "upcoming_meetings", "previous_meetings"}:
        raise ZoomError(400, 300, "Validation Failed.")
    try:
        size = min(int(query.get("page_size", ["30"])[-1]), state.settings.largest_page)
        first = int(query.get("next_page_token", [""])[-1].removeprefix("page-") or 0)
    except ValueError:
        raise ZoomError(400, 300, "The next page token is invalid or expired.") from None
    own = [each for each in state.meetings.values() if each.email == account.email and _is_listed(state, each, kind)]
    own.sort(key=lambda each: (start_of(each) or each.created_at, each.id))
    rows = []
    for each in own[first : first + size]:
        whole = show_meeting(account, each)
        shown = {name: value for name, value in whole.items() if name not in {"settings", "password", "start_url"}}
        rows.append({**shown, "agenda": str(shown.get("agenda") or "")[:LISTED_AGENDA]})
    more = f"page-{first + size}" if first + size < len(own) else ""
    return {"page_size": size, "total_records": len(own), "next_page_token": more, "meetings": rows}


def start_of(meeting: Meeting) -> datetime | None:
    """When it begins (UTC); a time without a zone is in the meeting's own."""
    text = meeting.body.get("start_time")
    if not text or meeting.body.get("type") == WITHOUT_TIME:
        return None
    start = datetime.fromisoformat(text)
    return start.replace(tzinfo=start.tzinfo or ZoneInfo(meeting.body.get("timezone") or "UTC")).astimezone(UTC)


def _is_listed(state: State, meeting: Meeting, kind: str) -> bool:
    start = start_of(meeting)
    if kind == "scheduled":
        return True
    if start is None or kind == "live":
        return False
    is_over = start + timedelta(minutes=meeting.body.get("duration", 60)) <= state.now()
    return is_over == (kind == "previous_meetings")


def _check(body: dict[str, Any]) -> None:
    """Raises ZoomError as Zoom does for what it cannot take."""
    errors = []
    if body.get("type", 2) not in TYPES:
        errors.append({"field": "type", "message": "Invalid field."})
    if len(str(body.get("topic", ""))) > 200:
        errors.append({"field": "topic", "message": "Topic can have up to 200 characters."})
    if len(str(body.get("agenda", ""))) > 2000:
        errors.append({"field": "agenda", "message": "Agenda can have up to 2000 characters."})
    recording = (body.get("settings") or {}).get("auto_recording", "none")
    if recording not in {"none", "local", "cloud"}:
        errors.append({"field": "auto_recording", "message": "Invalid field."})
    try:
        if body.get("start_time"):
            datetime.fromisoformat(body["start_time"])
        if body.get("timezone"):
            ZoneInfo(body["timezone"])
    except (ValueError, KeyError, OSError):
        errors.append({"field": "start_time", "message": "Invalid field."})
    if errors:
        raise ZoomError(400, 300, "Validation Failed.")
