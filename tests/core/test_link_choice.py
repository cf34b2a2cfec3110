"""Which of an event's links wins, what a project may say about that, and that the quick answer is the whole one."""

import random

import pytest

from service.core.event import Meeting
from service.core.meeting_links.evidence import Evidence, LinkRules, MeetingHost, Passage, StructuredLink
from service.core.meeting_links.finding import Explanation, explain, find

MEET = "https://meet.google.com/abq-wxyz-mnp"
OTHER_MEET = "https://meet.google.com/kfg-trew-qzx"
ZOOM = "https://zoom.us/j/81234567890"
KEYED = f"{ZOOM}?pwd=key.1"
WEBEX = "https://acme.webex.com/meet/ada"
TEAMS = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_abcd%40thread.v2/0?context=x"
SHORT = "https://teams.microsoft.com/meet/2481234567891?p=aB"
UNKNOWN = "https://calls.vendor.example/r/abc"
WHEREBY = "https://whereby.com/acme"
REGISTER = "https://acme.zoom.us/meeting/register/tZ0"
OPAQUE = "https://url.emailprotection.link/?b"
TYPED = LinkRules("typed")


def event(*links: str, location: str = "", description: str = "", title: str = "") -> Evidence:
    texts = [("location", location), ("description", description), ("title", title)]
    return Evidence(
        [StructuredLink(url=url, found_in=f"field {number}") for number, url in enumerate(links)],
        [Passage(text=text, found_in=name, kind="either") for name, text in texts if text],
    )


@pytest.mark.parametrize(
    ("evidence", "url", "found_in"),
    [
        pytest.param(event(ZOOM, MEET), ZOOM, "field 0", id="the provider's order"),
        pytest.param(event(UNKNOWN, MEET), MEET, "field 1", id="a known platform before an unknown host"),
        pytest.param(event(UNKNOWN, location=MEET), UNKNOWN, "field 0", id="a field before a text"),
        pytest.param(event("https://zoom.us/signin", UNKNOWN), UNKNOWN, "field 1", id="a decoy is none"),
        pytest.param(event(WHEREBY, description=MEET), WHEREBY, "field 0", id="a field of any tier"),
        pytest.param(event(location=WHEREBY, description=MEET), MEET, "description", id="the first tier first"),
        pytest.param(event(location=ZOOM, description=MEET), ZOOM, "location", id="then the field"),
        pytest.param(event(description=MEET, title=ZOOM), MEET, "description", id="the title last"),
        pytest.param(event(description=f"{ZOOM} {MEET}"), ZOOM, "description", id="then reading order"),
        pytest.param(
            event(description=f"{MEET} {ZOOM}{'?x=' + 'y' * 200}"), MEET, "description", id="never the longest"
        ),
        pytest.param(event(description=f"> {ZOOM}\n\n{MEET}"), MEET, "description", id="what is quoted later"),
        pytest.param(event(description=f"{ZOOM} {KEYED}"), KEYED, "description", id="the copy with the key"),
        pytest.param(event(ZOOM, description=KEYED), KEYED, "description", id="the text's copy with the key"),
        pytest.param(event(KEYED, description=f"{ZOOM}?pwd=other"), KEYED, "field 0", id="a key is enough"),
        pytest.param(
            event(ZOOM, description="https://zoomgov.com/j/81234567890?pwd=x"), ZOOM, "field 0", id="another cloud"
        ),
        pytest.param(event(TEAMS, description=SHORT), TEAMS, "field 0", id="Teams' two forms"),
    ],
)
def test_which_link_wins(evidence: Evidence, url: str, found_in: str) -> None:
    found = explain(evidence)

    assert (found.url, found.found_in) == (url, found_in)


def test_what_it_won_against_is_told_once_each() -> None:
    found = explain(event(ZOOM, description=f"{KEYED} {MEET} {WEBEX} {MEET}?authuser=1", title=WHEREBY))

    assert found.url == KEYED
    assert [each.url for each in found.alternatives] == [MEET, WEBEX, WHEREBY]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (REGISTER, "registration_required"), (OPAQUE, "wrapped_unresolved"), (f"{OPAQUE} {REGISTER}", "registration_required"),
        (f"{REGISTER} {MEET}", None), ("https://example.org", None), ("https://chime.aws/1234567890", "retired"),
        ("https://g.co/meet/team", "sign_in_required"),
    ],
)  # fmt: skip
def test_a_hint_says_what_is_there_instead(text: str, hint: str | None) -> None:
    assert explain(event(description=text)).hint == hint


@pytest.mark.parametrize(
    ("evidence", "url"),
    [
        pytest.param(event(TEAMS, description=ZOOM), ZOOM, id="Zoom beside Outlook's own"),
        pytest.param(event(MEET, location=WEBEX), WEBEX, id="Webex beside Google's own"),
        pytest.param(event(MEET, description=OTHER_MEET), OTHER_MEET, id="another room"),
        pytest.param(event(MEET, description=f"{MEET}?hs=1"), MEET, id="the same room"),
        pytest.param(event(TEAMS, description=f"{SHORT} {TEAMS}"), TEAMS, id="Outlook's own in two forms"),
        pytest.param(event(MEET, description=f"> {ZOOM}"), MEET, id="what is quoted was not typed"),
        pytest.param(event(MEET, description=UNKNOWN), MEET, id="nobody knows it"),
        pytest.param(event(MEET, description="https://zoom.us/signin"), MEET, id="no meeting"),
        pytest.param(event(MEET), MEET, id="nothing typed"),
    ],
)
def test_what_somebody_typed_may_come_first(evidence: Evidence, url: str) -> None:
    assert explain(evidence, TYPED).url == url
    assert explain(evidence).url in {TEAMS, MEET}


OWN = "https://meet.example.org"
HOSTS = LinkRules(
    hosts=(MeetingHost(host="meet.example.org"), MeetingHost(host="a.example", platform="nextcloud_talk"))
)


@pytest.mark.parametrize(
    ("url", "platform", "meeting_id"),
    [
        (f"{OWN}/TeamSync", "jitsi", "TeamSync"),
        (f"{OWN}/b/dan-abc-d3f-g4h", "bigbluebutton", "dan-abc-d3f-g4h"),
        (f"{OWN}/rooms/dan-abc-d3f-g4h/join", "bigbluebutton", "dan-abc-d3f-g4h"),
        (f"{OWN}/call/a1b2c3d4", "nextcloud_talk", "a1b2c3d4"),
        ("https://a.example/call/a1b2c3d4", "nextcloud_talk", "a1b2c3d4"),
    ],
)
@pytest.mark.parametrize("found_in", ["location", "description", "field"])
def test_a_host_of_ones_own_has_rooms_everywhere(url: str, platform: str, meeting_id: str, found_in: str) -> None:
    evidence = (
        Evidence([StructuredLink(url=url, found_in=found_in)])
        if found_in == "field"
        else Evidence((), [Passage(text=f"at {url}.", found_in=found_in)])
    )
    found = explain(evidence, HOSTS)

    assert (found.url, found.platform, found.meeting_id) == (url, platform, meeting_id)


@pytest.mark.parametrize("url", [f"{OWN}/", f"{OWN}/static/x.js", "https://x.meet.example.org/Room", "https://example.org/Room",
                                 "https://meet.example.org.evil.example/Room", "https://meet.example.org:8443/Room"])  # fmt: skip
def test_a_host_is_that_host_and_a_room_alone(url: str) -> None:
    assert explain(event(description=url), HOSTS).url is None


def test_a_room_of_a_host_that_nobody_named_is_told_by_its_path_in_a_place_alone() -> None:
    greenlight = "https://bbb.example.org/b/dan-abc-d3f-g4h"

    assert explain(event(location=greenlight)).platform == "bigbluebutton"
    assert explain(event(description=greenlight)).url is None
    assert explain(event(location="https://bbb.example.org/join/room")).url is None


PIECES = [MEET, OTHER_MEET, ZOOM, KEYED, f"{ZOOM}?tk=t", WEBEX, TEAMS, SHORT, UNKNOWN, WHEREBY, REGISTER, OPAQUE, "https://example.org",
          "Passcode: 482915", "Password: aBc9", "\n", "\n> ", "On Mon, Pat wrote:\n", "-----Original Message-----\n", f"<a href='{KEYED}'>x</a>",
          f"<blockquote>{MEET}</blockquote>", f"{OWN}/Room", "https://chime.aws/1234567890", "hello"]  # fmt: skip


@pytest.mark.parametrize("seed", range(300))
def test_the_quick_answer_is_the_whole_one(seed: int) -> None:
    dice = random.Random(seed)
    links = [
        StructuredLink(url=dice.choice(PIECES), found_in=f"{number}", passcode=dice.choice([None, None, "77"]))
        for number in range(dice.randrange(3))
    ]
    passages = [
        Passage(text=" ".join(dice.choices(PIECES, k=dice.randrange(7))), found_in=f"text {number}", kind="either")
        for number in range(dice.randrange(4))
    ]
    evidence = Evidence(links, passages)
    for rules in (LinkRules(), TYPED, HOSTS, LinkRules("typed", HOSTS.hosts)):
        found, whole = find(evidence, rules), explain(evidence, rules)
        shown = {name: getattr(whole, name) for name in Meeting.__struct_fields__}
        if found.meeting is None:
            assert whole == Explanation(hint=found.hint)
        else:
            assert shown == {name: getattr(found.meeting, name) for name in shown}
