"""Links in a provider's structured fields: which platform, which meeting, and which addresses never reach a bot."""

import time

import pytest

from service.core.event import Meeting
from service.core.meeting_links.evidence import Evidence, StructuredLink
from service.core.meeting_links.finding import classify, find

PLATFORMS = [
    ("https://zoom.us/j/12345678901", "zoom", "12345678901", None),
    ("https://us02web.zoom.us/j/81234567890?pwd=abc", "zoom", "81234567890", None),
    ("https://acme.zoomgov.com/w/1612345678", "zoom", "1612345678", None),
    ("https://zoom.us/my/ada", "zoom", None, None),
    ("https://meet.google.com/abc-defg-hij", "google_meet", "abc-defg-hij", None),
    ("https://meet.google.com/ABC-DEFG-HIJ?authuser=1", "google_meet", "abc-defg-hij", None),
    ("https://teams.microsoft.com/meet/2345678901234?p=pAsS", "microsoft_teams", "2345678901234", "pAsS"),
    ("https://teams.microsoft.com/l/meetup-join/19%3ameeting_x%40thread.v2/0", "microsoft_teams", None, None),
    ("https://teams.live.com/meet/9312345678901", "microsoft_teams", "9312345678901", None),
    ("https://acme.webex.com/meet/ada", "webex", None, None),
    ("https://meet.goto.com/123456789", "goto_meeting", "123456789", None),
    ("HTTPS://ZOOM.US/j/12345678901", "zoom", "12345678901", None),
    ("https://zoom.us./j/12345678901", "zoom", "12345678901", None),
    ("https://zoom.us:443/j/12345678901", "zoom", "12345678901", None),
    ("https://rooms.example.org/standup", "unknown", None, None),
    ("https://notzoom.us/j/12345678901", "unknown", None, None),
    ("https://zoom.us.example.org/j/12345678901", "unknown", None, None),
    ("https://meet.google.com.example.org/abc-defg-hij", "unknown", None, None),
    ("https://example.org/zoom.us/j/12345678901", "unknown", None, None),
]
HOSTILE = [
    "javascript:alert(1)",
    "file:///etc/passwd",
    "ftp://zoom.us/j/12345678901",
    "zoommtg://zoom.us/join?confno=1",
    "//zoom.us/j/12345678901",
    "zoom.us/j/12345678901",
    "https://zoom.us@example.org/j/12345678901",
    "https://user:secret@zoom.us/j/12345678901",
    "https://zoom.us\\@example.org/",
    "https://zoom.us/j/1\nHost: example.org",
    "https://zoom.us/j/1\t2",
    "https://zoom.us /j/1",
    "https://zoom.us/\x00",
    "https://[::1/j/12345678901",
    "https://",
    "https:///j/12345678901",
    "",
    " ",
    "https://zoom.us/" + "x" * 9000,
    "https://" + "a." * 127 + "zoom.us/j/12345678901",
    "https://" + "\u00e4." * 127 + "zoom.us/j/12345678901",
]


def detect(links: list[StructuredLink]) -> Meeting | None:
    return find(Evidence(links)).meeting


def candidate(url: str, **more: str) -> StructuredLink:
    return StructuredLink(url=url, found_in="conferenceData", **more)


@pytest.mark.parametrize(
    ("url", "platform", "meeting_id", "passcode"), [pytest.param(*case, id=case[0][8:50]) for case in PLATFORMS]
)
def test_a_link_is_named_by_its_host(url: str, platform: str, meeting_id: str | None, passcode: str | None) -> None:
    assert detect([candidate(url)]) == Meeting(
        url=url, platform=platform, meeting_id=meeting_id, passcode=passcode, found_in="conferenceData"
    )


@pytest.mark.parametrize("url", [pytest.param(url, id=f"{number}") for number, url in enumerate(HOSTILE)])
def test_what_is_no_plain_web_address_never_reaches_a_bot(url: str) -> None:
    good = candidate("https://zoom.us/j/12345678901")

    assert detect([candidate(url)]) is None
    assert detect([candidate(url), good]) == detect([good]), "the next candidate has its chance"


def test_the_first_usable_candidate_is_the_meeting() -> None:
    found = detect([candidate("https://rooms.example.org/a"), candidate("https://zoom.us/j/12345678901")])

    assert found is not None
    assert found.platform == "unknown", "the provider's order of trust, not ours"


def test_nothing_is_no_meeting() -> None:
    assert detect([]) is None


@pytest.mark.parametrize(
    ("url", "given", "expected"),
    [
        pytest.param("https://zoom.us/my/ada", "123", "123", id="what the provider says"),
        pytest.param("https://zoom.us/j/12345678901", "123", "12345678901", id="the link itself is surer"),
    ],
)
def test_where_the_meetings_number_comes_from(url: str, given: str, expected: str) -> None:
    found = detect([candidate(url, meeting_id=given, passcode="p")])

    assert found is not None
    assert (found.meeting_id, found.passcode) == (expected, "p")


@pytest.mark.parametrize("host", ["", "us", ".", "..", "zoom", "zoom.us.", "a" * 5000])
def test_any_host_has_an_answer(host: str) -> None:
    assert classify(host) == "unknown"


@pytest.mark.parametrize("piece", ["a.", "-", "a-", "//", "?a=", "%2e"])
def test_a_link_made_to_be_slow_is_not(piece: str) -> None:
    url = ("https://" + piece * 8192)[:8192]
    began = time.perf_counter()
    for _ in range(20):
        detect([candidate(url)])

    assert time.perf_counter() - began < 1
