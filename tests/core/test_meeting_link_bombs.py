"""Inputs that are made to cost time or to break a reader of links: each gets its right answer, and never an exception.

They are built here, since as text they would be megabytes. No time is asserted; what grows with the square of its input
would not come to an end before anybody's patience.
"""

import base64
from collections.abc import Callable
from urllib.parse import quote

import pytest

from service.core.meeting_links.evidence import Evidence, Passage, StructuredLink
from service.core.meeting_links.finding import explain, find

GOOD = "https://us05web.zoom.us/j/87654321098?pwd=InVent.1"
SAFE = "https://emea01.safelinks.protection.outlook.com/?url="
TENANT = "%7b%22Tid%22%3a%22a"


def text(content: str) -> Evidence:
    return Evidence(passages=[Passage(text=content, found_in="description", kind="either")])


def html(content: str) -> Evidence:
    return Evidence(passages=[Passage(text=content, found_in="description", kind="html")])


def structured(url: str, then: str = "") -> Evidence:
    return Evidence([StructuredLink(url=url, found_in="conferenceData")], [Passage(text=then, found_in="location")])


def nested(depth: int) -> str:
    url = GOOD
    for _ in range(depth):
        url = SAFE + quote(url, safe="")
    return url


def encoded(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode()


BEFORE_A_GOOD_LINK: dict[str, Callable[[], str]] = {
    "long-path": lambda: "https://zoom.us/j/1112223334455/" + "a/" * 50_000,
    "long-query": lambda: "https://zoom.us/j/1112223334455?" + "a=b&" * 25_000,
    "long-fragment": lambda: "https://zoom.us/j/1112223334455#" + "x" * 100_000,
    "starts-of-links": lambda: "https://x." * 20_000,
    "schemes": lambda: "https://" * 20_000,
    "scheme-ends": lambda: "://" * 50_000,
    "scheme-letters": lambda: "h" * 100_000 + "ttps",
    "native-schemes": lambda: "zoommtg://" * 15_000,
    "native-without-number": lambda: "zoommtg://zoom.us/join?confno=" * 5_000,
    "bare-hosts": lambda: "zoom.us/" * 20_000,
    "bare-hosts-apart": lambda: "zoom.us/j/ " * 15_000,
    "bare-labels": lambda: "a." * 80_000 + "zoom.us",
    "bare-hyphens": lambda: "-" * 150_000 + "zoom.us/j/1",
    "half-codes": lambda: "meet.google.com/abc-defg-" * 6_000,
    "tenant-keys": lambda: "https://teams.microsoft.com/l/meetup-join/x/0?context=" + TENANT * 8_000,
    "json-openings": lambda: 'https://teams.microsoft.com/l/meetup-join/x/0?context={"Tid":"' * 3_000,
    "json-never-closed": lambda: "https://teams.microsoft.com/l/meetup-join/x/0?context=" + "{" * 100_000,
    "quotes": lambda: '"' * 150_000,
    "at-signs": lambda: "https://" + "a@" * 70_000,
    "colons": lambda: "https://zoom.us" + ":" * 150_000,
    "dots": lambda: "https://zoom.us" + "." * 150_000,
    "opening-brackets": lambda: "(" * 150_000,
    "closing-brackets": lambda: "https://zoom.us/x" + ")" * 150_000,
    "brackets-in-turn": lambda: "https://zoom.us/x" + "()" * 70_000 + ")" * 1_000,
    "punctuation": lambda: "https://zoom.us/x" + ".,;:!?*" * 20_000,
    "stars": lambda: "*" * 150_000,
    "percents": lambda: "https://zoom.us/" + "%" * 150_000,
    "escaped-percents": lambda: SAFE + "%25" * 50_000,
    "entities": lambda: "&amp;" * 30_000,
    "entities-of-entities": lambda: "&" + "amp;" * 40_000,
    "half-entities": lambda: "&#" * 70_000,
    "numbers-of-letters": lambda: "&#" + "9" * 150_000 + ";",
    "ampersands": lambda: "&" * 150_000,
    "quoted-lines": lambda: "> > > >\n" * 18_000,
    "reply-headers": lambda: "On Monday somebody wrote:\n" * 6_000,
    "half-reply-headers": lambda: "On " * 50_000,
    "mail-headers": lambda: "From: room@example.org\nSent: Monday\n" * 4_000,
    "rulers": lambda: "-" * 75_000 + "\n" + "_" * 75_000,
    "zero-width": lambda: "h\u200bt\u200bt\u200bp\u200bs" * 15_000,
    "soft-hyphens": lambda: "\u00ad" * 150_000,
    "marks": lambda: "\u202e\u200f\ufeff" * 50_000,
    "spaces": lambda: " \t\u00a0" * 50_000,
    "line-ends": lambda: "\r\n" * 70_000,
    "backslashes": lambda: "\\n" * 70_000,
    "nuls": lambda: "\x00" * 150_000,
    "half-characters": lambda: "https://\ud800zoom.us/ \udfff" * 5_000,
    "digits": lambda: "876 5432 1098 " * 10_000,
    "passcode-words": lambda: "Passcode: " * 15_000,
    "codes-without-end": lambda: "Passcode:" + " " * 150_000,
    "many-wrappers": lambda: " ".join(SAFE + quote(f"https://example.org/{n}", safe="") for n in range(2_000)),
    "wrapper-of-noise": lambda: SAFE + "https%3A%2F%2F" * 10_000,
    "wrappers-glued": lambda: SAFE * 3_000,
    "google-wrappers-glued": lambda: "https://www.google.com/url?q=" * 5_000,
    "proofpoint-2": lambda: "https://urldefense.proofpoint.com/v2/url?u=" + "-25" * 2_500,
    "proofpoint-3-stars": lambda: "https://urldefense.com/v3/__" + "*" * 4_000 + "__;" + "A" * 4_000 + "!!",
    "proofpoint-3-runs": lambda: "https://urldefense.com/v3/__" + "**_" * 2_500 + "__;" + "Pz" * 20 + "!!",
    "proofpoint-3-no-end": lambda: "https://urldefense.com/v3/__https:" + "_" * 100_000,
    "sophos": lambda: "https://eu.protection.sophos.com/?u=" + encoded("https://" + "a" * 5_000),
    "coords": lambda: "https://teams.live.com/light-meetings/launch?coords=" + encoded('{"a":' * 1_000),
    "coords-numbers": lambda: "https://teams.live.com/light-meetings/launch?coords=" + encoded("9" * 5_000),
    "launcher-of-launchers": lambda: "https://teams.microsoft.com/dl/launcher/launcher.html?url=" * 2_000,
    "parameters": lambda: "https://zoom.us/join?" + "confno=1&" * 10_000,
    "long-host": lambda: "https://" + "a" * 100_000 + ".zoom.us/j/1112223334455",
    "many-labels": lambda: "https://" + "a." * 50_000 + "zoom.us/j/1112223334455",
    "punycode": lambda: "https://xn--" + "a" * 100_000 + ".com/j/1112223334455",
    "letters-of-a-host": lambda: "https://" + "\uff5a" * 100_000 + ".us/j/1112223334455",
    "dot-segments": lambda: "https://zoom.us/" + "../" * 40_000 + "j/x",
}

MARKUP: dict[str, Callable[[], str]] = {
    "open-tags": lambda: "<div>" * 25_000,
    "open-quotations": lambda: "<blockquote>" * 12_000,
    "closing-tags": lambda: "</div>" * 25_000,
    "spans": lambda: "<span>h</span>" * 10_000,
    "angles": lambda: "<" * 100_000 + ">",
    "half-tags": lambda: "<a " * 40_000 + ">",
    "half-attributes": lambda: "<a href=" * 15_000 + ">",
    "attributes": lambda: "<a " + "href=x " * 15_000 + ">",
    "anchors": lambda: '<a href="https://example.org/x">x</a>' * 4_000,
    "comments": lambda: "<!-- x -->" * 10_000,
    "half-comments": lambda: "<!-- -" * 20_000 + "-->",
    "declarations": lambda: "<![if x]>" * 10_000,
    "instructions": lambda: "<?x ?>" * 15_000,
    "word-breaks": lambda: "https://zoom.us/" + "<wbr>a" * 15_000,
    "scripts": lambda: "<script>x</script>" * 7_000,
    "styles-with-tags": lambda: "<style><b></style>" * 7_000,
    "empty-anchors": lambda: '<a originalsrc="" href="">' * 5_000,
}

NEVER_CLOSED: dict[str, Callable[[], str]] = {
    "comment": lambda: "<!--" * 40_000 + GOOD,
    "script": lambda: "<script>" * 20_000 + GOOD,
    "attribute": lambda: '<a href="' + "x" * 100_000 + " " + GOOD,
    "tag": lambda: "<p " + "x " * 50_000 + GOOD,
}

ALONE: dict[str, Callable[[], str]] = {
    "wrapped-beyond-reason": lambda: nested(40),
    "link-of-9-kb": lambda: "https://zoom.us/j/87654321098?pwd=" + "a" * 9_000,
    "host-of-9-kb": lambda: "https://" + "a." * 4_500 + "zoom.us/j/87654321098",
}


def judge(evidence: Evidence) -> str | None:
    """What both ways of asking agree on."""
    answer, found = explain(evidence), find(evidence)
    assert answer.url == (found.meeting.url if found.meeting else None)
    assert answer.hint == found.hint
    return answer.url


@pytest.mark.parametrize("build", [pytest.param(build, id=name) for name, build in BEFORE_A_GOOD_LINK.items()])
def test_a_good_link_behind_what_costs_time(build: Callable[[], str]) -> None:
    assert judge(text(f"{build()}\n\nJoin {GOOD}\n")) == GOOD


@pytest.mark.parametrize("build", [pytest.param(build, id=name) for name, build in BEFORE_A_GOOD_LINK.items()])
def test_a_good_link_before_what_costs_time(build: Callable[[], str]) -> None:
    assert judge(text(f"Join {GOOD} today\n\n{build()}")) == GOOD


@pytest.mark.parametrize("build", [pytest.param(build, id=name) for name, build in BEFORE_A_GOOD_LINK.items()])
def test_what_costs_time_in_a_field_for_links(build: Callable[[], str]) -> None:
    assert judge(structured(build(), then=GOOD)) == GOOD


@pytest.mark.parametrize("build", [pytest.param(build, id=name) for name, build in MARKUP.items()])
def test_a_good_link_behind_markup(build: Callable[[], str]) -> None:
    assert judge(html(f'<html><body>{build()}<p>Join <a href="{GOOD}">here</a></p></body></html>')) == GOOD


@pytest.mark.parametrize("build", [pytest.param(build, id=name) for name, build in ALONE.items()])
def test_what_has_no_answer(build: Callable[[], str]) -> None:
    assert judge(html(build())) is None


@pytest.mark.parametrize("build", [pytest.param(build, id=name) for name, build in NEVER_CLOSED.items()])
def test_what_is_never_closed_hides_its_rest_or_does_not(build: Callable[[], str]) -> None:
    assert judge(html(build())) in {GOOD, None}


def test_a_link_of_8_kb_is_the_longest() -> None:
    url = "https://zoom.us/j/87654321098?pwd=" + "a" * 8_000
    assert judge(text(url)) == url


def test_a_link_early_in_a_field_of_2_mb() -> None:
    assert judge(text(f"Join {GOOD} " + "and so on, " * 200_000)) == GOOD


def test_thousands_of_meetings_are_ranked() -> None:
    answer = explain(text("\n".join(f"https://zoom.us/j/{87654321098 + n}" for n in range(4_000))))
    assert answer.url == "https://zoom.us/j/87654321098"
    assert 1 <= len(answer.alternatives) < 4_000


def test_thousands_of_passages_and_links() -> None:
    links = [StructuredLink(url=f"https://10.0.0.{n % 256}/{n}", found_in="conferenceData") for n in range(2_000)]
    passages = [Passage(text="Nothing here", found_in="description", kind="either") for _ in range(2_000)]
    evidence = Evidence(links, [*passages, Passage(text=GOOD, found_in="title")])
    assert judge(evidence) in {GOOD, None}
