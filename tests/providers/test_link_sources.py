"""From an event to its evidence: every field where a provider puts a link, and events that are not what they should be."""

import json
from collections.abc import Mapping
from typing import Any

import icalendar
import pytest

from service.core.meeting_links.evidence import Evidence, Passage, StructuredLink
from service.providers.lenient import read_leniently, repair
from service.providers.link_sources import SOURCES, collect
from service.providers.microsoft.links import LINK_FIELDS, WireLinks
from service.providers.vevent.links import LINK_PROPERTIES, evidence_of
from service.providers.vevent.properties import LONGEST, Property, from_component, from_text

ZOOM = "https://zoom.us/j/98765432101"
MEET = "https://meet.google.com/abc-defg-hij"
TEAMS = "https://teams.microsoft.com/meet/2481234567891?p=FaKe"
ROOM = "https://meet.example.se/dana/0FAKE1D2"


def link(url: str, found_in: str, **more: str) -> StructuredLink:
    return StructuredLink(url=url, found_in=found_in, **more)


def text(said: str, found_in: str, kind: Any = "text") -> Passage:
    return Passage(text=said, found_in=found_in, kind=kind)


def parts(evidence: Evidence) -> tuple[list[StructuredLink], list[Passage]]:
    return list(evidence.links), list(evidence.passages)


def entry(kind: str, uri: Any, **more: Any) -> dict[str, Any]:
    return {"entryPointType": kind, "uri": uri, **more}


def test_a_row_of_google() -> None:
    event = {
        "conferenceData": {
            "entryPoints": [
                entry("more", "https://applications.zoom.us/addon/invitation/detail"),
                entry("phone", "tel:+15550100123", pin="1"),
                entry("sip", "sip:1@example.com"),
                entry("video", ZOOM, meetingCode="98765432101", passcode="482915"),
                entry("video", ""),
            ],
            "notes": f"<a href='{TEAMS}'>",
        },
        "hangoutLink": MEET,
        "location": "Room",
        "description": "<br>x",
        "summary": "Sync",
        "htmlLink": "https://www.google.com/calendar/event?eid=x",
        "attachments": [{"fileUrl": ZOOM}],
    }
    assert parts(collect("google", event)) == (
        [link(ZOOM, "conferenceData", meeting_id="98765432101", passcode="482915"), link(MEET, "hangoutLink")],
        [text("Room", "location"), text("<br>x", "description", "either"), text("Sync", "title")],
    )


@pytest.mark.parametrize("name", ["passcode", "password", "pin", "accessCode"])
def test_each_vendor_has_its_own_word_for_the_passcode(name: str) -> None:
    event = {"conferenceData": {"entryPoints": [entry("video", ZOOM, **{name: "1234"})]}}
    assert collect("google", event).links[0].passcode == "1234"


def test_a_conference_that_is_being_created_has_no_link() -> None:
    event = {"conferenceData": {"createRequest": {"requestId": "r", "status": {"statusCode": "pending"}}}}
    assert parts(collect("google", event)) == ([], [])


def test_an_event_of_graph() -> None:
    event = {
        "onlineMeeting": {"joinUrl": TEAMS, "conferenceId": "987654321"},
        "onlineMeetingUrl": ROOM,
        "onlineMeetingProvider": "teamsForBusiness",
        "location": {"displayName": f"Room; {ZOOM}", "locationUri": MEET},
        "locations": [{"displayName": "Room"}, {"displayName": ZOOM, "locationUri": ZOOM}],
        "subject": "Review",
        "body": {"contentType": "html", "content": "<p>x"},
        "bodyPreview": ZOOM,
        "webLink": "https://outlook.office365.com/owa/",
    }
    assert parts(collect("microsoft", event)) == (
        [link(TEAMS, "onlineMeeting"), link(ROOM, "onlineMeetingUrl")],
        [
            *(text(said, "location") for said in (f"Room; {ZOOM}", MEET, "Room", ZOOM)),
            text("<p>x", "description", "html"),
            text("Review", "title"),
        ],
    )


@pytest.mark.parametrize(("given", "kind"), [("text", "text"), ("html", "html"), (None, "either"), ("rtf", "either")])
def test_graph_says_what_a_body_is(given: str | None, kind: str) -> None:
    (passage,) = collect("microsoft", {"body": {"content": "x", "contentType": given}}).passages
    assert passage.kind == kind


def test_graph_says_what_a_server_of_somebodys_own_is() -> None:
    event = {"onlineMeetingUrl": ROOM, "onlineMeetingProvider": "skypeForBusiness"}
    assert collect("microsoft", event).links == [link(ROOM, "onlineMeetingUrl", platform="skype_for_business")]


def test_every_field_that_is_read_is_one_to_ask_graph_for() -> None:
    assert set(LINK_FIELDS) == set(WireLinks.__struct_encode_fields__)


def test_properties_of_a_vevent() -> None:
    event = {
        "SUMMARY": "Review",
        "DESCRIPTION": "d",
        "LOCATION;LANGUAGE=en": "l",
        "url": "https://example.com/page",
        "X-ALT-DESC": {"value": "<p>x", "params": {"FMTTYPE": "text/html"}},
        "X-GOOGLE-CONFERENCE": MEET,
        "X-MICROSOFT-SKYPETEAMSMEETINGURL": TEAMS,
        "X-MICROSOFT-ONLINEMEETINGEXTERNALLINK": [" ", ROOM],
        "X-MICROSOFT-ONLINEMEETINGCONFLINK": "conf:sip:dana@example.se;gruu",
        "X-MICROSOFT-CONFERENCETELURI": "tel:+4610000",
        "X-MICROSOFT-SKYPETEAMSPROPERTIES": '{"cid":"19:meeting_x@thread.v2"}',
        "X-MICROSOFT-SCHEDULINGSERVICEUPDATEURL": "https://api.scheduler.teams.microsoft.com/teams/x",
        "CONFERENCE": [{"value": ZOOM, "params": {"VALUE": "URI", "FEATURE": "VIDEO"}}],
    }
    assert parts(collect("ics", event)) == (
        [
            link(MEET, "X-GOOGLE-CONFERENCE"),
            link(TEAMS, "X-MICROSOFT-SKYPETEAMSMEETINGURL"),
            link(ZOOM, "CONFERENCE"),
            link(ROOM, "X-MICROSOFT-ONLINEMEETINGEXTERNALLINK", platform="skype_for_business"),
        ],
        [
            text("https://example.com/page", "URL"),
            text("l", "location"),
            text("d", "description", "either"),
            text("<p>x", "X-ALT-DESC", "html"),
            text("Review", "title"),
        ],
    )


def conference(value: str, features: Any = None, **params: str) -> dict[str, Any]:
    return {"value": value, "params": {"VALUE": "URI", **({"FEATURE": features} if features else {}), **params}}


@pytest.mark.parametrize(
    ("given", "links"),
    [
        pytest.param([conference(MEET, "AUDIO"), conference(ZOOM, "AUDIO,VIDEO")], [ZOOM, MEET], id="video first"),
        pytest.param([conference(MEET, "MODERATOR,VIDEO"), conference(ZOOM)], [ZOOM, MEET], id="moderators last"),
        pytest.param([conference(MEET, ["moderator"])], [MEET], id="for moderators alone, as a list"),
        pytest.param([conference("tel:+1"), conference("TEL:+1", "VIDEO"), conference("xmpp:a@b")], [], id="no page"),
        pytest.param([conference("sip:a@example.com"), conference("")], [], id="sip and nothing"),
        pytest.param(ZOOM, [ZOOM], id="a text alone"),
        pytest.param([5, None, {}, {"value": 5}, ZOOM], [ZOOM], id="nonsense between"),
    ],
)
def test_the_order_of_conferences(given: Any, links: list[str]) -> None:
    assert [each.url for each in collect("ics", {"CONFERENCE": given}).links] == links


@pytest.mark.parametrize("feature", ["CHAT", "FEED", "PHONE", "SCREEN", "CHAT,PHONE"])
def test_a_conference_that_is_no_call_is_believed_no_more_than_a_text(feature: str) -> None:
    evidence = collect("ics", {"CONFERENCE": [conference(ZOOM, feature)]})
    assert parts(evidence) == ([], [text(ZOOM, "CONFERENCE")])


def test_a_label_names_the_platform_of_a_host_that_nobody_knows() -> None:
    (found,) = collect("ics", {"CONFERENCE": [conference("https://meet.example.org/x", LABEL="Our Jitsi")]}).links
    assert found.platform == "jitsi"


def vevent(*lines: str, end: str = "\r\n") -> str:
    return end.join(("BEGIN:VEVENT", *lines, "END:VEVENT", ""))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(vevent(f"LOCATION:{ZOOM}"), id="plain"),
        pytest.param(vevent(f"LOCATION:{ZOOM}", end="\n"), id="line feeds"),
        pytest.param(vevent(f"LOCATION:{ZOOM}", end="\r"), id="carriage returns"),
        pytest.param(vevent("LOCATION:https://zo", " om.us/", "\tj/98765432101"), id="folded"),
        pytest.param(vevent("LOCA", f" TION:{ZOOM}"), id="folded in the name"),
        pytest.param(vevent(f"location;language=en:{ZOOM}"), id="lower case"),
        pytest.param(f"BEGIN:VEVENT\r\nLOCATION:{ZOOM}", id="cut off"),
        pytest.param(f"LOCATION:{ZOOM}\r\n", id="no frame"),
        pytest.param(f"\ufeff{vevent(f'LOCATION:{ZOOM}')}", id="byte order mark"),
        pytest.param(vevent(f"LOCATION:{ZOOM}").replace("\r\n", "\\r\\n"), id="line ends spelt out"),
        pytest.param(vevent("BEGIN", ":", ";;;", '"', "SUMMARY", "=:x", f"LOCATION:{ZOOM}"), id="broken lines"),
        pytest.param(vevent(f'LOCATION;ALTREP="https://maps.example.com/?q=a:b;c":{ZOOM}'), id="quoted parameter"),
        pytest.param(vevent(f'LOCATION;LANGUAGE="en:{ZOOM}'), id="parameter that is not closed"),
        pytest.param(
            vevent("BEGIN:VALARM", "DESCRIPTION:https://zoom.us/j/111111111", "END:VALARM", f"LOCATION:{ZOOM}"),
            id="alarm",
        ),
        pytest.param(
            "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nBEGIN:STANDARD\nLOCATION:no\nEND:STANDARD\nEND:VTIMEZONE\n"
            + vevent(f"LOCATION:{ZOOM}")
            + vevent(f"LOCATION:{MEET}")
            + "END:VCALENDAR",
            id="a whole calendar",
        ),
        pytest.param(vevent("ATTACH;ENCODING=BASE64:" + "QUJD\r\n " * 100_000, f"LOCATION:{ZOOM}"), id="picture"),
        pytest.param(f"{vevent(f'LOCATION:{ZOOM}')}\ud800", id="half a surrogate pair"),
    ],
)
def test_a_vevent_as_text(raw: str) -> None:
    assert parts(collect("ics", {"raw": raw})) == ([], [text(ZOOM, "location")])


def test_text_is_without_its_escapes() -> None:
    raw = vevent(r"DESCRIPTION:a\nb\, c\; d\\n", r"X-ALT-DESC;FMTTYPE=text/html:<p>a\, b</p>")
    assert [each.text for each in collect("ics", {"raw": raw}).passages] == ["a\nb, c; d\\n", "<p>a, b</p>"]


def test_text_that_nobody_has_escaped() -> None:
    raw = vevent("DESCRIPTION:Hello", "Join: here", ZOOM, "DTSTART:20260105T150000Z")
    assert [each.text for each in collect("ics", {"raw": raw}).passages] == [f"Hello\nJoin: here\n{ZOOM}"]


def test_a_fold_may_lie_inside_a_character() -> None:
    octets = b"BEGIN:VEVENT\r\nLOCATION:caf\xc3\r\n \xa9\r\nEND:VEVENT"
    assert from_text(octets, {"LOCATION"}) == {"LOCATION": [Property("caf\u00e9")]}


def test_a_component_of_the_library_says_the_same_as_its_text() -> None:
    lines = (
        f"CONFERENCE;VALUE=URI;FEATURE=MODERATOR,VIDEO:{MEET}",
        f'CONFERENCE;VALUE=URI;FEATURE="VIDEO";LABEL="a:b;c":{ZOOM}',
        r"X-ALT-DESC;FMTTYPE=text/html:<p>a\, b</p>",
        r"DESCRIPTION:a\nb\, c",
        f"X-GOOGLE-CONFERENCE:{MEET}",
        "BEGIN:VALARM",
        "DESCRIPTION:no",
        "END:VALARM",
        "URL:https://example.com/",
    )
    component = icalendar.Event.from_ical(vevent(*lines))
    assert isinstance(component, icalendar.Event)
    evidence = evidence_of(from_component(component))
    assert parts(evidence) == parts(collect("ics", {"raw": vevent(*lines)}))
    assert [each.url for each in evidence.links] == [MEET, ZOOM, MEET]
    assert [each.text for each in evidence.passages] == ["https://example.com/", "a\nb, c", "<p>a, b</p>"]


NONSENSE: list[Any] = [None, True, 5, 1.5, "x", [], {}, [[]], [{}], {"a": 1}, [None, 5], {"value": {}}, {"content": []}]
NAMES = (
    *("conferenceData", "hangoutLink", "location", "description", "summary", "onlineMeeting", "onlineMeetingUrl"),
    *("onlineMeetingProvider", "locations", "subject", "body", "raw", "text", *sorted(LINK_PROPERTIES)),
)


@pytest.mark.parametrize("source", SOURCES)
def test_no_event_is_too_strange(source: Any) -> None:
    for wrong in NONSENSE:
        for name in NAMES:
            collect(source, {name: wrong})
        collect(source, dict.fromkeys(NAMES, wrong))
        collect(source, {"conferenceData": {"entryPoints": [wrong]}, "onlineMeeting": {"joinUrl": wrong}})


def test_what_has_a_wrong_type_takes_nothing_else_with_it() -> None:
    event: Mapping[str, Any] = {
        "attendees": [{"email": 5}, 7],
        "location": 5,
        "conferenceData": {"entryPoints": [entry("video", 5), 5, entry("video", ZOOM, pin=1234)]},
        "summary": "Sync",
    }
    assert parts(collect("google", event)) == ([link(ZOOM, "conferenceData")], [text("Sync", "title")])
    assert event["location"] == 5, "the event itself stays as it was"


@pytest.mark.timeout(60)
def test_a_thousand_wrong_types_are_not_looked_at_one_by_one() -> None:
    event = {"locations": [5] * 100_000, "subject": "Review", "location": {"displayName": ZOOM}}
    found = read_leniently(event, WireLinks)
    assert (found.subject, found.locations) == ("Review", None)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["\n", "a\n", "\r\n ", "DESCRIPTION:x\n", '"', ";a=b", ";A=1,2", "\\", "BEGIN:X\n", ';A="b"']
)
def test_a_vevent_made_to_be_slow_is_not(piece: str) -> None:
    for start in ("DESCRIPTION", "DESCRIPTION:"):
        raw = f"BEGIN:VEVENT\r\n{start}{piece * (LONGEST // len(piece))}"
        evidence = collect("ics", {"raw": raw})
        assert len(evidence.passages) <= 50


def test_json_that_is_not_quite_json_is_repaired() -> None:
    assert json.loads(repair(b'{"a": "\\ud83d \\u0000\xff"}')) == {"a": "\ufffd \ufffd"}
    with pytest.raises(ValueError, match="Expecting"):
        repair(b'{"a": ')
