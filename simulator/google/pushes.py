"""Push channels and the notices owed to them, as data: what is sent where, and how badly."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Channel:
    id: str
    resource_id: str
    calendar_id: str
    address: str
    token: str | None
    expires_at: datetime
    project: str
    client_id: str
    email: str
    uri: str
    number: int = 0
    stopped: bool = False


@dataclass(slots=True)
class Push:
    """One notice to be delivered: a POST with an empty body."""

    address: str
    headers: dict[str, str]
    delay: float = 0.0
    attempts: int = 0


@dataclass(slots=True)
class PushRules:
    """How deliveries misbehave. Shares are between 0 and 1."""

    lose: float = 0.0
    lose_next: int = 0
    duplicate: float = 0.0
    delay: float = 0.0
    reorder: int = 0
    sync_first: bool = False
    retry_delays: list[float] = field(default_factory=lambda: [1.0, 2.0, 4.0, 8.0, 16.0])
    timeout: float = 10.0
