"""What the fake Microsoft knows: plain records and the one `State` that every operation is handed."""

import random
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from simulator.codes import Code
from simulator.google.faults import Fault
from simulator.google.state import PAST_CALLS_KEPT, Call
from simulator.mails import MAILS_KEPT, Mail
from simulator.microsoft.notices import NoticeRules, Owed, Subscription
from simulator.microsoft.recurrence import Slot

CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of all personal accounts."""
GRAPH = "https://graph.microsoft.com/"
DEFAULT_SCOPES = ["offline_access", "User.Read", "Calendars.ReadWrite"]


@dataclass(slots=True)
class Client:
    """An app registration. `audience` is `common`, `organizations`, `consumers`, or the only tenant's id."""

    client_id: str
    client_secret: str
    audience: str = "common"
    single_page: bool = False  # its refresh tokens live for a day
    status: str = "ok"  # or an AADSTS preset that every refresh meets
    redirect_uris: list[str] = field(
        default_factory=list
    )  # none: an application on a desktop, which listens on loopback


@dataclass(slots=True)
class Account:
    email: str
    name: str
    time_zone: str
    id: str
    tenant: str
    upn: str
    default_calendar: str = ""
    status: str = "ok"  # or an AADSTS preset that every refresh meets
    mailbox: str = "ok"  # or a Graph preset that every calendar request meets

    @property
    def personal(self) -> bool:
        return self.tenant == CONSUMERS


@dataclass(slots=True)
class RefreshToken:
    text: str
    issued_at: datetime
    dies_at: datetime | None = None  # set by rotation


@dataclass(slots=True)
class Grant:
    """One user's consent to one client."""

    client_id: str
    email: str
    scopes: list[str]
    refresh_tokens: list[RefreshToken]
    revoked: bool = False
    refreshes: deque[float] = field(default_factory=deque)


@dataclass(slots=True)
class AccessToken:
    grant: Grant
    scopes: list[str]
    expires_at: datetime


@dataclass(slots=True)
class Record:
    """A stored event: single, master of a series, or exception (whose body holds only what differs)."""

    key: str
    body: dict[str, Any]
    global_id: bytes
    created: datetime
    updated: datetime
    revision: int = 0
    master: str | None = None
    slot: Slot | None = None
    exceptions: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)  # slots that were cancelled
    spans: list[tuple[int, int, int]] = field(default_factory=list)  # since which revision it lay where

    @property
    def recurring(self) -> bool:
        return "recurrence" in self.body


@dataclass(slots=True)
class Tombstone:
    key: str
    revision: int
    born: int
    spans: list[tuple[int, int, int]]
    recurring: bool


@dataclass(slots=True)
class Calendar:
    id: str
    owner: str
    name: str
    is_default: bool = False
    color: str = "auto"
    records: dict[str, Record] = field(default_factory=dict)
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    poison: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    journal: list[tuple[float, int]] = field(default_factory=list)  # when each revision was made
    transactions: dict[str, str] = field(default_factory=dict)
    readers: dict[str, bool] = field(default_factory=dict)  # whom it is shared with, and whether to write
    revision: int = 0
    epoch: int = 0
    deleted: bool = False


@dataclass(slots=True)
class Settings:
    """What an integrator may turn; the defaults are Microsoft's."""

    access_token_seconds: int | None = None  # None: between 60 and 90 minutes, by chance
    refresh_token_days: float = 90
    code_seconds: int = 600
    rotation: str = "normal"  # the old token works on; or "grace", for grace_seconds; or "strict", not at all
    grace_seconds: float = 60
    loop_limit: int | None = None  # refreshes of one user by one client in five minutes
    series_years: float = 5
    zone_without_preference: str = "UTC"  # or "mailbox"
    default_page: int = 10
    largest_page: int = 1000
    empty_pages: int = 0  # pages without rows before the first
    repeat_rows: bool = False  # the last row of a page comes again in the next
    masters_last: bool = False  # a series' master comes after its occurrences
    stray_removals: bool = False  # @removed rows for what was never in the window
    lag_seconds: float = 0  # how long deltas do not know of a change
    sync_state_status: int = 410  # how an expired link is refused: 410, 400 or 404
    sync_state_location: bool = False  # whether a 410 says where to begin again
    case_twins: bool = False  # every second event's id differs from the one before by case alone
    preserve_declined: bool = False  # a guest who declines keeps the event
    join_url_seconds: float = 0  # how long an online meeting has no joinUrl yet
    concurrency: int = 4  # per mailbox
    latency: float = 0  # seconds that every calendar request takes
    per_ten_minutes: int | None = 10_000  # per client and mailbox
    retry_after: int = 5
    most_minutes: int = 10_080  # of a subscription
    subscriptions: int = 1000  # per mailbox
    calendar_subscriptions: bool = True  # whether me/calendars/{id}/events may be subscribed to
    validation: bool = True  # whether notification URLs are asked
    validation_seconds: float = 10


class State:
    """The whole world. No I/O: time comes from the clock, chance from the seed."""

    def __init__(self, clock: Callable[[], datetime] | None = None, seed: int = 0) -> None:
        self._clock = clock or (lambda: datetime.now(UTC))
        self.wake: Callable[[], None] = lambda: None
        self.seed = seed
        self.clear()

    def clear(self) -> None:
        self.random = random.Random(f"microsoft {self.seed}")
        self.offset = timedelta()
        self.settings = Settings()
        self.clients: dict[str, Client] = {}
        self.accounts: dict[str, Account] = {}
        self.grants: list[Grant] = []
        self.refresh_tokens: dict[str, Grant] = {}
        self.codes: dict[str, Code] = {}
        self.access_tokens: dict[str, AccessToken] = {}
        self.calendars: dict[str, Calendar] = {}
        self.subscriptions: dict[str, dict[str, Subscription]] = {}  # by address, by id
        self.push_rules = NoticeRules()
        self.owed: list[Owed] = []
        self.dirty: dict[tuple[str, str], str] = {}
        self.faults: list[Fault] = []
        self.spent: dict[str, deque[float]] = {}
        self.under_way: Counter[str] = Counter()
        self.calls: deque[Call] = deque(maxlen=PAST_CALLS_KEPT)
        self.counters: Counter[str] = Counter()
        self.mails: deque[Mail] = deque(maxlen=MAILS_KEPT)
        self.revision = 0
        self.last_key = ""
        self.origin = self.now()

    def now(self) -> datetime:
        return self._clock().astimezone(UTC) + self.offset

    def advance(self, seconds: float) -> str:
        """Let time pass, beyond what the clock says."""
        self.offset += timedelta(seconds=seconds)
        return self.now().isoformat()

    def bump(self, calendar: Calendar, key: str, change: str) -> int:
        """A new revision of a calendar; `change` is what its subscribers are to hear: created, updated, deleted."""
        self.revision += 1
        calendar.revision = self.revision
        calendar.journal.append((self.now().timestamp(), self.revision))
        place = (calendar.id, key)
        if change == "deleted" or self.dirty.get(place) != "created":
            self.dirty[place] = change
        return self.revision

    def visible(self, calendar: Calendar) -> int:
        """The newest revision that deltas know of."""
        lag = self.settings.lag_seconds
        if not lag:
            return calendar.revision
        index = bisect_right(calendar.journal, self.now().timestamp() - lag, key=lambda entry: entry[0])
        return calendar.journal[index - 1][1] if index else 0

    def make_guid(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def make_key(self, length: int = 40) -> str:
        """The part of an item's id that tells it apart, compared case-sensitively."""
        if self.settings.case_twins and self.last_key:
            twin, self.last_key = self.last_key.swapcase(), ""
            return twin
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
        self.last_key = "".join(self.random.choices(letters, k=length))
        return self.last_key

    def make_secret(self, length: int = 40) -> str:
        return "".join(
            self.random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-~.", k=length)
        )

    def horizon(self) -> datetime:
        """Where endless series are cut; fixed at birth, so that a slot never appears by itself."""
        return self.origin + timedelta(days=365.25 * self.settings.series_years)

    def today(self) -> date:
        return self.now().date()
