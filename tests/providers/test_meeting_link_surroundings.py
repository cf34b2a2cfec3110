"""Each link of the corpus, put where links are found: whatever is around it, it is still the same meeting."""

import base64
import json
import random
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from service.core.meeting_links.finding import explain
from service.providers.link_sources import Source, collect

TESTDATA = Path(__file__).parents[1] / "testdata"
Event = tuple[Source, dict[str, Any]]


def read_links() -> dict[str, str]:
    """Each link to its platform; those left out are meetings by what is around them, or may be judged either way."""
    links = {}
    for file in sorted(TESTDATA.glob("meeting_links_*.json")):
        cases = json.loads(file.read_text())
        for case in cases if isinstance(cases, list) else ():
            url, platform = case["expect"]["url"], case["expect"]["platform"]
            is_own = platform in {"unknown", "skype_for_business"} or "selfhost" in case["tags"]
            # Some wrappers below hold their target as it is, which no real one does with letters outside ASCII.
            if url and url.isascii() and not is_own and "policy" not in case:
                links[url] = platform
    return links


def escaped(url: str) -> str:
    return quote(url, safe="")


def proofpoint_2(url: str) -> str:
    coded = re.sub(r"[^A-Za-z0-9./]", lambda found: "".join(f"-{octet:02X}" for octet in found[0].encode()), url)
    return "https://urldefense.proofpoint.com/v2/url?u=" + coded.replace("/", "_") + "&d=x&e="


WRAPPERS: dict[str, Callable[[str], str]] = {
    "none": lambda url: url,
    "safe links": lambda url: f"https://emea01.safelinks.protection.outlook.com/?url={escaped(url)}&data=05%7C02",
    "google": lambda url: f"https://www.google.com/url?q={escaped(url)}&sa=D",
    "google meet": lambda url: f"https://meet.google.com/linkredirect?authuser=0&dest={escaped(url)}",
    "teams": lambda url: (
        f"https://statics.teams.cdn.office.net/x/safelinks/1/atp-safelinks.html?url={escaped(url)}&locale=de"
    ),
    "owa": lambda url: f"https://mail.firma.example/owa/redir.aspx?C=x&URL={escaped(url)}",
    "proofpoint 1": lambda url: f"https://urldefense.proofpoint.com/v1/url?u={escaped(url)}&k=x",
    "proofpoint 2": proofpoint_2,
    "proofpoint 3": lambda url: f"https://urldefense.com/v3/__{url}__;!!tenant!sig$" if "*" not in url else url,
    "barracuda": lambda url: f"https://linkprotect.cudasvc.com/url?a={escaped(url)}&c=E,1,x",
    "cisco": lambda url: f"https://secure-web.cisco.com/1x/{escaped(url)}",
    "sophos": lambda url: f"https://eu.protection.sophos.com/?d=x&u={base64.urlsafe_b64encode(url.encode()).decode()}",
    "trellix": lambda url: f"https://protect2.fireeye.com/v1/url?k=1&u={escaped(url)}",
    "check point": lambda url: f"https://protect.checkpoint.com/v2/___{url}___.abc" if "*" not in url else url,
    "url protection": lambda url: f"https://firma.url-protection.com/v1/url?o={escaped(url)}&g=1",
    "symantec": lambda url: f"https://clicktime.symantec.com/3abc?u={escaped(url)}",
    "slack": lambda url: f"https://slack-redir.net/link?url={escaped(url)}",
    "meta": lambda url: f"https://l.facebook.com/l.php?u={escaped(url)}&h=x",
    "linkedin": lambda url: f"https://www.linkedin.com/safety/go?url={escaped(url)}",
    "amazon": lambda url: f"https://a.r.us-east-1.awstrack.me/L0/{escaped(url)}/1/x/y",
    "postmark": lambda url: f"https://click.pstmrk.it/3s/{escaped(url.partition('://')[2])}/a/b",
}


def text(content: str) -> Event:
    return "text", {"text": content}


def google(content: str) -> Event:
    return "google", {"description": content}


def microsoft(content: str) -> Event:
    return "microsoft", {"body": {"contentType": "html", "content": f"<html><body>{content}</body></html>"}}


def feed(name: str, content: str, fold: str = "\r\n ") -> Event:
    line = f"{name}:" + content.replace(";", "\\;").replace(",", "\\,")
    folded = fold.join(line[start : start + 70] for start in range(0, len(line), 70))
    return "ics", {"raw": f"BEGIN:VEVENT\r\nUID:a@example.org\r\n{folded}\r\nEND:VEVENT\r\n"}


PLACES: dict[str, Callable[[str], Event]] = {
    "sentence": lambda url: text(f"Please join {url} at noon"),
    "end of a sentence": lambda url: text(f"Please join {url}."),
    "parentheses": lambda url: text(f"Video ({url}), room 7"),
    "angle brackets": lambda url: text(f"Join<{url}>"),
    "quotes": lambda url: text(f'"{url}"'),
    "ideographs": lambda url: text(f"\u94fe\u63a5\uff1a{url}\u3002"),
    "no-break spaces": lambda url: text(f"x\u00a0{url}\u00a0y"),
    "markdown": lambda url: text(f"[Join]({url})"),
    "slack": lambda url: text(f"<{url}|Join>"),
    "quoted message": lambda url: text(f"FYI\n\n> Join\n> {url}\n"),
    "never unescaped": lambda url: text(f"{url}\\nMeeting ID: 1"),
    "entities": lambda url: text(url.replace("&", "&amp;")),
    "broken line": lambda url: text(f"Join <{url[:30]}\r\n{url[30:]}> bye"),
    "zero-width space": lambda url: text(f"{url[:20]}\u200b{url[20:]}"),
    "scheme in capitals": lambda url: text(f"HTTPS{url[5:]}"),
    "port": lambda url: text(url.replace("/", ":443/", 3).replace(":443/", "/", 2)),
    "google location": lambda url: ("google", {"location": url}),
    "google anchor": lambda url: google(f'<p>Join: <a href="{escape(url)}">here</a></p>'),
    "google line breaks": lambda url: google(f"Join:<br>{escape(url)}<br>bye"),
    "google word breaks": lambda url: google(f"<p>{escape(url[:20])}<wbr>{escape(url[20:])}</p>"),
    "google conference": lambda url: (
        "google",
        {"conferenceData": {"entryPoints": [{"entryPointType": "video", "uri": url}]}},
    ),
    "outlook body": lambda url: microsoft(f"<div>{escape(url)}</div>"),
    "outlook original": lambda url: microsoft(
        f'<a href="https://x.safelinks.example/" originalsrc="{escape(url)}">x</a>'
    ),
    "outlook location": lambda url: ("microsoft", {"location": {"displayName": f"Room 7; {url}; Lobby"}}),
    "outlook join link": lambda url: ("microsoft", {"onlineMeeting": {"joinUrl": url}}),
    "ics description": lambda url: feed("DESCRIPTION", f"Join {url}\\nBye"),
    "ics location": lambda url: feed("LOCATION", url, "\n\t"),
    "ics html": lambda url: feed(
        "X-ALT-DESC;FMTTYPE=text/html", f'<html><body><a href="{escape(url)}">x</a></body></html>'
    ),
    "ics url": lambda url: ("ics", {"URL": url}),
    "ics conference": lambda url: ("ics", {"CONFERENCE": [{"value": url, "params": {"FEATURE": "VIDEO"}}]}),
}
LINKS = read_links()


def plain(url: str | None) -> str:
    return re.sub(r"^https://([^/]+):443/", r"https://\1/", unquote(url or "")).rstrip("/")


def check(url: str, event: Event) -> None:
    wanted, found = explain(collect("text", {"text": url})), explain(collect(*event))
    assert found.platform == wanted.platform == LINKS[url], event
    assert (found.meeting_id, plain(found.url)) == (wanted.meeting_id, plain(wanted.url)), event


@pytest.mark.parametrize("name", PLACES)
def test_a_link_in_its_place(name: str) -> None:
    for url in LINKS:
        check(url, PLACES[name](url))


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapped_link_in_any_place(name: str) -> None:
    draw = random.Random(name)
    for url in LINKS:
        check(url, draw.choice([*PLACES.values()])(WRAPPERS[name](url)))


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_link_wrapped_twice(name: str) -> None:
    draw = random.Random(f"twice {name}")
    for url in LINKS:
        check(url, text(f"Join {WRAPPERS[name](draw.choice([*WRAPPERS.values()])(url))} bye"))
