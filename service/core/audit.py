"""The audit log: what is written of an administrative act, and the chain of hashes that shows when it was tampered with.

Each entry's hash covers the entry and the hash before it, so one that is changed, left out, put in or moved breaks the
chain there. Whoever can write the whole table can also make all hashes anew, and whoever cuts off its end leaves a whole
chain behind: both are seen only by those who have noted the head's `SEQ:HASH` somewhere else (`calgate audit verify`).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, Self
from uuid import UUID

import msgspec

ActorKind = Literal["api_key", "command", "user", "system"]
Detail = str | int | list[str]

ACTIONS: Final[Mapping[str, str]] = {
    "key.created": "An API key was made; `scope` says what it may do",
    "key.revoked": "An API key was revoked",
    "project.created": "The project was made",
    "project.changed": "Settings of the project were changed: `fields`",
    "calendar.created": "A calendar was connected",
    "calendar.reconnected": "A connected calendar was given credentials, and perhaps other settings: `fields`",
    "calendar.changed": "Settings of a calendar were changed: `fields`",
    "calendar.deleted": "A calendar was let go",
    "calendar.resynced": "Somebody asked for a calendar to be read now; with `full` 1 from the start",
    "calendar.resubscribed": "Somebody asked for a calendar's push channel to be renewed",
    "project.resynced": "Somebody asked for every calendar of the project to be read now",
    "connection.changed": "Settings of a connection were changed: `fields`",
    "connection.chosen": "A connection was made the primary one of its user",
    "connection.deleted": "A connection was let go, with its calendars",
    "connection.refreshed": "Somebody asked for a connection's token to be renewed now",
    "connection.resynced": "Somebody asked for a connection's calendars to be read now; with `full` 1 from the start",
    "endpoint.created": "A webhook endpoint was made",
    "endpoint.changed": "A webhook endpoint was changed or enabled again: `fields`",
    "endpoint.deleted": "A webhook endpoint was deleted",
    "endpoint.secret_revealed": "The secret that signs an endpoint's webhooks was shown",
    "endpoint.secret_rotated": "An endpoint was given a new secret",
    "endpoint.tested": "A test message was sent to an endpoint",
    "endpoint.recovered": "What an endpoint had failed to take was to be sent again",
    "message.resent": "A message was to be sent again",
    "portal.opened": "A link to the portal of the project's webhooks was made",
    "bot_runner.set": "An HTTP API or the webhook was named as who launches bots: `runner`",
    "bot_runner.removed": "The webhook was to launch bots again",
    "client.registered": "An OAuth client was registered, by which users are signed in",
    "client.changed": "A registered OAuth client was changed: `fields`",
    "client.deleted": "A registered OAuth client was deleted",
    "connect_link.created": "A link was made by which a user may connect accounts",
    "connection.created": "A user let us into an account, which was not connected before",
    "connection.renewed": "A user signed in to a connected account again",
    "secrets.rotated": "The stored secrets were sealed anew under the first key of the ring, but for `left`",
    "project.restored": "The project went on from a copy of the database; what was written since is lost",
}
"""What is written, by name; before the dot stands the kind of the object."""

_WORD: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}", re.ASCII)


class Actor(msgspec.Struct, frozen=True):
    """Who acted: an API key by its id, a command by its name, a user by the integrator's id of it, or the gateway."""

    kind: ActorKind
    id: str


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One act, as whoever carries it out tells it."""

    author: "Author"
    action: str
    object_id: str
    details: dict[str, Detail]


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts, and by which request from which address, where it is one."""

    actor: Actor
    request_id: str | None = None
    address: str | None = None

    @classmethod
    def of_command(cls, name: str) -> Self:
        """An operator at the command line: `keys create`."""
        return cls(actor=Actor("command", name))

    def did(self, action: str, object_id: UUID | str, **details: Detail) -> Act:
        """The act, ready for `service.store.audit.append`.

        Details are names of what changed (`fields`) and words out of our own vocabulary, never what a user or a provider
        has written. Raises ValueError for anything that does not look like it, and for an action that is not in `ACTIONS`.
        """
        if action not in ACTIONS:
            raise ValueError(f"{action} is not an action of the audit log: see ACTIONS")
        for name, detail in details.items():
            words = [] if isinstance(detail, int) else [detail] if isinstance(detail, str) else detail
            if not all(_WORD.fullmatch(word) for word in words):
                raise ValueError(f"{action}: {name} is to consist of words of ours")
        kept = {name: detail for name, detail in details.items() if detail != []}
        return Act(author=self, action=action, object_id=str(object_id), details=kept)


GATEWAY: Final = Author(actor=Actor("system", "calgate"))
"""The gateway itself, where nobody asked."""


class Subject(msgspec.Struct, frozen=True):
    """What was acted upon."""

    kind: str
    id: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry; `seq` counts up from 1 within a project. `previous` and `hash` are SHA-256 in hexadecimal."""

    project_id: UUID
    seq: int
    at: datetime
    actor: Actor
    action: str
    object: Subject
    request_id: str | None
    address: str | None
    details: dict[str, Detail]
    previous: str
    hash: str


class Head(NamedTuple):
    """Where a chain ends: the newest entry's number and hash."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


def start_of(project_id: UUID) -> Head:
    """The head of a chain without entries: the hash of the project's id."""
    return Head(0, hashlib.sha256(str(project_id).encode()).hexdigest())


def next_entry(project_id: UUID, head: Head, act: Act, now: datetime) -> Entry:
    """The act as the entry behind `head`."""
    entry = Entry(
        project_id=project_id,
        seq=head.seq + 1,
        at=now,
        actor=act.author.actor,
        action=act.action,
        object=Subject(act.action.partition(".")[0], act.object_id),
        request_id=act.author.request_id,
        address=act.author.address,
        details=act.details,
        previous=head.hash,
        hash="",
    )
    return msgspec.structs.replace(entry, hash=hash_of(entry))


def hash_of(entry: Entry) -> str:
    """The hash that an entry ought to have: SHA-256 of everything else in it.

    Of the JSON array of its fields in the order of `Entry`, nested ones as arrays, names of details in the order of their
    code points, without spaces, in UTF-8; the time in UTC with six decimals and `Z`.
    """
    said = [
        str(entry.project_id),
        entry.seq,
        f"{entry.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        [entry.actor.kind, entry.actor.id],
        entry.action,
        [entry.object.kind, entry.object.id],
        entry.request_id,
        entry.address,
        entry.details,
        entry.previous,
    ]
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()


def verify(entries: Iterable[Entry], head: Head) -> int | None:
    """The first number at which a chain is broken that is to go on behind `head`; None when it is whole.

    Entries by `seq`. The number is that of an entry which is not as it was written, or of one that is not there.
    """
    seq, previous = head
    for entry in entries:
        seq += 1
        if entry.seq != seq or entry.previous != previous or entry.hash != hash_of(entry):
            return seq
        previous = entry.hash
    return None
