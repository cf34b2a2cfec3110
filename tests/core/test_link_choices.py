"""What users may say about links, and the rules that come of it."""

from typing import Any

import msgspec
import pytest

from service.core.meeting_links.choices import explain_host, inherited_rules, make_rules
from service.core.meeting_links.evidence import DEFAULT_RULES, LinkRules, MeetingHost


@pytest.mark.parametrize("host", ["meet.example.org", "Meet.Example.ORG", "a.b", "xn--bcher-kva.example", "1.a1"])
def test_a_name_in_the_dns_is_a_host(host: str) -> None:
    assert explain_host(host) is None


@pytest.mark.parametrize(
    ("host", "word"),
    [
        pytest.param("https://meet.example.org", "scheme", id="scheme"),
        pytest.param("meet.example.org/room", "path", id="path"),
        pytest.param("meet.example.org:8443", "port", id="port"),
        pytest.param("192.0.2.1", "IP address", id="ipv4"),
        pytest.param("2001:db8::1", "IP address", id="ipv6"),
        pytest.param("[2001:db8::1]", "IP address", id="ipv6-in-brackets"),
        pytest.param("300.1.1.1", "DNS", id="no-address-and-no-name"),
        pytest.param("localhost", "single label", id="single-label"),
        pytest.param("b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example", "ASCII", id="international"),
        pytest.param("meet.example.org.", "DNS", id="trailing-dot"),
        pytest.param("meet..example.org", "DNS", id="empty-label"),
        pytest.param("-meet.example.org", "DNS", id="hyphen-first"),
        pytest.param("meet-.example.org", "DNS", id="hyphen-last"),
        pytest.param("meet_me.example.org", "DNS", id="underscore"),
        pytest.param("*.example.org", "DNS", id="wildcard"),
        pytest.param(" meet.example.org", "DNS", id="space"),
        pytest.param("meet.example.org\n", "DNS", id="newline"),
        pytest.param("user@example.org", "DNS", id="user"),
        pytest.param("", "DNS", id="empty"),
        pytest.param(f"{'a' * 64}.example.org", "DNS", id="long-label"),
        pytest.param(".".join(["a" * 60] * 5), "DNS", id="long-name"),
    ],
)
def test_anything_else_is_refused_with_what_is_wrong_about_it(host: str, word: str) -> None:
    said = explain_host(host)
    assert said is not None
    assert word in said


JITSI = {"host": "Rooms.example.org", "platform": "jitsi"}


def test_rules_have_hosts_in_lower_case() -> None:
    assert make_rules("typed", ["Meet.example.org", JITSI]) == LinkRules(
        "typed", (MeetingHost(host="meet.example.org"), MeetingHost(host="rooms.example.org", platform="jitsi"))
    )


@pytest.mark.parametrize(("preference", "hosts"), [("best", []), ("typed", [{"host": "a.b", "platform": "zoom"}])])
def test_what_nobody_could_have_chosen_makes_no_rules(preference: str, hosts: list[Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        make_rules(preference, hosts)


@pytest.mark.parametrize(
    ("own_preference", "own_hosts", "expected"),
    [
        pytest.param(None, None, ("typed", "a.example"), id="nothing-of-its-own"),
        pytest.param("structured", None, ("structured", "a.example"), id="own-preference"),
        pytest.param(None, ["b.example"], ("typed", "b.example"), id="own-hosts"),
        pytest.param(None, [], ("typed", None), id="none-at-all-is-a-choice"),
    ],
)
def test_a_calendar_takes_on_what_it_does_not_decide(own_preference, own_hosts, expected) -> None:
    rules = inherited_rules(own_preference, own_hosts, "typed", ["a.example"])
    assert (rules.preference, next((each.host for each in rules.hosts), None)) == expected


def test_the_defaults_are_the_default_rules() -> None:
    assert inherited_rules(None, None, "structured", []) == DEFAULT_RULES == msgspec.convert({}, LinkRules)
