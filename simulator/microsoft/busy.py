"""getSchedule: when the owners of mailboxes are busy, by their addresses."""

from typing import Any

from simulator.microsoft.errors import GraphError, access_denied, invalid
from simulator.microsoft.listing import METADATA
from simulator.microsoft.moments import Moment, parse_moment, show_moment
from simulator.microsoft.rows import body_of, view
from simulator.microsoft.state import Account, State
from simulator.microsoft.views import Preference

LONGEST = 62 * 86400
VIEW = {"free": "0", "tentative": "1", "busy": "2", "oof": "3", "workingElsewhere": "4"}


def read_schedules(state: State, account: Account, body: dict[str, Any], prefer: Preference) -> dict[str, Any]:
    """The answer to a question of a work account; a personal one has no schedules."""
    if account.personal:
        raise access_denied()
    schedules = body.get("schedules")
    if not isinstance(schedules, list) or not schedules or not all(isinstance(each, str) for each in schedules):
        raise invalid("The schedules are missing.", "ErrorInvalidRequest")
    start = parse_moment(body.get("startTime"), "startTime", all_day=False)
    end = parse_moment(body.get("endTime"), "endTime", all_day=False)
    interval = body.get("availabilityViewInterval", 30)
    if not isinstance(interval, int) or not 5 <= interval <= 1440:
        raise invalid("The availabilityViewInterval must be between 5 and 1440.", "ErrorInvalidRequest")
    if end.at <= start.at:
        raise invalid("The end must be after the start.", "ErrorInvalidRequest")
    if end.at - start.at > LONGEST:
        raise GraphError(400, "ErrorTimeWindowTooLarge", "The requested time duration is not within the 62 days limit.")
    found = [_schedule(state, each, (start, end), interval * 60, prefer) for each in schedules]
    return {"@odata.context": f"{METADATA}#Collection(microsoft.graph.scheduleInformation)", "value": found}


def _schedule(
    state: State, address: str, window: tuple[Moment, Moment], step: int, prefer: Preference
) -> dict[str, Any]:
    owner = next(
        (each for each in state.accounts.values() if address.lower() in {each.email.lower(), each.upn.lower()}), None
    )
    if owner is None or owner.mailbox != "ok":
        error = {"message": "The recipient was not found.", "responseCode": "ErrorMailRecipientNotFound"}
        return {
            "scheduleId": address,
            "availabilityView": "",
            "scheduleItems": None,
            "workingHours": None,
            "error": error,
        }
    low, high = window[0].at, window[1].at
    calendar = state.calendars[owner.default_calendar]
    bodies = [body_of(calendar, row) for row in view(state, calendar, low, high)]
    items = [
        {
            "status": body["showAs"],
            "start": show_moment(body["start"], prefer.zone),
            "end": show_moment(body["end"], prefer.zone),
            "isPrivate": body["sensitivity"] in {"private", "confidential"},
            "subject": body["subject"],
        }
        for body in bodies
    ]
    slots = [
        max(
            (VIEW.get(body["showAs"], "0") for body in bodies if body["start"].at < at + step and body["end"].at > at),
            default="0",
        )
        for at in range(low, high, step)
    ]
    return {
        "scheduleId": address,
        "availabilityView": "".join(slots),
        "scheduleItems": items,
        "workingHours": {
            "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
            "startTime": "08:00:00.0000000",
            "endTime": "17:00:00.0000000",
            "timeZone": {"name": owner.time_zone},
        },
    }
