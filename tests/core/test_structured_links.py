"""Links in a provider's structured fields: which are kept, and which addresses never reach a bot."""

import pytest

from service.core.event import Meeting
from service.core.meeting_links.addresses import LONGEST_URL, read_address, suffixes
from service.core.meeting_links.evidence import Evidence, StructuredLink
from service.core.meeting_links.finding import find

ZOOM = "https://zoom.us/j/12345678901"


def detect(*urls: str, platform: str | None = None) -> Meeting | None:
    return find(
        Evidence([StructuredLink(url=url, found_in="conferenceData", platform=platform) for url in urls])
    ).meeting


SPELLINGS = [
    "HTTPS://ZOOM.US/j/12345678901", "https://zoom.us./j/12345678901", "https://zoom.us:443/j/12345678901", "http://zoom.us/j/12345678901",
    "http://zoom.us:80/j/12345678901", "https://zoom.us/j/../j/12345678901", "https://zoom.us/signin/%2E%2e/j/12345678901",
    "https://zoom.us/./j/12345678901", "https://\uff5a\uff4f\uff4f\uff4d.us/j/12345678901", "https://zoom.us:/j/12345678901",
]  # fmt: skip


@pytest.mark.parametrize("url", SPELLINGS)
def test_an_address_has_one_spelling(url: str) -> None:
    found = detect(url)

    assert found is not None
    assert (found.url, found.platform, found.meeting_id) == (ZOOM, "zoom", "12345678901")


HOSTILE = [
    "javascript:alert(1)", "file:///etc/passwd", "ftp://zoom.us/j/12345678901", "zoommtg://zoom.us/join?confno=1", "data:text/html,x",
    "zoommtg://evil.example/join?confno=12345678901", "msteams://evil.example/meet/2481234567891", "//zoom.us/j/12345678901",
    "https://zoom.us@evil.example/j/12345678901", "https://user:secret@zoom.us/j/12345678901", "https://a@b@zoom.us/j/12345678901",
    "https://zoom.us\\@evil.example/", "https://zoom.us/j/1\nHost: evil.example", "https://zoom.us/j/1\t2", "https://zoom.us /j/12345678901",
    "https://zoom.us/\x00", "https://zoom.us%2eevil.example/j/12345678901", "https://zoom.us%00/j/12345678901", "https://[::1]/j/12345678901",
    "https://[::1/j/12345678901", "https://", "https:///j/12345678901", "https://?", "", " ", "https://vendor.example:8443/r",
    "https://10.0.0.5/meet/room", "https://127.1/r", "https://2130706433/r", "https://0x7f.1/r", "http://localhost/r", "https://intranet/r",
    "https://printer.local/r", "https://host.internal/r", "https://169.254.169.254/latest", "https://a..b.example/r", "https://.example/r",
    "https://vendor.example/" + "x" * LONGEST_URL, "https://" + "a." * 127 + "zoom.us/j/12345678901", "https://" + "\u00e4." * 127 + "zoom.us/j/1",
    "https://vendor.example/\u202egpj", "https://vendor.example/\ud800", "https://vendor.example/a\u200bb", "https://-a.example/r",
]  # fmt: skip


@pytest.mark.parametrize("url", [pytest.param(url, id=f"{number}") for number, url in enumerate(HOSTILE)])
def test_what_is_no_plain_web_address_never_reaches_a_bot(url: str) -> None:
    assert detect(url) is None
    assert detect(url, ZOOM) == detect(ZOOM), "the next candidate has its chance"


LOOKALIKES = [
    "https://notzoom.us/j/12345678901", "https://zoom.us.example.org/j/12345678901", "https://meet.google.com.evil.example/abc-defg-hij",
    "https://us02web-zoom.us/j/12345678901", "https://xn--zm-fmca.us/j/12345678901", "https://z\u043e\u043em.us/j/12345678901",
    "https://teams.microsoft.com.evil.example/l/meetup-join/x/0", "https://teams.m\u0131crosoft.com/meet/2481234567891", "https://web-ex.example/r",
    "https://z00m.us/j/12345678901",
]  # fmt: skip
STRANGERS = [
    "https://www.youtube.com/live/x", "https://calendly.com/x", "https://calendar.google.com/x", "https://outlook.office.com/bookwithme/x",
    "https://meetings.hubspot.com/x", "https://tel.meet/abc-defg-hij", "https://zoom.us/rec/share/x", "https://acme.webex.com/", "https://bit.ly/x",
    "https://github.com/x/meet", "https://teams.microsoft.com/l/chat/x",
]  # fmt: skip


@pytest.mark.parametrize("url", [*LOOKALIKES, *STRANGERS])
def test_a_lookalike_or_a_page_of_another_kind_is_not_kept(url: str) -> None:
    assert detect(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://rooms.example.org/standup",
        "https://calls.vendor.example/r/abc?x=1#y",
        "https://xn--bcher-kva.example/r",
    ],
)
def test_a_host_that_nobody_knows_is_kept(url: str) -> None:
    found = detect(url)

    assert found is not None
    assert (found.url, found.platform) == (url, "unknown")


def test_a_field_may_tell_the_platform_of_a_host_that_nobody_knows() -> None:
    found = detect("https://meet.example.se/ada/6FAKE5GD", platform="skype_for_business")

    assert found is not None
    assert (found.platform, found.hint) == ("skype_for_business", "retired")
    known = detect(ZOOM, platform="skype_for_business")
    assert known is not None
    assert known.platform == "zoom", "the host is surer"


@pytest.mark.parametrize(
    ("url", "given", "expected"),
    [
        pytest.param("https://rooms.example.org/x", "123", "123", id="what the provider says"),
        pytest.param(ZOOM, "123", "12345678901", id="the link itself is surer"),
    ],
)
def test_where_the_meetings_number_comes_from(url: str, given: str, expected: str) -> None:
    found = find(Evidence([StructuredLink(url=url, found_in="x", meeting_id=given, passcode="p")])).meeting

    assert found is not None
    assert (found.meeting_id, found.passcode) == (expected, "p")


def test_nothing_is_no_meeting() -> None:
    assert detect() is None


@pytest.mark.parametrize("piece", ["a.", "-", "a-", "//", "?a=", "%2e", "/..", "@", "%25", "\u00e4"])
def test_the_longest_address_has_an_answer(piece: str) -> None:
    detect(("https://" + piece * LONGEST_URL)[:LONGEST_URL])
    detect(("https://zoom.us/" + piece * LONGEST_URL)[:LONGEST_URL])


def test_the_parts_of_an_address() -> None:
    assert suffixes("a.b.example.org") == ["a.b.example.org", "b.example.org", "example.org"]
    address = read_address("http://A.example:80/x/../y?b=1#c")
    assert address is not None
    assert address == ("https://a.example/y?b=1#c", "a.example", "/y", "b=1", "c")
