"""Everything of one event that leads to a meeting, in the order in which it is to be believed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from service.core.meeting_links.evidence import Evidence, LinkRules, MeetingHost, Passage, StructuredLink
from service.core.meeting_links.passages import Reading, Sighting, read_passage
from service.core.meeting_links.passcodes import Code, choose_code, find_codes
from service.core.meeting_links.platforms import UNKNOWN
from service.core.meeting_links.quotations import Quotations
from service.core.meeting_links.recognition import (
    NOWHERE,
    REGISTRATION_REQUIRED,
    Key,
    Room,
    Whereabouts,
    recognise,
    recognise_unknown,
)

MOST_LINKS: Final = 100
MOST_PASSAGES: Final = 100
"""Of one event that are looked at; no provider has as many."""
MOST_ROOMS: Final = 100
"""Different ones of one text that are told apart; no invitation has as many."""

_PLACES: Final = frozenset({"location", "url"})
_TYPED, _FIELD, _UNKNOWN_FIELD, _TEXT = range(4)

Rank = tuple[int, ...]


class Candidate(msgspec.Struct, gc=False):
    """A room and where the event has it: `passage` is None for a provider's own link, `rank` sorts, the least first."""

    room: Room
    found_in: str
    rank: Rank
    passage: int | None = None
    place: int = 0
    meeting_id: str | None = None
    passcode: str | None = None


class Candidates:
    """The candidates of one event, gathered field by field; a mapping of hosts to rooms of somebody's own is from `rules`."""

    def __init__(self, evidence: Evidence, rules: LinkRules) -> None:
        """Nothing is read yet."""
        self._links: Sequence[StructuredLink] = evidence.links[:MOST_LINKS]
        self._passages: Sequence[Passage] = evidence.passages[:MOST_PASSAGES]
        self._prefers_typed = rules.preference == "typed"
        self._hosts: Mapping[str, MeetingHost] = {host.host: host for host in rules.hosts} if rules.hosts else {}
        self._found: list[Candidate] = []
        self._readings: dict[int, Reading] = {}
        self._codes: dict[int, list[Code]] = {}
        self.hint: str | None = None

    def read_links(self) -> Iterator[None]:
        """The provider's own links: a recognised one before one on a host that nobody knows, else in their order."""
        for number, link in enumerate(self._links):
            room = recognise(link.url, self._hosts)
            if not isinstance(room, Room):
                self._note(room)
                room = None if room else recognise_unknown(link.url, link.platform)
            if room is not None:
                group = _UNKNOWN_FIELD if room.platform == UNKNOWN else _FIELD
                code, meeting_id = link.passcode, link.meeting_id
                self._found.append(
                    Candidate(room, link.found_in, (group, number), meeting_id=meeting_id, passcode=code)
                )
            yield

    def read_passages(self) -> Iterator[None]:
        """The links in texts, a passage at a time, so that the caller may stop when nothing better can come."""
        for number, passage in enumerate(self._passages):
            if (reading := read_passage(passage)) is not None:
                self._readings[number] = reading
                self._sort_in(number, passage, self._recognise(reading, passage))
            yield

    def ranked(self) -> list[Candidate]:
        """The candidates, the best first, one for each meeting: of its copies the best that has the passcode."""
        best: dict[Key, Candidate] = {}
        for candidate in sorted(self._found, key=_rank):
            first = best.get(candidate.room.key)
            if first is None:
                best[candidate.room.key] = candidate
            elif _has_key(candidate.room) and not _has_key(first.room):
                best[candidate.room.key] = msgspec.structs.replace(
                    candidate,
                    rank=first.rank,
                    meeting_id=first.meeting_id or candidate.meeting_id,
                    passcode=first.passcode or candidate.passcode,
                )
            elif candidate.passcode and not first.passcode:
                best[candidate.room.key] = msgspec.structs.replace(first, passcode=candidate.passcode)
        return sorted(best.values(), key=_rank)

    def is_settled(self) -> bool:
        """Whether nothing that is yet unread can change which meeting is the first, or what is known of it."""
        if not self._found:
            return False
        best = self.ranked()[0] if len(self._found) > 1 else self._found[0]
        if not best.room.is_whole or (best.room.typed and not best.passcode):
            return False
        if best.passage is None:
            return best.rank[0] == _FIELD and not self._prefers_typed
        return (
            best.rank[0] in {_TYPED, _TEXT}
            and best.room.tier == 1
            and (best.rank[0] == _TYPED or not self._prefers_typed)
        )

    def written_code(self, candidate: Candidate) -> str | None:
        """The passcode that the texts have for a meeting: beside its link, or in a text that has no other meeting's."""
        if not candidate.room.typed or candidate.passcode:
            return None
        places: dict[int, int] = {}
        strange: set[int] = set()
        for each in self._found:
            if each.passage is None:
                continue
            if each.room.key == candidate.room.key:
                places[each.passage] = min(each.place, places.get(each.passage, each.place))
            elif each.room.typed:
                strange.add(each.passage)
        for number in (*sorted(places), *range(len(self._passages))):
            if number in places or number not in strange:
                meeting_id = candidate.room.meeting_id or candidate.meeting_id
                if code := choose_code(self._codes_in(number), meeting_id, places.get(number, -1)):
                    return code
        return None

    def _codes_in(self, number: int) -> list[Code]:
        if number not in self._codes:
            self._codes[number] = find_codes(self._text(number))
        return self._codes[number]

    def _text(self, number: int) -> str:
        reading = self._readings.get(number)
        if reading is None:
            # It has no link, so that nothing was to be read; what it is, text or HTML, is all the same here.
            reading = read_passage(
                msgspec.structs.replace(self._passages[number], text=f"http {self._passages[number].text}")
            )
        return reading.text if reading else ""

    def _note(self, hint: str | None) -> None:
        if hint and self.hint != REGISTRATION_REQUIRED:
            self.hint = hint

    def _recognise(self, reading: Reading, passage: Passage) -> list[tuple[Room, Sighting]]:
        is_place = passage.found_in.lower() in _PLACES
        seen: set[tuple[str, bool]] = set()
        keys: set[Key] = set()
        found: list[tuple[Room, Sighting]] = []
        for sighting in reading.sightings:
            if (sighting.url, sighting.is_typed) in seen:
                continue
            seen.add((sighting.url, sighting.is_typed))
            where = Whereabouts(sighting.is_typed, is_place) if sighting.is_typed or is_place else NOWHERE
            room = recognise(sighting.url, self._hosts, where)
            if isinstance(room, Room):
                found.append((room, sighting))
                keys.add(room.key)
                if len(keys) == MOST_ROOMS:
                    break
            elif not sighting.is_bare:
                self._note(room)
        return found

    def _sort_in(self, number: int, passage: Passage, found: Iterable[tuple[Room, Sighting]]) -> None:
        found = list(found)
        if not found:
            return
        # Where one passage has one meeting alone, it is all the same whether it is quoted.
        is_asked = self._prefers_typed or len({room.key for room, _ in found}) > 1
        quotations = Quotations(self._readings[number].text) if is_asked else None
        for order, (room, sighting) in enumerate(found):
            is_quoted = quotations is not None and quotations.covers(sighting.place)
            group = _TYPED if self._prefers_typed and not is_quoted and self._is_typed(room) else _TEXT
            rank = (group, int(room.tier != 1), number, int(is_quoted), order)
            self._found.append(Candidate(room, passage.found_in, rank, passage=number, place=sighting.place))

    def _is_typed(self, room: Room) -> bool:
        """Whether somebody chose this meeting beside the provider's own: not a copy of that one.

        Invitations to Teams repeat the meeting in another form, which cannot be told to be the same.
        """
        own = [each.room for each in self._found if each.passage is None]
        return all(room.key != each.key and not room.platform == each.platform == "microsoft_teams" for each in own)


def _rank(candidate: Candidate) -> Rank:
    return candidate.rank


def _has_key(room: Room) -> bool:
    return bool(room.code or room.token)
