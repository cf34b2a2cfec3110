"""What the fake Zoom knows: plain records, and the one `State` that every operation is handed."""

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from simulator.codes import Code
from simulator.google.faults import Fault

PAST_CALLS_KEPT = 20_000
SCOPES = ["meeting:read", "meeting:write", "user:read"]


class ZoomError(Exception):
    """A refusal of the API: Zoom's own code and message beside the status."""

    def __init__(self, status: int, code: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message}


class TokenError(Exception):
    """A refusal of the token endpoint: `reason` is for people, `error` for programs."""

    def __init__(self, status: int, error: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.error = error
        self.reason = reason

    def body(self) -> dict[str, str]:
        return {"reason": self.reason, "error": self.error}


@dataclass(slots=True)
class Client:
    """An app of the marketplace; `redirect_uris` are compared letter for letter, and without any it is one on a desktop."""

    client_id: str
    client_secret: str
    name: str
    scopes: list[str]
    redirect_uris: list[str] = field(default_factory=list)
    status: str = "ok"  # or "disabled"


@dataclass(slots=True)
class Account:
    """A user; `policy` are the settings of meetings that his account does not leave to him."""

    email: str
    id: str
    name: str
    time_zone: str
    policy: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Grant:
    """One user's consent to one app: at any time one refresh token is good."""

    client_id: str
    email: str
    scopes: list[str]
    refresh_token: str
    expires_at: datetime
    revoked: bool = False


@dataclass(slots=True)
class AccessToken:
    grant: Grant
    expires_at: datetime


@dataclass(slots=True)
class Meeting:
    id: int
    uuid: str
    email: str
    body: dict[str, Any]
    settings: dict[str, Any]
    password: str
    created_at: datetime


@dataclass(slots=True)
class Call:
    """One request that the fake has answered."""

    at: datetime
    endpoint: str
    account: str | None
    status: int
    query: dict[str, list[str]]
    fault: str | None = None


@dataclass(slots=True)
class Settings:
    """What an integrator may turn; the defaults are Zoom's."""

    access_token_seconds: int = 3600
    refresh_token_days: int = 90
    code_seconds: int = 300
    writes_per_day: int = 100  # meetings made and changed, of one user
    per_second: int | None = None  # requests of one user
    largest_page: int = 300


class State:
    """The whole world. No I/O: time comes from the clock, chance from the seed."""

    def __init__(self, clock: Callable[[], datetime] | None = None, seed: int = 0) -> None:
        self._clock = clock or (lambda: datetime.now(UTC))
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
        self.access_tokens: dict[str, AccessToken] = {}
        self.codes: dict[str, Code] = {}
        self.meetings: dict[int, Meeting] = {}
        self.faults: list[Fault] = []
        self.spent: dict[str, deque[float]] = {}
        self.written: Counter[tuple[str, str]] = Counter()
        self.calls: deque[Call] = deque(maxlen=PAST_CALLS_KEPT)
        self.counters: Counter[str] = Counter()

    def now(self) -> datetime:
        return self._clock().astimezone(UTC) + self.offset

    def advance(self, seconds: float) -> str:
        """Let time pass, beyond what the clock says."""
        self.offset += timedelta(seconds=seconds)
        return self.now().isoformat()

    def make_secret(self, length: int) -> str:
        """Letters and digits, as Zoom's ids and tokens have them."""
        return "".join(self.random.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz0123456789", k=length))
