"""Links wrapped by mail filters, redirectors and trackers: each row of the table, nested, broken and hostile."""

import base64
from urllib.parse import quote

import pytest

from service.core.meeting_links.addresses import read_address
from service.core.meeting_links.recognition import WRAPPED_UNRESOLVED, Room, recognise
from service.core.meeting_links.wrappers import DEEPEST, WRAPPERS, find_wrapper

ZOOM = "https://us02web.zoom.us/j/81234567890?pwd=fAke.1"
MEET = "https://meet.google.com/abq-wxyz-mnp"
Q = quote(ZOOM, safe="")
B64 = base64.b64encode(ZOOM.encode()).decode()

RESOLVED = {
    "safe_links": [f"https://eur01.safelinks.protection.outlook.com/?data=1&url={Q}&reserved=0",
                   f"https://usg01.safelinks.protection.office365.us/ap/t-59584e83/?url={Q}",
                   f"https://chn01.safelinks.protection.outlook.cn/GetUrlReputation?url={Q}"],
    "teams_chat": [f"https://statics.teams.cdn.office.net/evergreen-assets/safelinks/1/atp-safelinks.html?url={Q}",
                   f"https://teams.public.onecdn.static.microsoft/x/safelinks/2/atp-safelinks.html?url={Q}"],
    "outlook_web": [f"https://outlook.office.com/mail/safelink.html?url={Q}&corid=1"],
    "outlook_on_premises": [f"https://mail.example.org/owa/redir.aspx?C=x&URL={Q}", f"https://mail.example.org/owa/redir.aspx?REF={B64}"],
    "defender_cloud_apps": ["https://us02web.zoom.us.mcas.ms/j/81234567890?pwd=fAke.1"],
    "google": [f"https://www.google.com/url?q={Q}&sa=D", "https://www.google.co.uk/url?q=https://us02web.zoom.us/j/81234567890?pwd%3DfAke.1&sa=D",
               f"https://www.google.de/url?url={Q}"],
    "google_meet_chat": [f"https://meet.google.com/linkredirect?authuser=0&dest={Q}"],
    "proofpoint_1": [f"https://urldefense.proofpoint.com/v1/url?u={Q}&k=x"],
    "proofpoint_2": ["https://urldefense.proofpoint.com/v2/url?u=https-3A__us02web.zoom.us_j_81234567890-3Fpwd-3DfAke.1&d=x"],
    "proofpoint_3": ["https://urldefense.com/v3/__https://us02web.zoom.us/j/81234567890*pwd*fAke.1__;Pz0!!x$",
                     "https://urldefense.com/v3/__https:/us02web.zoom.us/j/81234567890?pwd=fAke.1__;!!x$"],
    "barracuda": [f"https://linkprotect.cudasvc.com/url?a={Q}&c=E,1"],
    "cisco": [f"http://secure-web.cisco.com/1Token/{Q}", f"https://secure-web.cisco.com/1Token/{Q}"],
    "sophos": [f"https://eu-central-1.protection.sophos.com/?d=zoom.us&u={B64}", f"https://us-west-2.protection.sophos.com?u={B64.rstrip('=')}"],
    "trellix": [f"https://protect2.fireeye.com/v1/url?k=1&u={Q}"],
    "check_point_2": ["https://protect.checkpoint.com/v2/___https:/us02web.zoom.us/j/81234567890?pwd=fAke.1___.abc",
                      "https://url.avanan.click/v2/___https://us02web.zoom.us/j/81234567890?pwd=fAke.1___.abc"],
    "check_point_1": [f"https://checkpoint.url-protection.com/v1/r01/url?o={Q}&g=x"],
    "symantec": [f"https://clicktime.symantec.com/3Token?u={Q}"],
    "slack": [f"https://slack-redir.net/link?url={Q}"],
    "meta": [f"https://l.facebook.com/l.php?u={Q}&h=x"],
    "linkedin": [f"https://www.linkedin.com/safety/go?url={Q}&trk=x"],
    "amazon_ses": [f"https://abc.r.eu-west-1.awstrack.me/L0/{Q}/1/0102/sig=1"],
    "postmark": [f"https://click.pstmrk.it/3s/{quote(ZOOM[8:], safe='')}/a/b/c"],
}  # fmt: skip
OPAQUE = {
    "symantec_older": ["https://clicktime.symantec.com/a/1/token=?d=x"],
    "mimecast": [
        "https://protect-eu.mimecast.com/s/token?domain=us02web.zoom.us",
        "https://url.uk.m.mimecastprotect.com/s/token",
    ],
    "email_protection": ["https://url.emailprotection.link/?btoken~~"],
    "sendgrid": ["https://u1.ct.sendgrid.net/ls/click?upn=u001.x"],
    "sendgrid_own_host": ["https://links.example.org/ls/click?upn=x"],
    "mailchimp": ["https://acme.us1.list-manage.com/track/click?u=x"],
    "hubspot": ["https://d1.eu.hubspotlinks.com/Ctc/x"],
    "shortener": ["https://bit.ly/3x", "https://zoom-standup.short.gy/a"],
}
NAMED = [(name, url) for name, urls in RESOLVED.items() for url in urls]


@pytest.mark.parametrize(("name", "url"), [pytest.param(*case, id=f"{case[0]}-{n}") for n, case in enumerate(NAMED)])
def test_what_was_wrapped_is_found_whole(name: str, url: str) -> None:
    address = read_address(url)
    assert address is not None
    wrapper = find_wrapper(address)
    assert wrapper is not None
    assert wrapper.name == name
    room = recognise(url, {})

    assert isinstance(room, Room)
    assert room.url == ZOOM


@pytest.mark.parametrize("url", [url for urls in OPAQUE.values() for url in urls])
def test_what_only_the_filter_can_resolve_is_told(url: str) -> None:
    assert recognise(url, {}) == WRAPPED_UNRESOLVED


def test_an_opaque_link_to_another_site_is_nothing_to_tell() -> None:
    assert recognise("https://protect-eu.mimecast.com/s/token?domain=docs.example.org", {}) is None


def test_no_row_lacks_a_case() -> None:
    assert {wrapper.name for wrapper in WRAPPERS} == RESOLVED.keys() | OPAQUE.keys()


@pytest.mark.parametrize("url", [url.replace("://", "://evil.example/?", 1) for _, url in NAMED])
def test_a_wrapper_in_anothers_query_is_no_wrapper(url: str) -> None:
    assert recognise(url, {}) is None


@pytest.mark.parametrize(
    "url",
    [
        f"https://eur01.safelinks.protection.outlook.com.evil.example/?url={Q}",
        f"https://www.google.evil/url?q={Q}",
        f"https://notslack-redir.net/link?url={Q}",
        f"https://eur01.safelinks.protection.outlook.com/other?url={Q}",
        "https://www.google.com/url?q=https%3A%2F%2Fzoom.us.evil.example%2Fj%2F81234567890",
        "https://www.google.com/url?q=javascript%3Aalert(1)%2F%2Fzoom.us%2Fj%2F81234567890",
        "https://www.google.com/url?q=https%3A%2F%2Fzoom.us%40evil.example%2Fj%2F81234567890",
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fbad%xx",
        "https://eur01.safelinks.protection.outlook.com/?url=" + "%25" * 2000,
        "https://eu.protection.sophos.com/?u=%ff",
        "https://urldefense.com/v3/__https://zoom.us/j/*__;!!x",
        "https://x.awstrack.me/L0//1/",
        "https://evil.example.mcas.ms/j/81234567890",
    ],
)
def test_a_false_or_broken_wrapper_leads_nowhere(url: str) -> None:
    assert recognise(url, {}) is None


def nested(depth: int) -> str:
    url = MEET
    for _ in range(depth):
        url = f"https://slack-redir.net/link?url={quote(url, safe='')}"
    return url


def test_wrappers_in_wrappers_are_undone_to_a_depth() -> None:
    room = recognise(nested(DEEPEST), {})

    assert isinstance(room, Room)
    assert room.url == MEET
    assert recognise(nested(DEEPEST + 1), {}) is None


@pytest.mark.timeout(60)
def test_a_wrapper_around_itself_ends() -> None:
    assert recognise("https://slack-redir.net/link?url=" + "https%3A//slack-redir.net/link?url=" * 200, {}) is None
