"""The fake Google as one object: its state, the requests it answers, and everything a script may do to it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from simulator.google.access import list_entry
from simulator.google.answers import Answer, Request
from simulator.google.calendar_list import touch_entry
from simulator.google.channels import notify_watchers, release_held
from simulator.google.faults import PRESETS, Fault, write_faults
from simulator.google.oauth import end_grant, give_consent
from simulator.google.pushes import Push
from simulator.google.routes import handle
from simulator.google.scripting import EventScript
from simulator.google.state import CALENDAR_SCOPE, Account, Calendar, Client, ListEntry


class World(EventScript):
    """Every public method is a control operation too: `POST /simulator/<method>` with its arguments as JSON."""

    def __init__(
        self,
        clock: Callable[[], datetime] | None = None,
        seed: int = 0,
        populate: Callable[["World"], None] = lambda _: None,
    ) -> None:
        super().__init__(clock, seed)
        self.populate = populate
        populate(self)

    def handle(self, request: Request) -> Answer:
        """Answer a request to Google's consent page, token endpoint or Calendar API."""
        return handle(self, request)

    def add_client(
        self,
        client_id: str | None = None,
        client_secret: str | None = None,
        project: str | None = None,
        redirect_uris: list[str] | None = None,
    ) -> dict[str, str]:
        """An OAuth client; clients of one project share quota and channel ids.

        Its users are sent back to its `redirect_uris` alone; without any, to any address on loopback.
        """
        number = f"{self.random.randrange(10**11, 10**12)}"
        client_id = client_id or f"{number}-{self.make_id(12)}.apps.googleusercontent.com"
        secret = client_secret or f"GOCSPX-{self.make_id(28)}"
        client = Client(client_id, secret, project or number, redirect_uris=redirect_uris or [])
        self.clients[client.client_id] = client
        return {"client_id": client.client_id, "client_secret": client.client_secret, "project": client.project}

    def set_client(
        self,
        client_id: str,
        status: str | None = None,
        client_secret: str | None = None,
        redirect_uris: list[str] | None = None,
    ) -> None:
        """Make a client `ok`, `deleted` or `disabled`, rotate its secret, or register where its users are sent back to."""
        client = self.clients[client_id]
        client.status = status or client.status
        client.client_secret = client_secret or client.client_secret
        client.redirect_uris = client.redirect_uris if redirect_uris is None else redirect_uris

    def add_account(
        self, email: str, name: str | None = None, time_zone: str = "UTC", rotates_refresh_tokens: bool = False
    ) -> str:
        """A Google account with its primary calendar."""
        name = name or email.split("@", maxsplit=1)[0].title()
        self.accounts[email] = Account(email, name, time_zone, rotates_refresh_tokens)
        self._enlist(Calendar(email, email, email, time_zone, "primary"), email, "owner")
        return email

    def set_account(self, email: str, status: str | None = None, rotates_refresh_tokens: bool | None = None) -> None:
        """Status is `ok`, `deleted`, `reauth`, `admin_policy` or `not_a_calendar_user`."""
        account = self.accounts[email]
        account.status = status or account.status
        if rotates_refresh_tokens is not None:
            account.rotates_refresh_tokens = rotates_refresh_tokens

    def grant(self, email: str, client_id: str, scopes: list[str] | None = None) -> str:
        """The user consents: a new refresh token, by default with the full calendar scope."""
        return give_consent(self, client_id, email, scopes or [CALENDAR_SCOPE])

    def connect(self, email: str, time_zone: str = "UTC", **account: Any) -> dict[str, str]:
        """An account, a client (the first there is, or a new one) and a consent: what a gateway needs."""
        if email not in self.accounts:
            self.add_account(email, time_zone=time_zone, **account)
        client_id = next(iter(self.clients), None) or self.add_client()["client_id"]
        refresh_token = self.grant(email, client_id)
        secret = self.clients[client_id].client_secret
        return {"email": email, "client_id": client_id, "client_secret": secret, "refresh_token": refresh_token}

    def credentials(self) -> list[dict[str, Any]]:
        """What to connect with: the newest live refresh token of each consent."""
        return [
            {
                "email": grant.email,
                "client_id": grant.client_id,
                "client_secret": self.clients[grant.client_id].client_secret,
                "refresh_token": grant.refresh_tokens[-1],
                "calendars": sorted(self.lists.get(grant.email, {})),
            }
            for grant in self.grants
            if not grant.revoked and grant.refresh_tokens
        ]

    def add_calendar(
        self,
        owner: str,
        summary: str,
        time_zone: str | None = None,
        kind: str = "secondary",
        id: str | None = None,  # noqa: A002
    ) -> str:
        """A further calendar; `holiday` calendars are read-only and know no push."""
        domain = "group.v.calendar.google.com" if kind == "holiday" else "group.calendar.google.com"
        calendar_id = id or f"c_{self.make_id()}@{domain}"
        zone = time_zone or self.accounts[owner].time_zone
        self._enlist(
            Calendar(calendar_id, owner, summary, zone, kind), owner, "reader" if kind == "holiday" else "owner"
        )
        return calendar_id

    def share_calendar(self, calendar_id: str, email: str, role: str = "reader") -> None:
        """Put a calendar into somebody's list with a role; a changed role invalidates sync tokens."""
        calendar = self.calendars[calendar_id]
        entry = self.lists.setdefault(email, {}).setdefault(calendar_id, ListEntry(role, 0))
        if entry.role != role:
            calendar.epoch += 1
        entry.role, entry.deleted = role, False
        touch_entry(self, email, entry)

    def set_list_entry(self, email: str, calendar_id: str, **changes: Any) -> None:
        """Change `hidden`, `selected`, `deleted` or `summary_override` of a calendar list entry."""
        entry = self.lists[email][calendar_id]
        for name in changes.keys() & {"hidden", "selected", "deleted", "summary_override"}:
            setattr(entry, name, changes[name])
        touch_entry(self, email, entry)

    def delete_calendar(self, calendar_id: str) -> None:
        """The calendar is gone for everybody: 404, and a deleted entry in the lists."""
        calendar = self.calendars[calendar_id]
        self.bump(calendar)
        self.dirty[calendar_id] = "not_exists"
        calendar.deleted = True
        for email in self.lists:
            entry = list_entry(self, calendar, email)
            if entry is not None:
                entry.deleted = True
                touch_entry(self, email, entry)
        notify_watchers(self)

    def invalidate_sync_tokens(self, calendar_id: str | None = None) -> None:
        """All sync tokens given so far answer 410, for one calendar or for everything."""
        for calendar in self.calendars.values():
            if calendar_id in (None, calendar.id):
                calendar.epoch += 1
        if calendar_id is None:
            for account in self.accounts.values():
                account.list_epoch += 1

    def revoke_consent(self, email: str, client_id: str | None = None) -> None:
        """The user removes the application: its tokens are dead."""
        for grant in self.grants:
            if grant.email == email and client_id in (None, grant.client_id):
                end_grant(self, grant)

    def expire_access_tokens(self, email: str | None = None) -> int:
        """Access tokens given so far answer 401; refresh tokens go on working."""
        ended = [token for token, access in self.access_tokens.items() if email in (None, access.grant.email)]
        for token in ended:
            del self.access_tokens[token]
        return len(ended)

    def add_fault(self, preset: str, **options: Any) -> None:
        """Let requests fail: see `simulator.google.faults.Fault` for the options."""
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}, know {', '.join(PRESETS)}")
        self.faults.append(Fault(preset, **options))

    def fail_writes(
        self, before: float = 0.0, after: float = 0.0, silent: float = 0.0, silence: str = "lost_answer"
    ) -> None:
        """Let fractions of all writes fail with a 500 before they are carried out, with a 500 after, or without an answer.

        Without an answer means that the connection breaks; with `silence` "hang", that nothing ever comes.
        """
        self.faults += write_faults(before=before, after=after, silent=silent, error="backend_500", silence=silence)

    def clear_faults(self) -> None:
        self.faults.clear()

    def set_push(self, **rules: Any) -> dict[str, Any]:
        """Let deliveries be lost, doubled, delayed, reordered: see `simulator.google.pushes.PushRules`."""
        for name, value in rules.items():
            if not hasattr(self.push_rules, name):
                raise ValueError(f"unknown push rule {name!r}")
            setattr(self.push_rules, name, value)
        shown: dict[str, Any] = msgspec.to_builtins(self.push_rules)
        return shown

    def release_pushes(self) -> int:
        """Send what `reorder` holds back."""
        return release_held(self)

    def take_pushes(self) -> list[Push]:
        """The deliveries that are owed, for a test that carries them itself."""
        owed = list(self.pushes)
        self.pushes.clear()
        return owed

    def set(self, **settings: Any) -> dict[str, Any]:
        """Change quotas, page sizes, tombstones: see `simulator.google.state.Settings`."""
        for name, value in settings.items():
            if not hasattr(self.settings, name):
                raise ValueError(f"unknown setting {name!r}")
            setattr(self.settings, name, value)
        shown: dict[str, Any] = msgspec.to_builtins(self.settings)
        return shown

    def read_calls(self, endpoint: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
        """The newest requests, oldest first."""
        wanted = [call for call in self.calls if endpoint in (None, call.endpoint)]
        shown: list[dict[str, Any]] = msgspec.to_builtins(wanted[-limit:])
        return shown

    def read_mails(self, to: str | None = None, event_id: str | None = None) -> list[dict[str, Any]]:
        """The mails about meetings, oldest first: who was told what, as `sendUpdates` had it."""
        wanted = [each for each in self.mails if to in (None, each.to) and event_id in (None, each.event)]
        shown: list[dict[str, Any]] = msgspec.to_builtins(wanted)
        return shown

    def read_counters(self) -> dict[str, int]:
        """Requests per endpoint since the last reset, and their `total`; `push` counts deliveries made, outside of it."""
        return {**self.counters, "total": sum(self.counters.values()) - self.counters["push"]}

    def reset_counters(self) -> None:
        self.counters.clear()
        self.calls.clear()

    def reset(self) -> None:
        """Forget everything, and be as at the start: empty, or as seeded."""
        self.clear()
        self.populate(self)

    def _enlist(self, calendar: Calendar, email: str, role: str) -> None:
        self.calendars[calendar.id] = calendar
        entry = ListEntry(role, 0)
        self.lists.setdefault(email, {})[calendar.id] = entry
        touch_entry(self, email, entry)
