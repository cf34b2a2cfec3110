"""Links in running text and HTML: where one begins and ends, what is seen and what is not, and the passcode beside it."""

import pytest

from service.core.meeting_links.evidence import Evidence, Passage, StructuredLink
from service.core.meeting_links.finding import Explanation, explain
from service.core.meeting_links.passages import LONGEST_TEXT, Reading, read_passage
from service.core.meeting_links.passcodes import find_codes
from service.core.meeting_links.quotations import Quotations

MEET = "https://meet.google.com/abq-wxyz-mnp"
ZOOM = "https://zoom.us/j/81234567890"
TEAMS = 'https://teams.microsoft.com/l/meetup-join/19:meeting_abcd@thread.v2/0?context={"Tid":"a","Oid":"b"}'


def answer(text: str, kind: str = "either", found_in: str = "description") -> Explanation:
    return explain(Evidence((), [Passage(text=text, found_in=found_in, kind=kind)]))  # type: ignore[arg-type]


ENDS = [
    f"at {MEET}.", f"at {MEET}, see", f"({MEET})", f"[{MEET}]", f"<{MEET}>", f"Join<{MEET}>", f'"{MEET}"', f"'{MEET}'", f"{MEET}!!",
    f"[Join]({MEET})", f"[{MEET}]({MEET})", f"<{MEET}|Join>", f"`{MEET}`", f"**{MEET}**", f"{MEET}*", f"{MEET};", f"{MEET}?",
    f"\uff1a{MEET}\u3002", f"\u300c{MEET}\u300d\u306b", f"\uff08{MEET}\uff09", f"\u00ab{MEET}\u00bb", f"\U0001f449{MEET}\U0001f448",
    f"\u00a0{MEET}\u00a0x", f"{MEET}\u060c \u0623\u0648", f"{MEET}\\nOr dial", f"{MEET}\\, x", f"x{MEET}", f"9{MEET}",
    f"{MEET}Otherwise, dial", f"{MEET}https://example.org/x", "meet.google.com/abq-wxyz-mnp", "(meet.google.com/abq-wxyz-mnp)",
    "Meet:meet.google.com/abq-wxyz-mnp", "HTTPS://MEET.GOOGLE.COM/abq-wxyz-mnp", "http://meet.google.com:80/abq-wxyz-mnp",
    "https://meet.google.com.:443/abq-wxyz-mnp", "https://meet.goo\u200bgle.com/abq-wx\u00adyz-mnp", "\u202ehttps://meet.google.com/abq-wxyz-mnp",
    "https:&#47;&#x2F;meet.google.com/abq-wxyz-mnp", f"&lt;{MEET}&gt;", f"&amp;lt;{MEET}&amp;gt;", "<https://meet.google.com/abq-\nwxyz-mnp>",
    f"ada@example.com<mailto:ada@example.com>{MEET}",
    f"\x00{MEET}\x00", f"\ud800{MEET}", f"{MEET}\x02", f"\x023\x03 {MEET}",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["text", "either"])
@pytest.mark.parametrize("text", [pytest.param(text, id=f"{number}") for number, text in enumerate(ENDS)])
def test_a_link_ends_where_the_text_goes_on(text: str, kind: str) -> None:
    assert answer(text, kind).url == MEET


@pytest.mark.parametrize(
    ("text", "url"),
    [
        pytest.param(f"{ZOOM}?pwd=a.1.", f"{ZOOM}?pwd=a.1", id="a stop inside stays"),
        pytest.param("(https://whereby.com/a_(b))", "https://whereby.com/a_(b)", id="a bracket with its partner stays"),
        pytest.param(f"{ZOOM}?pwd=a&amp;amp;omn=1", f"{ZOOM}?pwd=a&omn=1", id="escaped twice"),
        pytest.param(f"{ZOOM}?pwd=a&region=us", f"{ZOOM}?pwd=a&region=us", id="no trade mark"),
        pytest.param(TEAMS, TEAMS, id="raw JSON"),
        pytest.param(TEAMS.replace('"', "&quot;"), TEAMS, id="raw JSON in entities"),
        pytest.param(f"{ZOOM}?pwd=3DaB=\n9 now", f"{ZOOM}?pwd=aB9", id="quoted-printable"),
        pytest.param(f"{ZOOM}?pwd=3Dab", f"{ZOOM}?pwd=3Dab", id="no quoted-printable"),
        pytest.param(
            "at https://meet.jit.si/Gr\u00f6\u00dfe.", "https://meet.jit.si/Gr\u00f6\u00dfe", id="a room's own letters"
        ),
        pytest.param("https://meet.jit.si/Room\u0e23\u0e2b", "https://meet.jit.si/Room", id="a script without blanks"),
        pytest.param("zoommtg://zoom.us/join?action=join&confno=81234567890&pwd=a", f"{ZOOM}?pwd=a", id="desktop"),
        pytest.param("zoomus://zoom.us/join?confno=81234567890", ZOOM, id="mobile"),
        pytest.param(
            "msteams:/meet/2481234567891?p=x", "https://teams.microsoft.com/meet/2481234567891?p=x", id="Teams"
        ),
        pytest.param(f"~~{MEET}~~ {ZOOM}", ZOOM, id="struck out"),
    ],
)
def test_a_link_keeps_what_is_its_own(text: str, url: str) -> None:
    assert answer(text, "text").url == url


@pytest.mark.parametrize(
    "text",
    [
        "zoom.us/signin", "a.zoom.us", "dana@zoom.us/j/81234567890", "ftp://zoom.us/j/81234567890", "https://evil.example/zoom.us/j/81234567890",
        "https://evil.example/?next=zoom.us/j/81234567890", "https://zoom.us@evil.example/j/81234567890", "https://z\u043e\u043em.us/j/81234567890",
        "https://evil.example\\@zoom.us/j/81234567890", "https://zoom.us\\.evil.example/j/81234567890", "https://zoom.us%2eevil.example/j/81234567890",
        "zoommtg://evil.example/join?confno=81234567890", "msteams://evil.example/meet/2481234567891", "notzoom.us/j/81234567890",
        "sip:81234567890@zoomcrc.com", "tel:+15550100,,81234567890#", "mailto:x@zoom.us?subject=zoom", "https://", "://", "",
        "javascript:location='https://zoom.us/j/81234567890'", "data:text/html,https://zoom.us/j/81234567890",
        "mailto:ada@example.com?subject=https://zoom.us/j/81234567890",
        "https://meet.example.org/about", "https://t.me/join/abc", "https://calendly.com/events/x/google_meet",
    ],
)  # fmt: skip
def test_what_is_no_link_to_a_meeting(text: str) -> None:
    assert answer(text).url is None


@pytest.mark.parametrize(
    ("html", "url"),
    [
        pytest.param(f'<a href="{MEET}">Join</a>', MEET, id="behind a word"),
        pytest.param(f"<a href=' {MEET} '>Join</a>", MEET, id="blanks around"),
        pytest.param('<a href="https://meet.google.com/\nabq-wxyz-mnp">Join</a>', MEET, id="broken in the attribute"),
        pytest.param(f'<a originalsrc="{MEET}" href="https://x.example/">Join</a>', MEET, id="Outlook's clean one"),
        pytest.param("<p>https://meet.google.com/<wbr>abq-<b>wxyz</b>-mnp</p>", MEET, id="inline tags"),
        pytest.param(f"<p>{MEET}<br>tail</p>", MEET, id="line break"),
        pytest.param(f"<td>{MEET}</td><td>tail</td>", MEET, id="cell"),
        pytest.param(f"<!-- {ZOOM} --><p>{MEET}</p>", MEET, id="comment"),
        pytest.param(f"<style>{ZOOM}</style><script>'{ZOOM}'</script>{MEET}<br>", MEET, id="style and script"),
        pytest.param(f"<s><a href='{ZOOM}'>x</a></s><del>{ZOOM}</del><p>{MEET}</p>", MEET, id="struck out"),
        pytest.param(f"<span style='text-decoration:line-through'>{ZOOM}</span><p>{MEET}</p>", MEET, id="styled away"),
        pytest.param(f"<div style='display: none'>{ZOOM}</div><p>{MEET}</p>", MEET, id="hidden"),
        pytest.param(f"<img src='{ZOOM}'>", None, id="image"),
        pytest.param(f"<a href=\"javascript:open('{ZOOM}')\">Join</a>", None, id="script"),
        pytest.param(f"<a href=\"java\tscript:open('{ZOOM}')\">Join</a>", None, id="script with a tab"),
        pytest.param(f'<a href="data:text/html,{ZOOM}">Join</a>', None, id="data"),
        pytest.param(f'<a href="{ZOOM}">https://evil.example/</a>', ZOOM, id="text lies"),
        pytest.param(f'<a href="https://evil.example/">{ZOOM}</a>', ZOOM, id="target lies"),
        pytest.param(f'<a href="https://url.emailprotection.link/?b">{ZOOM}</a>', ZOOM, id="opaque, text shows it"),
        pytest.param(f"<p>Join <{MEET}> now</p>", MEET, id="angles are no tag"),
        pytest.param(f"<p hidden>{ZOOM}</p><p>{MEET}</p>", MEET, id="hidden by its attribute"),
        pytest.param("<div>" * 30000 + MEET + "<br>", MEET, id="deep"),
        pytest.param("<" * 60000 + MEET, MEET, id="angles"),
        pytest.param(f"<blockquote>{ZOOM}</blockquote><p>{MEET}</p>", MEET, id="quoted"),
        pytest.param(f"<blockquote>{MEET}</blockquote>", MEET, id="quoted only"),
        pytest.param(f"<p>x</p><div id=divRplyFwdMsg>From</div>{ZOOM}", ZOOM, id="forwarded only"),
    ],
)
def test_html_is_read_as_it_is_seen(html: str, url: str | None) -> None:
    assert answer(html, "html").url == url


def test_a_quoted_message_comes_after_what_was_written_above_it() -> None:
    for head in (
        "> ", "-----Original Message-----\n", "---------- Forwarded message ---------\n", "On Mon, 1 Dec 2025, Pat wrote:\n",
        "From: Pat\nSent: Monday\n", "Von: Pat\nGesendet: Montag\n", "Le lun. 1 d\u00e9c. 2025 Pat a \u00e9crit :\n", "Begin forwarded message:\n",
    ):  # fmt: skip
        quoted = f"Hello\n\n{head}{ZOOM}"
        assert Quotations(quoted).covers(quoted.index(ZOOM)), head
        assert not Quotations(quoted).covers(0), head
        assert answer(f"{head}{ZOOM}\n").url == ZOOM, "better than none"
    assert answer(f"> {ZOOM}\n\n{MEET}").url == MEET


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Passcode: 482915", "482915"), ("Meeting password: fAkE123.", "fAkE123"), ("(ID: 8123, passcode: 482915)", "482915"),
        ("Passcode (case sensitive): aB1", "aB1"), ("The password is aB1c", "aB1c"), ("Kenncode: Xy7Qz2", "Xy7Qz2"),
        ("Code d\u2019acc\u00e8s : aB1c", "aB1c"), ("C\u00f3digo de acceso: 123", "123"), ("Senha: 123", "123"), ("Wachtwoord: 123", "123"),
        ("\u041a\u043e\u0434 \u0434\u043e\u0441\u0442\u0443\u043f\u0430: 123", "123"), ("\u30d1\u30b9\u30b3\u30fc\u30c9\uff1a123", "123"), ("\u5bc6\u7801\uff1a123", "123"), ("\u0e23\u0e2b\u0e31\u0e2a\u0e1c\u0e48\u0e32\u0e19482915", "482915"),
        ("Phone passcode: 123456", None), ("Access code: 2541 422", None), ("The code: x", None), ("Passcode", None),
    ],
)  # fmt: skip
def test_a_passcode_is_known_by_its_label(text: str, code: str | None) -> None:
    assert next((found.text for found in find_codes(text)), None) == code


@pytest.mark.parametrize(
    ("text", "passcode"),
    [
        pytest.param(f"{ZOOM}\nPasscode: 482915", "482915", id="of the text"),
        pytest.param(f"{ZOOM}?pwd=key.1\nPasscode: 482915", "482915", id="what is typed before the key"),
        pytest.param(f"{ZOOM}?pwd=key.1", "key.1", id="else the key"),
        pytest.param("https://teams.microsoft.com/meet/2481234567891?p=aB\nPasscode: Xy7", "aB", id="the link's own"),
        pytest.param(f"{MEET}\nPasscode: 482915", None, id="of none that has any"),
        pytest.param(f"Password: old1\n{ZOOM}\nPasscode: 482915", "482915", id="after the link"),
    ],
)
def test_which_passcode(text: str, passcode: str | None) -> None:
    assert answer(text).passcode == passcode


def test_a_passcode_of_another_meetings_text_is_not_taken() -> None:
    evidence = Evidence(
        [StructuredLink(url=ZOOM, found_in="conferenceData")],
        [Passage(text="https://acme.zoom.us/j/99999999999 Passcode: 111111", found_in="description")],
    )
    assert explain(evidence).passcode is None
    alone = Evidence(evidence.links, [Passage(text="Passcode: 222222", found_in="description")])
    assert explain(alone).passcode == "222222"


def test_text_beyond_the_cap_is_not_read() -> None:
    assert answer(" " * (LONGEST_TEXT - len(MEET)) + MEET).url == MEET
    assert answer(" " * LONGEST_TEXT + MEET).url is None


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", ["https://x.", "<div>", "<a><div>", "a.", "a.b/", "&amp;", "https://a](", f"{ZOOM})", "> ",
                                   "From: a\n", "On x wrote ", "passcode: ", "%25", "(", "<blockquote>", "\ud800", "=3D=\n"])  # fmt: skip
@pytest.mark.parametrize("kind", ["text", "html"])
def test_every_part_of_a_text_is_read_once(piece: str, kind: str) -> None:
    text = (piece * (352 * 1024 // len(piece)))[: LONGEST_TEXT + 1]
    reading = read_passage(Passage(text=text, found_in="description", kind=kind))  # type: ignore[arg-type]
    if isinstance(reading, Reading):
        assert sum(len(sighting.url) for sighting in reading.sightings if sighting.is_typed) <= len(text) * 1.1
