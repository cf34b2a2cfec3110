"""Damaged, glued and wrapped events from a seed: whatever comes of them is a safe address, and never an exception."""

import ipaddress
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from service.core.meeting_links.evidence import Evidence
from service.core.meeting_links.finding import explain, find
from service.providers.link_sources import collect

TESTDATA = Path(__file__).parents[1] / "testdata"
ROUNDS = int(os.environ.get("CALGATE_LINK_ROUNDS", "150"))
"""Of each test and seed; more by hand, as after a change of the rules."""

FAMILIES = {
    "zoom": ("zoom.us", "zoom.com", "zoom.com.cn", "zoomgov.com", "zoom-x.de"),
    "google_meet": ("meet.google.com", "g.co"),
    "google_meet_stream": ("stream.meet.google.com",),
    "microsoft_teams": (
        "teams.microsoft.com",
        "teams.live.com",
        "teams.cloud.microsoft",
        "teams.microsoft.us",
        "teams.microsoftonline.cn",
    ),
    "webex": ("webex.com", "webex.com.cn", "webexgov.us"),
}
PRIVATE = re.compile(r"(?:^|\.)(?:localhost|local|internal|lan|home|corp|intranet|localdomain|invalid|test)$")


def escape(url: str, but: str = "") -> str:
    return quote(url, safe=but, errors="replace")


WRAPPERS: tuple[Callable[[str], str], ...] = (
    lambda url: "https://emea01.safelinks.protection.outlook.com/?url=" + escape(url) + "&data=05%7C02",
    lambda url: "https://www.google.com/url?q=" + escape(url, ":/?") + "&sa=D",
    lambda url: "https://linkprotect.cudasvc.com/url?a=" + escape(url),
    lambda url: "https://secure-web.cisco.com/1abc/" + escape(url),
    lambda url: "https://urldefense.com/v3/__" + url + "__;!!tenant!sig$",
    lambda url: "https://urldefense.proofpoint.com/v2/url?u=" + escape(url).replace("%", "-") + "&d=x",
    lambda url: "https://meet.google.com/linkredirect?dest=" + escape(url),
    lambda url: "https://click.pstmrk.it/3s/" + escape(url.partition("://")[2]) + "/a/b",
    lambda url: "https://mail.firma.example/owa/redir.aspx?URL=" + escape(url),
    lambda url: "https://protect.checkpoint.com/v2/___" + url + "___.x",
)
HOLDERS: tuple[Callable[[str], str], ...] = (
    lambda url: f'<a href="{url}">join</a>',
    lambda url: f"<a href='{url}' originalsrc='{url}'>{url}</a>",
    lambda url: f"<{url}|join>",
    lambda url: f"<div>{url}<br><s>x</s></div>",
    lambda url: f"<!-- {url} -->",
    lambda url: f"({url}).",
    lambda url: url.replace("&", "&amp;"),
    lambda url: "\n".join(f"> {line}" for line in ("On Monday somebody wrote:", url)),
    lambda url: f"{url}{url}",
    lambda url: f"{url[: len(url) // 2]}\r\n {url[len(url) // 2 :]}",
)
PIECES = (
    *"\x00\t\n\r \"'()*,.:;<>?@[\\]`{|}%&#/+=-_~",
    *("%00", "%0d%0a", "%25", "%2e", "%2f", "%40", "&amp;", "&#47;", "\u200b", "\u00ad", "\u202e", "\ufeff", "\u3002", "\uff0f", "\ud800"),
    *("@evil.example", ".evil.example", "https://", "//", "javascript:", "127.0.0.1", "zoom.us", "[::1]", ":8443", "xn--", "../", "\u0131", "\u043e"),
)  # fmt: skip
HOSTS = (
    "evil.example", "zoom.us.evil.example", "evilzoom.us", "zoom.us@evil.example", "10.0.0.5", "[::1]", "localhost",
    "2130706433", "0x7f.1", "169.254.169.254", "zoom.us:8443", "meet.google.com.evil.example", "intranet", "printer.local",
    "xn--zm-fmca.us", "z\u043eom.us", "evil.example\\.zoom.us", "zoom.us%2eevil.example", "zoom..us", "metadata.google.internal",
)  # fmt: skip


def read_cases() -> list[dict[str, Any]]:
    files = sorted(set(TESTDATA.glob("meeting_links_*.json")) - {TESTDATA / "meeting_links_policy.json"})
    cases = [case for file in files for case in json.loads(file.read_text())]
    return [case for case in cases if len(json.dumps(case)) < 20_000]


CASES = read_cases()
LINKS = sorted({case["expect"]["url"] for case in CASES if case["expect"]["url"]})
MOVED = sorted({case["expect"]["url"] for case in CASES if case["expect"]["url"] and "selfhost" not in case["tags"]})
"""Links of which the host is a part of what makes them links to a meeting."""


def judge(evidence: Evidence) -> str | None:
    """The winner, which is safe, and the same for both ways of asking."""
    answer, found = explain(evidence), find(evidence)
    if found.meeting is None:
        assert answer.url is None
        assert answer.hint == found.hint
        return None
    assert (answer.url, answer.platform, answer.meeting_id, answer.passcode, answer.found_in) == (
        found.meeting.url,
        found.meeting.platform,
        found.meeting.meeting_id,
        found.meeting.passcode,
        found.meeting.found_in,
    )
    for meeting in (found.meeting, *answer.alternatives):
        check(meeting.url, meeting.platform)
    json.dumps([answer.url, answer.passcode, answer.meeting_id], ensure_ascii=False).encode()
    return answer.url


def check(url: str, platform: str) -> None:
    assert url.startswith("https://"), url
    assert url.isprintable(), url
    assert not re.search(r"[\s\\<>\x00]", url), url
    assert len(url) <= 8_192
    parts = urlsplit(url)
    host = parts.hostname or ""
    assert parts.netloc == host, f"more than a host, or not in small letters: {url}"
    assert re.fullmatch(r"(?!-)[a-z0-9_-]+(?:\.[a-z0-9_-]+)+", host), url
    assert len(host) <= 253
    assert not PRIVATE.search(host), url
    assert not re.fullmatch(r"(?:0x)?[0-9a-f]*[0-9]", host.rsplit(".", 1)[1]), f"ends in a number: {url}"
    with pytest.raises(ValueError):
        ipaddress.ip_address(host)
    if platform not in FAMILIES:
        assert not any(name in host for names in FAMILIES.values() for name in names if name != "g.co"), url
    else:
        assert any(host == name or host.endswith("." + name) for name in FAMILIES[platform]), (platform, url)


def damage(draw: random.Random, text: str) -> str:
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(text) + 1)
        match draw.randrange(5):
            case 0:
                text = text[:at] + draw.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + draw.choice(PIECES) + text[at + 1 :]
            case 2:
                text = text[:at] + text[at + draw.randint(1, 8) :]
            case 3:
                text = text[:at] if len(text) > 3 else text
            case _:
                text = text[:at] + text[max(0, at - draw.randint(1, 30)) : at] + text[at:]
    return text


def damage_within(draw: random.Random, value: Any) -> Any:
    """The same event, with some of its texts damaged."""
    if isinstance(value, str):
        return damage(draw, value) if value and draw.random() < 0.7 else value
    if isinstance(value, dict):
        return {name: damage_within(draw, each) for name, each in value.items()}
    if isinstance(value, list):
        return [damage_within(draw, each) for each in value]
    return value


@pytest.mark.parametrize("seed", range(4))
def test_damaged_events(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(ROUNDS):
        case = draw.choice(CASES)
        judge(collect(case["source"], damage_within(draw, case["event"])))


@pytest.mark.parametrize("seed", range(4))
def test_links_glued_wrapped_and_held(seed: int) -> None:
    draw = random.Random(f"held {seed}")
    for _ in range(ROUNDS):
        url = draw.choice(LINKS)
        for _ in range(draw.randint(0, 4)):
            url = draw.choice((*WRAPPERS, *HOLDERS))(damage(draw, url) if draw.random() < 0.3 else url)
        glued = (
            draw.choice(("", "Join", "x.", "1", "(", "\u3001", "@"))
            + url
            + draw.choice(("", "Otherwise", ").", "\u3002"))
        )
        judge(collect("text", {"text": glued}))
        judge(
            collect(
                "google",
                {"conferenceData": {"entryPoints": [{"entryPointType": "video", "uri": url}]}, "description": glued},
            )
        )
        judge(
            collect("microsoft", {"body": {"contentType": "html", "content": glued}, "onlineMeeting": {"joinUrl": url}})
        )
        judge(collect("ics", {"raw": f"BEGIN:VEVENT\r\nURL:{url}\r\nDESCRIPTION:{glued}\r\nEND:VEVENT"}))


@pytest.mark.parametrize("seed", range(4))
def test_links_moved_to_other_hosts(seed: int) -> None:
    draw = random.Random(f"hosts {seed}")
    for _ in range(ROUNDS):
        scheme, _, rest = draw.choice(MOVED).partition("://")
        _, slash, path = rest.partition("/")
        url = f"{draw.choice((scheme, 'http', 'zoommtg', 'msteams'))}://{draw.choice(HOSTS)}{slash}{path}"
        if draw.random() < 0.5:
            url = draw.choice(WRAPPERS)(url)
        for found in (
            judge(collect("text", {"text": url})),
            judge(collect("google", {"location": url})),
            judge(collect("microsoft", {"body": {"contentType": "html", "content": f'<a href="{url}">{url}</a>'}})),
        ):
            assert found is None or url.startswith("https://meet.google.com/linkredirect"), (url, found)
        judge(collect("ics", {"X-GOOGLE-CONFERENCE": url}))
