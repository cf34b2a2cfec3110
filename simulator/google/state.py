"""What the fake Google knows: plain records and the one `State` that every operation is handed."""

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from simulator.codes import Code
from simulator.google.faults import Fault
from simulator.google.moments import Moment
from simulator.google.pushes import Channel, Push, PushRules
from simulator.google.recurrence import Slot
from simulator.mails import MAILS_KEPT, Mail

CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar"
PAST_CALLS_KEPT = 20_000
PUSHES_KEPT = 20_000


@dataclass(slots=True)
class Client:
    """An OAuth client; clients with one `project` share quota and channel ids."""

    client_id: str
    client_secret: str
    project: str
    status: str = "ok"  # or "deleted", "disabled"
    redirect_uris: list[str] = field(
        default_factory=list
    )  # none: an application on a desktop, which listens on loopback


@dataclass(slots=True)
class Account:
    email: str
    name: str
    time_zone: str
    rotates_refresh_tokens: bool = False
    status: str = "ok"  # or "deleted", "reauth", "admin_policy", "not_a_calendar_user"
    list_revision: int = 0
    list_epoch: int = 0


@dataclass(slots=True)
class Grant:
    """One user's consent to one client. Revoking any of its tokens revokes the whole of it."""

    client_id: str
    email: str
    scopes: list[str]
    refresh_tokens: list[str]
    revoked: bool = False


@dataclass(slots=True)
class AccessToken:
    grant: Grant
    expires_at: datetime


@dataclass(slots=True)
class ListEntry:
    """A calendar in somebody's list."""

    role: str
    revision: int
    hidden: bool = False
    selected: bool = True
    deleted: bool = False
    summary_override: str | None = None


@dataclass(slots=True)
class Record:
    """A stored event: single, master of a series, or exception (whose body holds only what differs)."""

    id: str
    body: dict[str, Any]
    created: datetime
    updated: datetime
    revision: int
    master: str | None = None
    slot: Slot | None = None
    exceptions: dict[str, str] = field(default_factory=dict)
    slots: list[Slot] | None = None

    @property
    def cancelled(self) -> bool:
        return bool(self.body.get("status") == "cancelled")


@dataclass(slots=True)
class Ghost:
    """What remains of an instance that left its series: a row in deltas, and no details."""

    id: str
    revision: int
    master: str | None = None
    original: Moment | None = None


@dataclass(slots=True)
class Calendar:
    id: str
    owner: str
    summary: str
    time_zone: str
    kind: str = "secondary"  # or "primary", "holiday"
    records: dict[str, Record] = field(default_factory=dict)
    ghosts: dict[str, Ghost] = field(default_factory=dict)
    poison: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    revision: int = 0
    epoch: int = 0
    deleted: bool = False
    description: str | None = None


@dataclass(slots=True)
class Call:
    """One request that the fake has answered."""

    at: datetime
    endpoint: str
    account: str | None
    calendar: str | None
    status: int
    query: dict[str, list[str]]
    fault: str | None = None


@dataclass(slots=True)
class Settings:
    """What an integrator may turn; the defaults are Google's."""

    series_years: float = 15
    tombstone_days: float = 31
    cancelled_master_row: bool = False
    access_token_seconds: int = 3599
    code_seconds: int = 600
    updated_min_days: int = 28
    channel_seconds: int = 604_800
    largest_page: int = 2500
    short_pages: bool = False
    empty_pages: int = 0
    conference_pending: bool = False  # a conference that is asked for stays pending
    conference_looks: int = 0  # or for so many looks at the event
    conference_outcome: str = "success"  # or "failure"
    conference_types: list[str] = field(default_factory=lambda: ["hangoutsMeet"])  # what calendars allow
    busy_days: int = 92  # of one question for busy times
    per_minute_project: int | None = None
    per_minute_user: int | None = None
    per_day_project: int | None = None
    quota_status: int = 403
    api_enabled: bool = True


class State:
    """The whole world. No I/O: time comes from the clock, chance from the seed."""

    def __init__(self, clock: Callable[[], datetime] | None = None, seed: int = 0) -> None:
        self._clock = clock or (lambda: datetime.now(UTC))
        self.wake: Callable[[], None] = lambda: None
        self.seed = seed
        self.clear()

    def clear(self) -> None:
        self.random = random.Random(self.seed)
        self.offset = timedelta()
        self.settings = Settings()
        self.clients: dict[str, Client] = {}
        self.accounts: dict[str, Account] = {}
        self.grants: list[Grant] = []
        self.refresh_tokens: dict[str, Grant] = {}
        self.codes: dict[str, Code] = {}
        self.access_tokens: dict[str, AccessToken] = {}
        self.calendars: dict[str, Calendar] = {}
        self.lists: dict[str, dict[str, ListEntry]] = {}
        self.channels: dict[tuple[str, str], Channel] = {}
        self.watchers: dict[str, list[Channel]] = {}
        self.push_rules = PushRules()
        self.pushes: deque[Push] = deque(maxlen=PUSHES_KEPT)
        self.held_pushes: list[Push] = []
        self.dirty: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.spent: dict[str, deque[float]] = {}
        self.calls: deque[Call] = deque(maxlen=PAST_CALLS_KEPT)
        self.counters: Counter[str] = Counter()
        self.mails: deque[Mail] = deque(maxlen=MAILS_KEPT)
        self.conferences: dict[tuple[str, str], int] = {}  # pending ones, and how many looks they still take
        self.revision = 0
        self.origin = self.now()

    def now(self) -> datetime:
        return self._clock().astimezone(UTC) + self.offset

    def advance(self, seconds: float) -> str:
        """Let time pass, beyond what the clock says."""
        self.offset += timedelta(seconds=seconds)
        return self.now().isoformat()

    def next_revision(self) -> int:
        self.revision += 1
        return self.revision

    def bump(self, calendar: Calendar) -> int:
        """A new revision of a calendar, of which its watchers are to hear."""
        calendar.revision = self.next_revision()
        self.dirty.setdefault(calendar.id, "exists")
        return calendar.revision

    def make_id(self, length: int = 26) -> str:
        """An id in base32hex, as Google gives to events."""
        return "".join(self.random.choices("0123456789abcdefghijklmnopqrstuv", k=length))

    def horizon(self) -> datetime:
        """Where endless series are cut; fixed at birth, so that a slot never appears by itself."""
        return self.origin + timedelta(days=365.25 * self.settings.series_years)
