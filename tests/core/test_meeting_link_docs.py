"""The tables in docs/meeting-links.md are those of the code; RENEW_DOCS=1 writes them anew."""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from service.core.meeting_links.platforms import PLATFORMS
from service.core.meeting_links.platforms.forms import RETIRED, SIGN_IN, VIEW_ONLY, Platform
from service.core.meeting_links.recognition import REGISTRATION_REQUIRED, WRAPPED_UNRESOLVED
from service.core.meeting_links.wrappers import WRAPPERS, Wrapper

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "meeting-links.md"
POLICY = ROOT / "tests" / "testdata" / "meeting_links_policy.json"
HINTS = {
    RETIRED: "the service is closed; its links survive in old series",
    SIGN_IN: "only somebody signed in to the organiser's domain gets in",
    VIEW_ONLY: "a broadcast, which nobody can join",
    REGISTRATION_REQUIRED: "no meeting: a page to register at, after which everybody gets a link of their own",
    WRAPPED_UNRESOLVED: "no meeting that could be read: the link is wrapped by a service that alone knows the target",
}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def shown_hosts(hosts: Iterable[str]) -> str:
    """`=name` is a host alone, `*.name` every host below it, a bare name both, and `name.*` has an ending for each country."""
    found: dict[str, None] = {}
    for host in hosts:
        name = host.lstrip("=*.")
        if not host.startswith("*."):
            found[f"`{name}`"] = None
        if not host.startswith("=") and not host.endswith(".*"):
            found[f"`*.{name}`"] = None
    return " ".join(found)


def platform_row(platform: Platform) -> list[str]:
    hints = {form.hint for form in platform.forms if form.hint}
    everywhere = all(form.hint for form in platform.forms if form.outcome == "meeting")
    marks = [f"`{hint}`{'' if everywhere else ' for some links'}" for hint in sorted(hints)]
    if any(form.outcome == "registration" for form in platform.forms):
        marks.append(f"knows its registration pages (`{REGISTRATION_REQUIRED}`)")
    hosts = shown_hosts(host for form in platform.forms for host in form.hosts)
    return [f"`{platform.name}`", hosts or "servers of your own (`meeting_hosts`)", "; ".join(marks)]


def platforms() -> str:
    by_tier = [
        sorted((each for each in PLATFORMS if each.tier == tier), key=lambda each: each.name) for tier in (1, 2, 3)
    ]
    return "\n\n".join(
        f"### Tier {tier}\n\n{table(('`platform`', 'hosts', ''), map(platform_row, rows))}"
        for tier, rows in enumerate(by_tier, 1)
    )


def wrapper_row(wrapper: Wrapper) -> list[str]:
    path = wrapper.path.pattern.replace("\\", "")
    place = shown_hosts(wrapper.hosts) or f"any host, the path `{path}`"
    unknown = f"only the service knows it: `{WRAPPED_UNRESOLVED}`, unless the link's text shows an address"
    return [f"`{wrapper.name}`", place, "in the link" if wrapper.target else unknown]


def wrappers() -> str:
    return table(("service", "hosts", "target"), map(wrapper_row, WRAPPERS))


def hints() -> str:
    return table(("`hint`", "means"), ([f"`{hint}`", says] for hint, says in HINTS.items()))


def choices() -> str:
    decided: dict[str, dict[str, Any]] = json.loads(POLICY.read_text(encoding="utf-8"))
    by_reason: dict[str, list[str]] = {}
    for name, choice in decided.items():
        by_reason.setdefault(choice["reason"], []).append(f"`{name}`: {choice['platform'] or 'no meeting'}")
    return table(("decision", "cases and answers"), ([reason, "; ".join(made)] for reason, made in by_reason.items()))


SECTIONS = {"platforms": platforms, "wrappers": wrappers, "hints": hints, "choices": choices}


def section(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}: written by a test -->\n).*?(<!-- end -->)", re.DOTALL)


@pytest.mark.parametrize("name", SECTIONS)
def test_the_table_is_that_of_the_code(name: str) -> None:
    written = f"\n{SECTIONS[name]()}\n\n"
    if os.environ.get("RENEW_DOCS"):
        renewed, count = section(name).subn(
            lambda found: found[1] + written + found[2], DOCUMENT.read_text(encoding="utf-8")
        )
        assert count == 1
        DOCUMENT.write_text(renewed, encoding="utf-8")
    (shown,) = section(name).finditer(DOCUMENT.read_text(encoding="utf-8"))
    assert shown[0] == shown[1] + written + shown[2], (
        "the tables have changed: RENEW_DOCS=1 uv run pytest tests/core/test_meeting_link_docs.py -n 0, then read the diff"
    )


def test_every_hint_has_its_meaning() -> None:
    assert {form.hint for platform in PLATFORMS for form in platform.forms if form.hint} <= HINTS.keys()
