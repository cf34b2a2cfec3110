"""Graph's answers to calendarView/delta: rows in full, as it gives them where no `$select` is allowed, and nothing new."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from google_answers import EVENTS, begin, prose


def event(number: int, starts_at: datetime) -> dict[str, Any]:
    """A single event: a Teams meeting, eight guests, and half a page of text in Outlook's HTML."""
    key = f"AAkALgAAAAAAHYQDEapmEc2byACqAC{number:090d}"
    stamp = (starts_at - timedelta(days=9)).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    owner = {"emailAddress": {"name": "The Owner", "address": "owner@example.com"}}
    text = f"Agenda of meeting {number}: {prose(number, 300)}"
    link = teams(number)
    room = {"displayName": "Room 4, second floor", "locationType": "default", "uniqueIdType": "unknown"}
    return {
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": f'W/"{number:032d}=="',
        "id": key,
        "createdDateTime": stamp,
        "lastModifiedDateTime": stamp,
        "changeKey": f"{number:032d}==",
        "categories": [],
        "originalStartTimeZone": "W. Europe Standard Time",
        "originalEndTimeZone": "W. Europe Standard Time",
        "iCalUId": uid(number),
        "uid": uid(number),
        "reminderMinutesBeforeStart": 15,
        "isReminderOn": True,
        "hasAttachments": False,
        "subject": f"Planning number {number}",
        "bodyPreview": text[:255],
        "importance": "normal",
        "sensitivity": "normal",
        "isAllDay": False,
        "isCancelled": False,
        "isOrganizer": True,
        "responseRequested": True,
        "seriesMasterId": None,
        "showAs": "busy",
        "type": "singleInstance",
        "webLink": f"https://outlook.office365.com/owa/?itemid={key}&exvsurl=1&path=/calendar/item",
        "onlineMeetingUrl": None,
        "isOnlineMeeting": True,
        "onlineMeetingProvider": "teamsForBusiness",
        "onlineMeeting": {"joinUrl": link},
        "allowNewTimeProposals": True,
        "isDraft": False,
        "hideAttendees": False,
        "recurrence": None,
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        "body": {"contentType": "html", "content": _page(text, link)},
        "start": {"dateTime": f"{starts_at:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
        "end": {"dateTime": f"{starts_at + timedelta(minutes=30):%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
        "location": room,
        "locations": [room],
        "attendees": [_attendee(number, who) for who in range(8)],
        "organizer": owner,
    }


def teams(number: int) -> str:
    """A link to a Teams meeting in its long form."""
    context = f'{{"Tid":"{number:032x}","Oid":"{number + 1:032x}"}}'
    return (
        f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{number:048x}%40thread.v2/0?context={quote(context)}"
    )


def uid(number: int) -> str:
    """Outlook's own form of a UID."""
    return f"040000008200E00074C5B7101A82E00800000000{number:032X}000000000000000010000000{number:032X}"


def _attendee(number: int, who: int) -> dict[str, Any]:
    return {
        "type": "required",
        "status": {"response": "none", "time": "0001-01-01T00:00:00Z"},
        "emailAddress": {"name": f"Guest {who}", "address": f"guest{number}.{who}@example.com"},
    }


def _page(text: str, link: str) -> str:
    return (
        '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>'
        f'<div>{text}</div><br><div style="width:100%"><a href="{link}">Join the meeting now</a></div></body></html>'
    )


def listing(variant: int, now: datetime, link: str) -> dict[str, Any]:
    """A whole window in one page, as `odata.maxpagesize=200` has it; `link` is where the delta goes on."""
    rows = [event(variant * 1000 + place, begin(variant, place, now)) for place in range(EVENTS)]
    return {"@odata.context": "https://graph.example.com/$metadata#event", "value": rows, "@odata.deltaLink": link}


def unchanged(link: str) -> dict[str, Any]:
    """Nothing since the last time."""
    return {"@odata.context": "https://graph.example.com/$metadata#event", "value": [], "@odata.deltaLink": link}
