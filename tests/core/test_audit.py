"""The chain of the audit log: what is hashed, and where tampering is found."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import pytest

from service.core.audit import (
    ACTIONS,
    GATEWAY,
    Actor,
    Author,
    Entry,
    Head,
    Subject,
    hash_of,
    next_entry,
    start_of,
    verify,
)

PROJECT = UUID("0199f3a2-7a10-7f3e-b1d4-6c8e0a9f5b22")
NOW = datetime(2026, 3, 2, 9, 0, 0, 120, tzinfo=UTC)
KEY = Author(actor=Actor("api_key", "0199f3a2-5a0d-7e24-8c11-9b3d47a6e0f2"), request_id="req-1", address="192.0.2.7")


def chain(length: int = 5) -> list[Entry]:
    found: list[Entry] = []
    head = start_of(PROJECT)
    for number in range(length):
        act = KEY.did("calendar.changed", f"calendar-{number}", fields=["name", "metadata"])
        found.append(next_entry(PROJECT, head, act, NOW + timedelta(seconds=number)))
        head = Head(found[-1].seq, found[-1].hash)
    return found


def rehashed(entry: Entry, **changes: Any) -> Entry:
    """An entry with another content and the hash that fits it: what a careful forger leaves."""
    changed = msgspec.structs.replace(entry, **changes)
    return msgspec.structs.replace(changed, hash=hash_of(changed))


def at(index: int, entry: Callable[[Entry], Entry]) -> Callable[[list[Entry]], list[Entry]]:
    return lambda found: [*found[:index], entry(found[index]), *found[index + 1 :]]


def test_a_whole_chain_is_whole() -> None:
    found = chain()
    assert verify(found, start_of(PROJECT)) is None
    assert verify(found[2:], Head(found[1].seq, found[1].hash)) is None, "in pieces too"
    assert verify([], start_of(PROJECT)) is None


def test_the_hash_is_that_of_the_entry_as_documented() -> None:
    """Written out once more, so that somebody else could check a chain by the words of the docstring."""
    (entry,) = chain(1)
    start = hashlib.sha256(str(PROJECT).encode()).hexdigest()
    said = [
        str(PROJECT),
        1,
        "2026-03-02T09:00:00.000120Z",
        ["api_key", "0199f3a2-5a0d-7e24-8c11-9b3d47a6e0f2"],
        "calendar.changed",
        ["calendar", "calendar-0"],
        "req-1",
        "192.0.2.7",
        {"fields": ["name", "metadata"]},
        start,
    ]
    written = json.dumps(said, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()
    assert (entry.previous, entry.hash) == (start, hashlib.sha256(written).hexdigest())


def test_the_same_moment_in_another_zone_has_the_same_hash() -> None:
    (entry,) = chain(1)
    there = entry.at.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert hash_of(msgspec.structs.replace(entry, at=there)) == entry.hash


def test_chains_of_two_projects_do_not_fit_each_other() -> None:
    assert verify(chain(), start_of(UUID(int=1))) == 1


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        pytest.param(at(2, lambda one: msgspec.structs.replace(one, action="calendar.deleted")), 3, id="action"),
        pytest.param(at(2, lambda one: msgspec.structs.replace(one, at=NOW)), 3, id="time"),
        pytest.param(at(2, lambda one: msgspec.structs.replace(one, actor=Actor("command", "x"))), 3, id="actor"),
        pytest.param(at(2, lambda one: msgspec.structs.replace(one, object=Subject("calendar", "y"))), 3, id="object"),
        pytest.param(at(2, lambda one: msgspec.structs.replace(one, request_id=None)), 3, id="request"),
        pytest.param(at(2, lambda one: msgspec.structs.replace(one, address="192.0.2.8")), 3, id="address"),
        pytest.param(at(2, lambda one: msgspec.structs.replace(one, details={})), 3, id="details"),
        pytest.param(at(2, lambda one: msgspec.structs.replace(one, project_id=UUID(int=1))), 3, id="project"),
        pytest.param(at(2, lambda one: msgspec.structs.replace(one, hash="0" * 64)), 3, id="hash"),
        # A hash that was made anew fits its own entry, and no longer the one behind.
        pytest.param(at(2, lambda one: rehashed(one, address=None)), 4, id="changed-with-its-hash"),
        pytest.param(lambda found: [*found[:1], *found[2:]], 2, id="left-out"),
        pytest.param(lambda found: found[1:], 1, id="first-left-out"),
        pytest.param(lambda found: [found[0], found[2], found[1], *found[3:]], 2, id="swapped"),
        pytest.param(
            lambda found: [
                found[0],
                rehashed(found[2], seq=2),
                rehashed(found[1], seq=3),
                *found[3:],
            ],
            2,
            id="swapped-with-numbers",
        ),
        pytest.param(lambda found: [*found[:2], found[1], *found[2:]], 3, id="twice"),
        pytest.param(
            lambda found: [
                *found[:2],
                rehashed(found[2], action="key.created"),
                *(rehashed(one, seq=one.seq + 1) for one in found[2:]),
            ],
            4,
            id="put-in",
        ),
        pytest.param(lambda found: [*found, rehashed(found[4], seq=6)], 6, id="put-behind"),
    ],
)
def test_tampering_is_found_where_it_was_done(tamper: Callable[[list[Entry]], list[Entry]], broken: int) -> None:
    assert verify(tamper(chain()), start_of(PROJECT)) == broken


def test_what_a_chain_cannot_show() -> None:
    """Its end cut off, or all of it made anew: only who has noted the head sees that."""
    found = chain()
    assert verify(found[:3], start_of(PROJECT)) is None
    forged: list[Entry] = []
    head = start_of(PROJECT)
    for entry in found:
        forged.append(rehashed(entry, address="203.0.113.9", previous=head.hash))
        head = Head(forged[-1].seq, forged[-1].hash)
    assert verify(forged, start_of(PROJECT)) is None
    assert forged[-1].hash != found[-1].hash


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"fields": ["Ada Lovelace"]}, id="a-name"),
        pytest.param({"fields": ["name", "ada@example.com"]}, id="an-address"),
        pytest.param({"provider": "https://example.com/feed"}, id="a-url"),
        pytest.param({"scope": "GOCSPX-aB3"}, id="a-secret"),
        pytest.param({"fields": [""]}, id="nothing"),
        pytest.param({"fields": ["x" * 65]}, id="too-long"),
    ],
)
def test_details_are_words_of_ours(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="words of ours"):
        KEY.did("calendar.changed", "x", **said)


def test_an_act_that_nobody_has_named_is_refused() -> None:
    with pytest.raises(ValueError, match="not an action"):
        GATEWAY.did("calendar.vanished", "x")


def test_details_that_say_nothing_are_left_out() -> None:
    assert KEY.did("calendar.changed", "x", fields=[]).details == {}
    assert KEY.did("calendar.resynced", "x", full=0).details == {"full": 0}


def test_every_action_has_a_kind_and_a_sentence() -> None:
    for action, says in ACTIONS.items():
        kind, dot, verb = action.partition(".")
        assert all((kind, dot, verb)), action
        assert len(says) > 10, action
