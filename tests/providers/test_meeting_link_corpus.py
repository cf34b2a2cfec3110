"""Every case of the corpus by its id, through the functions of `calgate links`; files that are added become tests.

A file `testdata/meeting_links_*.json` is a list of cases: an event as its source gives it, and in `expect` the link
after unwrapping, parameters as written (null: there is none), what else is right (`accept`), and what has to be known of
it. A case with `policy` is one that a sane product may decide otherwise; what this one has decided, and why, stands in
`meeting_links_policy.json`.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from service.core.meeting_links.finding import Explanation, explain, find
from service.providers.link_sources import SOURCES, collect

TESTDATA = Path(__file__).parents[1] / "testdata"
POLICY_FILE = TESTDATA / "meeting_links_policy.json"
POLICY = json.loads(POLICY_FILE.read_text())
FILES = sorted(set(TESTDATA.glob("meeting_links_*.json")) - {POLICY_FILE})
CASES = [case for file in FILES for case in json.loads(file.read_text())]


def ask(case: dict[str, Any]) -> Explanation:
    """The answer, which `find` must have come to as well."""
    evidence = collect(case["source"], case["event"])
    answer = explain(evidence)
    found = find(evidence)
    if found.meeting is None:
        assert (answer.url, answer.hint) == (None, found.hint)
    else:
        shown = {name: getattr(answer, name) for name in found.meeting.__struct_fields__}
        assert shown == {name: getattr(found.meeting, name) for name in shown}
    return answer


def plain(url: str | None) -> str | None:
    """A URL without what makes no difference: http or https, the host's case, :443, a slash at the end, escapes."""
    if url is None:
        return None
    scheme, _, rest = unquote(url).partition("://")
    place, mark, query = rest.partition("?")
    host, slash, path = place.partition("/")
    host = host.lower().removesuffix(":443").removesuffix(":80")
    scheme = "https" if scheme.lower() == "http" else scheme.lower()
    return f"{scheme}://{host}{(slash + path).rstrip('/')}{mark}{query}".rstrip("/")


def accepted(expect: dict[str, Any]) -> list[str | None]:
    return [plain(url) for url in (expect["url"], *expect.get("accept", ()))]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_the_link_of(case: dict[str, Any]) -> None:
    answer, expect = ask(case), case["expect"]
    assert plain(answer.url) in accepted(expect), case["why"]
    if answer.url is not None:
        assert answer.platform == expect["platform"]
        assert answer.found_in
        check_codes(answer, expect)
    if "hint" in expect:
        assert answer.hint == expect["hint"]


def check_codes(answer: Explanation, expect: dict[str, Any]) -> None:
    """The number and the passcodes; of another right answer only those that it has too, for it may have others."""
    is_expected = plain(answer.url) == plain(expect["url"])
    url = unquote(answer.url or "")
    for name in ("meeting_id", "url_passcode"):
        wanted = expect.get(name)
        if wanted is not None and (is_expected or wanted in url):
            assert wanted in url if name == "url_passcode" else answer.meeting_id == wanted
    if is_expected and "text_passcode" in expect:
        assert answer.passcode == expect["text_passcode"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES if case["id"] in POLICY])
def test_what_has_been_decided_of(case: dict[str, Any]) -> None:
    answer, decided = ask(case), POLICY[case["id"]]
    assert (plain(answer.url), answer.platform) == (plain(decided["url"]), decided["platform"])
    assert "policy" in case, "no matter of opinion"


def test_the_corpus_is_what_it_says() -> None:
    ids = [case["id"] for case in CASES]
    assert len(ids) == len(set(ids)), "two cases have one id"
    assert len(ids) >= 1000
    assert {case["source"] for case in CASES} == set(SOURCES)
    assert set(ids) >= POLICY.keys()
    assert all(decided["reason"] for decided in POLICY.values())
