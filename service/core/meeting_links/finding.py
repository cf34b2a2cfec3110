"""Which of an event's links is the way into a call, and on which platform."""

from itertools import chain
from typing import Final

import msgspec

from service.core.event import Meeting
from service.core.meeting_links.candidates import Candidate, Candidates
from service.core.meeting_links.evidence import DEFAULT_RULES, Evidence, LinkRules

MOST_ALTERNATIVES: Final = 20
"""That are told beside the winner; a text may have thousands of links, and for each the passcodes are sought."""


class Found(msgspec.Struct, frozen=True):
    """The way into the call, or None and, where something was there that is none, a `hint` at what it was.

    `registration_required`: a page where guests register. `wrapped_unresolved`: a link that only the mail filter or the
    shortener that wrapped it can resolve.
    """

    meeting: Meeting | None = None
    hint: str | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What `calgate links` prints: the winner, nulls where there is none, and what else was there, the best first, at most twenty.

    `passcode` is what a person would type where the event has it: what the provider says beside the link, the link's own
    where that is one (`p=` of Teams), or what the invitation's text says. Else it is the link's opaque key (`pwd=` of
    Zoom), which is in `url` in any case. `hint` is the meeting's where there is one: `retired`, `sign_in_required`,
    `view_only`.
    """

    url: str | None = None
    platform: str | None = None
    meeting_id: str | None = None
    passcode: str | None = None
    found_in: str | None = None
    hint: str | None = None
    alternatives: list[Meeting] = []


def find(evidence: Evidence, rules: LinkRules = DEFAULT_RULES) -> Found:
    """The way into the call, by the same rules as `explain` and no more work than it takes. Never raises.

    1. A link in a field that the provider has for links, on a platform that is known; then one on a host that nobody
       knows, if it is safe. With the preference `typed`, what somebody typed comes first, when it is recognised and
       another meeting than the provider's.
    2. A link in a text: those of the platforms that nearly every bot can join, then by the passages' order, then what
       stands above an older message before what is quoted, then as it is read.
    3. Of several links to one meeting that with the passcode.
    """
    candidates = Candidates(evidence, rules)
    for _ in chain(candidates.read_links(), candidates.read_passages()):
        if candidates.is_settled():
            break
    ranked = candidates.ranked()
    return Found(_meeting(ranked[0], candidates)) if ranked else Found(hint=candidates.hint)


def explain(evidence: Evidence, rules: LinkRules = DEFAULT_RULES) -> Explanation:
    """The winner with everything that it won against. Never raises."""
    candidates = Candidates(evidence, rules)
    for _ in chain(candidates.read_links(), candidates.read_passages()):
        pass
    ranked = candidates.ranked()
    if not ranked:
        return Explanation(hint=candidates.hint)
    winner, *others = (_meeting(candidate, candidates) for candidate in ranked[: MOST_ALTERNATIVES + 1])
    return Explanation(**msgspec.structs.asdict(winner), alternatives=others)


def _meeting(candidate: Candidate, candidates: Candidates) -> Meeting:
    room = candidate.room
    code = candidate.passcode or room.code or candidates.written_code(candidate)
    return Meeting(
        url=room.url,
        platform=room.platform,
        meeting_id=room.meeting_id or candidate.meeting_id,
        passcode=code or room.token,
        found_in=candidate.found_in,
        hint=room.hint,
    )
