"""Subscriptions and the notifications owed to them, as data: what is sent where, and how badly."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.google.pushes import Push, PushRules

MOST_PER_POST = 100


@dataclass(slots=True)
class Subscription:
    id: str
    email: str
    client_id: str
    tenant: str
    resource: str
    calendar_id: str | None  # None for the whole mailbox
    changes: list[str]
    notification_url: str
    lifecycle_url: str | None
    client_state: str | None
    expires_at: datetime
    immutable: bool
    tls: str = "v1_2"
    suspended: bool = False  # until it is reauthorized

    @property
    def combination(self) -> tuple[str, str, str, frozenset[str]]:
        return self.client_id, self.email, self.resource.lower(), frozenset(self.changes)


@dataclass(slots=True)
class Owed:
    """One item for one URL. Items for one URL travel together."""

    address: str
    item: dict[str, Any]
    lifecycle: bool = False


@dataclass(slots=True)
class Notice(Push):
    """One POST to a receiver."""

    body: bytes = b""


@dataclass(slots=True)
class NoticeRules(PushRules):
    """Google's rules for misbehaving deliveries, and `hold`: keep everything back until it is released."""

    hold: bool = False
    batch: int = MOST_PER_POST
    retry_delays: list[float] = field(default_factory=lambda: [1.0, 5.0, 30.0, 120.0, 600.0, 3600.0])
