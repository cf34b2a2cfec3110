"""Graph v1.0's types, restated, as judge of what is answered for calendars and sent to subscribers.

Names and types are those of the entities in the v1.0 metadata; `uid`, `occurrenceId` and `organizationId` are what the
service adds to them.
"""

import json
import re
from typing import Any

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z")
WALL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
ETAG = re.compile(r'W/"[A-Za-z0-9+/]+=*"')
GLOBAL_ID = re.compile(r"040000008200E00074C5B7101A82E008[0-9A-F]+")

RESPONSE = {"none", "organizer", "tentativelyAccepted", "accepted", "declined", "notResponded"}
PROVIDER = {"unknown", "skypeForBusiness", "skypeForConsumer", "teamsForBusiness"}
DAY = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
LOCATION_KIND = {
    "default", "conferenceRoom", "homeAddress", "businessAddress", "geoCoordinates", "streetAddress", "hotel",
    "restaurant", "localBusiness", "postalAddress",
}  # fmt: skip
COLOR = {
    "auto", "lightBlue", "lightGreen", "lightOrange", "lightGray", "lightYellow", "lightTeal", "lightPink",
    "lightBrown", "lightRed", "maxColor",
}  # fmt: skip

# A set is an enumeration, a pattern a text, a list a collection, a string the name of a type below; "!" forbids null.
TYPES: dict[str, dict[str, Any]] = {
    "emailAddress": {"name": str, "address": str},
    "recipient": {"emailAddress!": "emailAddress"},
    "responseStatus": {"response!": RESPONSE, "time": STAMP},
    "attendee": {"type!": {"required", "optional", "resource"}, "status": "responseStatus", "emailAddress!": "emailAddress"},
    "itemBody": {"contentType!": {"text", "html"}, "content!": str},
    "dateTimeTimeZone": {"dateTime!": WALL, "timeZone!": str},
    "location": {
        "displayName!": str, "locationType!": LOCATION_KIND, "locationUri": str, "uniqueId": str, "address": dict,
        "uniqueIdType!": {"unknown", "locationStore", "directory", "private", "bing"}, "coordinates": dict,
        "locationEmailAddress": str,
    },
    "onlineMeetingInfo": {
        "joinUrl": str, "conferenceId": str, "tollNumber": str, "quickDial": str, "phones": [dict],
        "tollFreeNumbers": [str],
    },
    "recurrencePattern": {
        "type!": {"daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"},
        "interval!": int, "month": int, "dayOfMonth": int, "daysOfWeek": [DAY], "firstDayOfWeek": DAY,
        "index": {"first", "second", "third", "fourth", "last"},
    },
    "recurrenceRange": {
        "type!": {"endDate", "noEnd", "numbered"}, "startDate!": DATE, "endDate": DATE, "recurrenceTimeZone": str,
        "numberOfOccurrences": int,
    },
    "patternedRecurrence": {"pattern!": "recurrencePattern", "range!": "recurrenceRange"},
    "event": {
        "@odata.etag!": ETAG, "id!": str, "createdDateTime!": STAMP, "lastModifiedDateTime!": STAMP,
        "changeKey!": str, "categories!": [str], "transactionId": str, "originalStartTimeZone!": str,
        "originalEndTimeZone!": str, "iCalUId!": GLOBAL_ID, "uid!": GLOBAL_ID, "reminderMinutesBeforeStart!": int,
        "isReminderOn!": bool, "hasAttachments!": bool, "subject!": str, "bodyPreview!": str,
        "importance!": {"low", "normal", "high"}, "sensitivity!": {"normal", "personal", "private", "confidential"},
        "isAllDay!": bool, "isCancelled!": bool, "isOrganizer!": bool, "responseRequested!": bool,
        "seriesMasterId": str, "showAs!": {"unknown", "free", "tentative", "busy", "oof", "workingElsewhere"},
        "type!": {"singleInstance", "occurrence", "exception", "seriesMaster"}, "webLink!": str,
        "onlineMeetingUrl": str, "isOnlineMeeting!": bool, "onlineMeetingProvider!": PROVIDER,
        "allowNewTimeProposals!": bool, "occurrenceId": str, "isDraft!": bool, "hideAttendees!": bool,
        "responseStatus!": "responseStatus", "body!": "itemBody", "start!": "dateTimeTimeZone",
        "end!": "dateTimeTimeZone", "location!": "location", "locations!": ["location"],
        "recurrence": "patternedRecurrence", "attendees!": ["attendee"], "organizer!": "recipient",
        "onlineMeeting": "onlineMeetingInfo", "originalStart": STAMP, "cancelledOccurrences": [str],
        "exceptionOccurrences": ["event"],
    },
    "sparseOccurrence": {
        "@odata.type!": {"#microsoft.graph.event"}, "@odata.etag!": ETAG, "id!": str, "seriesMasterId!": str,
        "type!": {"occurrence"}, "start!": "dateTimeTimeZone", "end!": "dateTimeTimeZone",
    },
    "removed": {"@odata.type!": {"#microsoft.graph.event"}, "id!": str, "@removed!": "removal"},
    "removal": {"reason!": {"deleted", "changed"}},
    "calendar": {
        "id!": str, "name!": str, "color!": COLOR, "hexColor!": str, "isDefaultCalendar!": bool, "changeKey!": str,
        "canShare!": bool, "canViewPrivateItems!": bool, "canEdit!": bool, "isRemovable!": bool,
        "isTallyingResponses!": bool, "allowedOnlineMeetingProviders!": [PROVIDER],
        "defaultOnlineMeetingProvider!": PROVIDER, "owner!": "emailAddress",
    },
    "scheduleInformation": {
        "scheduleId!": str, "availabilityView!": re.compile("[0-4]*"), "scheduleItems": ["scheduleItem"],
        "workingHours": "workingHours", "error": "freeBusyError",
    },
    "scheduleItem": {
        "status!": {"unknown", "free", "tentative", "busy", "oof", "workingElsewhere"}, "start!": "dateTimeTimeZone",
        "end!": "dateTimeTimeZone", "isPrivate": bool, "subject": str, "location": str,
    },
    "workingHours": {"daysOfWeek!": [DAY], "startTime!": str, "endTime!": str, "timeZone!": "timeZoneBase"},
    "timeZoneBase": {"name!": str},
    "freeBusyError": {"message": str, "responseCode": str},
    "user": {
        "id!": str, "displayName!": str, "mail": str, "userPrincipalName!": str, "givenName": str, "surname": str,
        "jobTitle": str, "mobilePhone": str, "officeLocation": str, "preferredLanguage": str, "businessPhones!": [str],
    },
    "subscription": {
        "id!": str, "resource!": str, "applicationId!": str, "changeType!": str, "clientState": str,
        "notificationUrl!": str, "notificationQueryOptions": str, "lifecycleNotificationUrl": str,
        "expirationDateTime!": STAMP, "creatorId!": str, "includeResourceData": bool,
        "latestSupportedTlsVersion!": str, "encryptionCertificate": str, "encryptionCertificateId": str,
        "notificationUrlAppId": str,
    },
    "changeNotification": {
        "subscriptionId!": str, "subscriptionExpirationDateTime!": STAMP, "clientState": str,
        "changeType!": {"created", "updated", "deleted"}, "resource!": str, "tenantId!": str,
        "resourceData!": "resourceData",
    },
    "resourceData": {"@odata.type!": {"#Microsoft.Graph.Event"}, "@odata.id!": str, "@odata.etag!": ETAG, "id!": str},
    "lifecycleNotification": {
        "subscriptionId!": str, "subscriptionExpirationDateTime!": STAMP, "tenantId!": str, "organizationId": str,
        "clientState": str, "resource!": str,
        "lifecycleEvent!": {"reauthorizationRequired", "subscriptionRemoved", "missed"},
    },
    "graphError": {"error!": "errorBody"},
    "errorBody": {"code!": str, "message!": str, "innerError!": "innerError"},
    "innerError": {"date!": str, "request-id!": str, "client-request-id!": str},
    "loginError": {
        "error!": str, "error_description!": re.compile(r"AADSTS\d+: .+", re.DOTALL), "error_codes!": [int],
        "timestamp!": re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"), "trace_id!": str, "correlation_id!": str,
        "error_uri!": str, "suberror": str, "claims": str,
    },
    "token": {
        "token_type!": {"Bearer"}, "scope!": str, "expires_in!": int, "ext_expires_in!": int, "access_token!": str,
        "refresh_token": str,
    },
}  # fmt: skip
LISTS = {"/calendars": "calendar", "/events": "event", "/calendarView": "event", "/instances": "event"}
ANNOTATIONS = {"@odata.context", "@odata.nextLink", "@odata.deltaLink", "value"}


def judge(value: Any, kind: Any, where: str = "value") -> None:
    """An AssertionError says what Graph would not have said, and where."""
    if isinstance(kind, str):
        _judge_object(value, TYPES[kind], where)
    elif isinstance(kind, list):
        assert isinstance(value, list), f"{where} is no collection"
        for number, each in enumerate(value):
            judge(each, kind[0], f"{where}[{number}]")
    elif isinstance(kind, set):
        assert value in kind, f"{where} is {value!r}"
    elif isinstance(kind, re.Pattern):
        assert isinstance(value, str), f"{where} is {value!r}"
        assert kind.fullmatch(value), f"{where} is {value!r}"
    else:
        assert type(value) is kind, f"{where} is {value!r}"


def judge_answer(method: str, path: str, status: int, body: bytes, *, selected: bool = False) -> None:
    """An answer of Graph, by the request's path without its query. What was `selected` need not be whole."""
    if status >= 400:
        judge(json.loads(body), "graphError", "error")
    elif status in {202, 204}:
        assert body == b"", f"{status} has a body"
    elif path.endswith(("/calendarView/delta", "/calendarView/delta()")):
        judge_delta(json.loads(body))
    elif path.endswith("/getSchedule"):
        judge_list(json.loads(body), "scheduleInformation")
    elif path.endswith("/subscriptions") and method == "GET":
        judge_list(json.loads(body), "subscription")
    elif "/subscriptions" in path:
        judge_entity(json.loads(body), "subscription")
    elif method == "GET" and (kind := next((LISTS[end] for end in LISTS if path.endswith(end)), None)):
        judge_list(json.loads(body), kind, selected=selected)
    elif "/events" in path:
        judge_entity(json.loads(body), "event", selected=selected)
    else:
        judge_entity(json.loads(body), "calendar" if "/calendar" in path else "user", selected=selected)


def judge_delta(page: dict[str, Any]) -> None:
    """Exactly one link, and rows of three forms."""
    assert page.keys() <= ANNOTATIONS
    assert len(page.keys() & {"@odata.nextLink", "@odata.deltaLink"}) == 1, "one link, and not both"
    for row in page["value"]:
        if "@removed" in row:
            judge(row, "removed", row["id"])
        elif row.get("type") == "occurrence":
            judge(row, "sparseOccurrence", row["id"])
        else:
            assert row.get("@odata.type") == "#microsoft.graph.event"
            judge({name: each for name, each in row.items() if name != "@odata.type"}, "event", row["id"])


def judge_list(page: dict[str, Any], kind: str, *, selected: bool = False) -> None:
    assert page.keys() <= ANNOTATIONS
    assert "@odata.deltaLink" not in page
    for number, each in enumerate(page["value"]):
        _judge_object(each, TYPES[kind], f"value[{number}]", whole=not selected)


def judge_entity(entity: dict[str, Any], kind: str, *, selected: bool = False) -> None:
    assert isinstance(entity.pop("@odata.context"), str)
    _judge_object(entity, TYPES[kind], kind, whole=not selected)


def _judge_object(value: Any, fields: dict[str, Any], where: str, *, whole: bool = True) -> None:
    assert isinstance(value, dict), f"{where} is no object"
    known = {name.rstrip("!"): kind for name, kind in fields.items()}
    needed = {name.rstrip("!") for name in fields if name.endswith("!")}
    assert value.keys() <= known.keys(), f"{where} has {sorted(value.keys() - known.keys())}"
    assert not whole or needed <= value.keys(), f"{where} lacks {sorted(needed - value.keys())}"
    for name, each in value.items():
        if each is None:
            assert name not in needed, f"{where}.{name} is null"
        else:
            judge(each, known[name], f"{where}.{name}")
